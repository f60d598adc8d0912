// One client between accept and the transmission phase: its socket, its time, its negotiation.

import type { Socket } from "node:net";
import { Negotiation, type NegotiationLimits, type NegotiationStep } from "./negotiation.ts";
import type { ExportDirectory } from "./directory.ts";
import type { NegotiatedConnection } from "./server.ts";
import { CONNECTION_RECEIVE_BYTES } from "../abi.ts";

/** Bytes a client may send ahead while it does not read its answers. */
const HELD_BYTES_MAX = 4 * CONNECTION_RECEIVE_BYTES;

export type HandshakeEnd =
  | { readonly kind: "negotiated"; readonly connection: NegotiatedConnection }
  | { readonly kind: "dropped"; readonly reason: string; readonly isFull: boolean };

export interface HandshakeOptions {
  readonly directory: ExportDirectory;
  readonly limits: NegotiationLimits;
  readonly timeoutMs: number;
  readonly duplicate: (descriptor: number) => number;
  /** Why it cannot be handed over; null when it can: a place is kept for it then, until `ended`. */
  readonly noRoom: () => string | null;
  /** It was told that there is no room for it. */
  readonly refused: (reason: string) => void;
  /** Called exactly once. */
  readonly ended: (end: HandshakeEnd) => void;
}

/**
 * The part of a libuv stream handle that Node offers under an underscore only. There is no public way to give a socket's
 * descriptor away, so this is the one place that knows; a test watches that it still works.
 */
interface StreamHandle {
  readonly fd: number;
  readStop(): number;
}

function handleOf(socket: Socket): StreamHandle | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null) return undefined;
  const fd: unknown = Reflect.get(handle, "fd");
  const readStop: unknown = Reflect.get(handle, "readStop");
  if (typeof fd !== "number" || fd < 0 || typeof readStop !== "function") return undefined;
  return { fd, readStop: () => Number(Reflect.apply(readStop, handle, [])) };
}

/** What has become of the client: it negotiates, hears the last word, waits for its hand-over, or is done with. */
type Phase = "negotiating" | "closing" | "handing-over" | "over";

export class Handshake {
  readonly #socket: Socket;
  readonly #options: HandshakeOptions;
  readonly #negotiation: Negotiation;
  readonly #timer: NodeJS.Timeout;
  #phase: Phase = "negotiating";
  /** Bytes of the transmission phase that were read before the reading stopped. */
  readonly #leftover: Uint8Array[] = [];

  constructor(socket: Socket, options: HandshakeOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#negotiation = new Negotiation(options.directory, options.limits, options.noRoom);
    const late = `the negotiation took longer than ${options.timeoutMs} ms`;
    this.#timer = setTimeout(() => this.drop(late), options.timeoutMs);
    this.#timer.unref();
  }

  start(): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on("error", (error) => this.drop(error.message));
    socket.on("end", () => this.drop("the client hung up"));
    socket.on("close", () => this.drop("the client hung up"));
    socket.on("data", (chunk) => this.#received(typeof chunk === "string" ? Buffer.from(chunk) : chunk));
    socket.on("drain", () => this.#advance());
    socket.write(this.#negotiation.greeting());
    socket.resume();
  }

  /** Ends the connection at once. `isFull`: for lack of room. */
  drop(reason: string, isFull = false): void {
    if (!this.#finish()) return;
    this.#socket.destroy();
    this.#options.ended({ kind: "dropped", reason, isFull });
  }

  /** True the first time only. */
  #finish(): boolean {
    if (this.#phase === "over") return false;
    this.#phase = "over";
    clearTimeout(this.#timer);
    return true;
  }

  #received(chunk: Buffer): void {
    switch (this.#phase) {
      case "negotiating":
        this.#negotiation.receive(chunk);
        this.#advance();
        return;
      case "handing-over":
        this.#leftover.push(chunk);
        return;
      case "closing":
      case "over":
    }
  }

  #advance(): void {
    while (this.#phase === "negotiating") {
      // A client that asks and does not read its answers waits, so that they do not pile up here; nor may its questions.
      if (this.#socket.writableNeedDrain) {
        if (this.#negotiation.held > HELD_BYTES_MAX) this.drop("the client does not read its answers");
        return;
      }
      const step = this.#negotiation.next();
      switch (step.kind) {
        case "need":
          return;
        case "reply":
          this.#socket.write(step.bytes);
          if (step.full !== undefined) this.#options.refused(step.full);
          break;
        case "close":
          this.#close(step.bytes, step.reason, step.isFull);
          return;
        case "transmit":
          this.#transmit(step);
          return;
      }
    }
  }

  /** Says the last word, then closes; the timer still runs, so a client that does not read cannot hold us. */
  #close(bytes: Uint8Array, reason: string, isFull = false): void {
    this.#phase = "closing";
    if (bytes.length === 0) this.drop(reason, isFull);
    else this.#socket.write(bytes, () => this.drop(reason, isFull));
  }

  #transmit(step: Extract<NegotiationStep, { kind: "transmit" }>): void {
    const handle = handleOf(this.#socket);
    if (handle === undefined) {
      this.drop("the client hung up");
      return;
    }
    // From here on what arrives belongs to the core, and stays in the socket. The handle's own mark keeps saying that it
    // is reading, so nothing in the stream machinery starts it again.
    handle.readStop();
    this.#phase = "handing-over";
    this.#leftover.push(step.leftover);
    this.#socket.write(step.bytes, (error) => {
      if (error === undefined || error === null) this.#handOver(handle, step);
      else this.drop(error.message);
    });
  }

  /** The reply is out: the core may speak. Destroying the socket closes its descriptor without a shutdown. */
  #handOver(handle: StreamHandle, step: Extract<NegotiationStep, { kind: "transmit" }>): void {
    if (this.#phase !== "handing-over") return;
    const preloaded = Buffer.concat(this.#leftover);
    if (preloaded.length > CONNECTION_RECEIVE_BYTES) {
      this.drop("the client sent requests without reading its answers");
      return;
    }
    let descriptor: number;
    try {
      descriptor = this.#options.duplicate(handle.fd);
    } catch (error) {
      this.drop(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#finish();
    this.#socket.destroy();
    const { entry, flags } = step;
    this.#options.ended({ kind: "negotiated", connection: { descriptor, unit: entry.unit, flags, preloaded } });
  }
}
