// One client between accept and the transmission phase: its socket, its time limit, its negotiation.

import { Socket } from "node:net";
import { Negotiation, type NegotiationLimits, type NegotiationStep, type TlsOffer } from "./negotiation.ts";
import type { Offer } from "./permission.ts";
import type { NegotiatedConnection } from "./address.ts";
import type { TlsPeer } from "./tls/peer.ts";
import type { Secured, Securing } from "./tls/terminator.ts";
import { CONNECTION_RECEIVE_BYTES } from "../abi.ts";

/** How much a client may send while it does not read its answers. */
const HELD_BYTES_MAX = 4 * CONNECTION_RECEIVE_BYTES;

export type HandshakeEnd =
  | { readonly kind: "negotiated"; readonly connection: NegotiatedConnection }
  | { readonly kind: "dropped"; readonly reason: string; readonly isFull: boolean }
  /** TLS failed. */
  | { readonly kind: "untrusted"; readonly reason: string };

export interface HandshakeOptions {
  readonly offer: Offer;
  /** Starts TLS: `secure` takes over the descriptor. Null where TLS is not available. */
  readonly tls: (TlsOffer & { readonly secure: (descriptor: number) => Securing }) | null;
  readonly limits: NegotiationLimits;
  readonly timeoutMs: number;
  /** After this long without a message it may be dropped in favour of another client. */
  readonly silentMs: number;
  readonly duplicate: (descriptor: number) => number;
  /** Why it cannot be handed over; null if it can: then a place is reserved for it until `ended`. */
  readonly noRoom: () => string | null;
  /** The client was told that there is no room for it. */
  readonly refused: (reason: string) => void;
  /** Called exactly once. */
  readonly ended: (end: HandshakeEnd) => void;
}

/**
 * The part of a libuv stream handle that Node exposes only under an underscore. There is no public way to give away a socket's
 * descriptor, so this one place relies on it; a test checks that it still works.
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

const reasonOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** State of the client: negotiating, starting TLS, being sent the last message, waiting for its hand-over, or done. */
type Phase = "negotiating" | "securing" | "closing" | "handing-over" | "over";

export class Handshake {
  #heardMs = performance.now();
  /** The client's socket; with TLS, the one that carries its plain bytes. */
  #socket: Socket;
  readonly #options: HandshakeOptions;
  readonly #negotiation: Negotiation;
  readonly #timer: NodeJS.Timeout;
  #phase: Phase = "negotiating";
  #securing: Securing | undefined = undefined;
  /** The client's identity under TLS. */
  peer: TlsPeer | null = null;
  /** Bytes of the transmission phase that were read before reading stopped. */
  readonly #leftover: Uint8Array[] = [];

  constructor(socket: Socket, options: HandshakeOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#negotiation = new Negotiation(options.offer, options.limits, options.noRoom, options.tls);
    const late = `the negotiation took longer than ${options.timeoutMs} ms`;
    this.#timer = setTimeout(() => this.drop(late), options.timeoutMs);
    this.#timer.unref();
  }

  /** @param after what the greeting waits for; it may not reject */
  start(after?: Promise<void>): void {
    this.#socket.setNoDelay(true);
    this.#listen();
    if (after === undefined) this.#greet();
    else void after.then(() => this.#greet());
  }

  #greet(): void {
    if (this.#phase !== "negotiating") return;
    this.#socket.write(this.#negotiation.greeting());
    this.#socket.resume();
  }

  #listen(): void {
    const socket = this.#socket;
    // The socket above reports what happens to the one below TLS.
    const drop = (reason: string): void => {
      if (socket === this.#socket) this.drop(reason);
    };
    socket.on("error", (error) => drop(error.message));
    socket.on("end", () => drop("the client hung up"));
    socket.on("close", () => drop("the client hung up"));
    socket.on("data", (chunk) => this.#received(typeof chunk === "string" ? Buffer.from(chunk) : chunk));
    socket.on("drain", () => this.#advance());
  }

  /** Since when the client has been silent; null while it is active, or being handed over. */
  get idleSinceMs(): number | null {
    if (this.#phase === "handing-over" || performance.now() - this.#heardMs < this.#options.silentMs) return null;
    return this.#heardMs;
  }

  /** Closes the connection at once. `isFull`: for lack of room. */
  drop(reason: string, isFull = false): void {
    this.#end({ kind: "dropped", reason, isFull });
  }

  #end(end: HandshakeEnd): void {
    if (!this.#finish()) return;
    this.#securing?.cancel();
    this.#socket.destroy();
    this.#options.ended(end);
  }

  /** True the first time only. */
  #finish(): boolean {
    if (this.#phase === "over") return false;
    this.#phase = "over";
    clearTimeout(this.#timer);
    return true;
  }

  #received(chunk: Buffer): void {
    this.#heardMs = performance.now();
    switch (this.#phase) {
      case "negotiating":
        this.#negotiation.receive(chunk);
        this.#advance();
        return;
      case "handing-over":
        this.#leftover.push(chunk);
        return;
      case "securing":
        this.drop("bytes in the clear behind STARTTLS");
        return;
      case "closing":
      case "over":
    }
  }

  #advance(): void {
    while (this.#phase === "negotiating") {
      // A client that asks without reading its answers has to wait, so that neither answers nor questions pile up here.
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
        case "start-tls":
          this.#startTls(step.bytes);
          return;
        case "transmit":
          this.#transmit(step);
          return;
      }
    }
  }

  /** Sends the last message, then closes; the timer keeps running, so a client that does not read cannot hold us up. */
  #close(bytes: Uint8Array, reason: string, isFull = false): void {
    this.#phase = "closing";
    if (bytes.length === 0) this.drop(reason, isFull);
    else this.#socket.write(bytes, () => this.drop(reason, isFull));
  }

  /** Stops reading: what arrives from now on stays in the socket, for whoever gets the descriptor. */
  #stopReading(): StreamHandle | undefined {
    const handle = handleOf(this.#socket);
    // The handle still claims to be reading, so nothing in the stream machinery starts it again.
    if (handle === undefined) this.drop("the client hung up");
    else handle.readStop();
    return handle;
  }

  #startTls(acknowledged: Uint8Array): void {
    const { tls } = this.#options;
    const handle = this.#stopReading();
    if (handle === undefined || tls === null) return;
    this.#phase = "securing";
    const below = this.#socket;
    below.write(acknowledged, (error) => {
      if (this.#phase !== "securing") return;
      if (error !== undefined && error !== null) {
        this.drop(error.message);
        return;
      }
      try {
        this.#securing = tls.secure(this.#options.duplicate(handle.fd));
      } catch (thrown) {
        this.drop(reasonOf(thrown));
        return;
      }
      this.#securing.outcome.then(
        (secured) => this.#secured(secured, below),
        (thrown) => this.#end({ kind: "untrusted", reason: reasonOf(thrown) }),
      );
    });
  }

  /** From now on the client's bytes pass unencrypted through a socket of our own. */
  #secured({ descriptor, peer }: Secured, below: Socket): void {
    const socket = new Socket({ fd: descriptor, allowHalfOpen: true });
    if (this.#phase !== "securing") {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    this.#securing = undefined;
    below.destroy();
    this.peer = peer;
    this.#phase = "negotiating";
    this.#negotiation.secured(peer);
    this.#listen();
    socket.resume();
  }

  #transmit(step: Extract<NegotiationStep, { kind: "transmit" }>): void {
    const handle = this.#stopReading();
    if (handle === undefined) return;
    this.#phase = "handing-over";
    this.#leftover.push(step.leftover);
    this.#socket.write(step.bytes, (error) => {
      if (error === undefined || error === null) this.#handOver(handle, step);
      else this.drop(error.message);
    });
  }

  /** The reply is sent: the core may speak. Destroying the socket closes its descriptor without a shutdown. */
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
      this.drop(reasonOf(error));
      return;
    }
    this.#finish();
    this.#socket.destroy();
    const { entry, flags } = step;
    const { unit, number } = entry;
    this.#options.ended({ kind: "negotiated", connection: { descriptor, unit, number, flags, preloaded } });
  }
}
