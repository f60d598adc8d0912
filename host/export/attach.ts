// A unit as /dev/nbdN: the kernel's nbd driver gets one end of a socket pair, the reactor the other. Nothing has to be
// negotiated, since we configure both ends. When this process dies, the driver keeps the requests for a while; the next process
// gives it new sockets and they continue (`resume`). The same happens when a connection is lost while this process lives: with
// several connections, the driver drops one that leaves a request unanswered for 30 s, which may well be an outage that ends
// later.

import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { closeDescriptor, nbdAttach, nbdDetach, nbdReconfigure, nbdStatus, socketPair } from "../native/index.ts";
import { CONNECTION_TRIM } from "../abi.ts";
import { connectionFlags, type NbdExport, transmissionFlags } from "./directory.ts";
import { ExportError } from "./export-errors.ts";
import { counted } from "../wording.ts";

export interface AttachOptions {
  /** `/dev/nbd3`; the first free one when omitted. */
  readonly device?: string;
  /** Number of sockets, which are the driver's queues; 1 (default) to 16. */
  readonly connections?: number;
  /** How long requests wait for a restarted daemon, in seconds; with 0 they fail at once. Default 300. */
  readonly deadConnectionTimeoutS?: number;
}

/** A unit that is a block device of the kernel. */
export interface KernelAttachment {
  readonly device: string;
  /** N of /dev/nbdN. */
  readonly index: number;
  /** Handle of the unit in the reactor. */
  readonly unit: number;
  readonly connections: number;
  readonly deadConnectionTimeoutS: number;
}

/**
 * Gives a connected socket to the reactor, which owns it from then on; returns the connection's handle.
 * @param number of the unit, which may have another handle by now
 */
export type Connector = (descriptor: number, unit: number, flags: number, number: number) => Promise<number>;

export const DEAD_CONNECTION_TIMEOUT_S = 300;
const DEVICE = /^\/dev\/nbd(\d{1,4})$/;
/** How often the driver checks whether the connection of an unanswered request was replaced. Its default is 30 s. */
const LOST_REQUEST_MS = 1000;
/** How long the driver may take to notice that a killed daemon's sockets are dead. */
const RESUME_MS_MAX = 5000;
/** Pauses between attempts to replace a lost connection of a device; each is twice as long as the one before. */
const MEND_PAUSE_MS = 1000;
const MEND_PAUSE_MS_MAX = 30_000;

/** N of /dev/nbdN. Throws EXPORT_ATTACH_FAILED for any other path. */
export function deviceIndex(device: string): number {
  const index = DEVICE.exec(device)?.[1];
  if (index !== undefined) return Number(index);
  throw new ExportError("EXPORT_ATTACH_FAILED", `${device}: the device has to be /dev/nbdN, like /dev/nbd0`);
}

/** Stored with the driver, so that no other server can take the device over: the unit's identity. */
function identifierOf(entry: NbdExport): string {
  return `pathmanager ${entry.formerIdentity ?? entry.identity ?? `#${entry.number}`}`;
}

function failed(what: string, error: unknown): ExportError {
  const why = error instanceof Error ? error.message : String(error);
  return new ExportError("EXPORT_ATTACH_FAILED", `${what}: ${why}`, { cause: error });
}

/**
 * Requests that a killed daemon had received but not answered are resent on its successor's connection only when their timer
 * expires, 30 s by default: a stall for the application. The timer does no harm to a request that is merely slow, as long as the
 * device has one connection; with more, the driver would drop the slow request's connection.
 */
function lookForLostRequests(index: number, connections: number): void {
  if (connections > 1) return;
  try {
    writeFileSync(`/sys/block/nbd${index}/queue/io_timeout`, String(LOST_REQUEST_MS));
  } catch {
    // Where sysfs cannot be written the default stays; the device works all the same.
  }
}

/** An attachment, and what is needed to replace one of its connections. */
interface Held {
  readonly attachment: KernelAttachment;
  readonly entry: NbdExport;
  /** Settles when none of its connections is being replaced. */
  mended: Promise<void>;
}

/** The units that this process has attached to the kernel's nbd driver. */
export class KernelAttachments {
  readonly #connect: Connector;
  readonly #report: (problem: string) => void;
  readonly #onHolder: (connection: number, index: number) => void;
  readonly #attached = new Map<number, Held>();
  /** The reactor's handles of open connections; null while the device is being attached. */
  readonly #connections = new Map<number, Held | null>();
  #stopped = false;

  /**
   * @param report hears, in a sentence, why a device that lost its connections gets no new ones
   * @param onHolder hears which device a connection belongs to
   */
  constructor(
    connect: Connector,
    report: (problem: string) => void = () => {},
    onHolder: (connection: number, index: number) => void = () => {},
  ) {
    this.#connect = connect;
    this.#report = report;
    this.#onHolder = onHolder;
  }

  /** Takes over a device whose connections are already open here; `lost` of them no longer are, and are replaced. */
  adopt(
    entry: NbdExport,
    how: Pick<KernelAttachment, "index" | "connections" | "deadConnectionTimeoutS">,
    handles: readonly number[],
    lost: number,
  ): void {
    for (const handle of handles) this.#connections.set(handle, null);
    this.#remember(entry, how, handles);
    const held = this.#attached.get(how.index);
    if (held !== undefined) for (let i = 0; i < lost; i++) this.#lost(held);
  }

  get list(): readonly KernelAttachment[] {
    return [...this.#attached.values()].map(({ attachment }) => attachment);
  }

  /** Calls `use` with the driver's ends of new connections to the unit; the ends are closed here afterwards. */
  async #withConnections<T>(
    entry: NbdExport,
    count: number,
    use: (sockets: number[], handles: number[]) => Promise<T>,
  ): Promise<T> {
    const ends: number[] = [];
    const handles: number[] = [];
    // A device attached by an earlier daemon trims if that was announced then, whatever is known of the unit now.
    const flags = connectionFlags(entry) | CONNECTION_TRIM;
    try {
      for (let i = 0; i < count; i++) {
        const [ours, drivers] = socketPair("stream");
        ends.push(drivers);
        const handle = await this.#connect(ours, entry.unit, flags, entry.number);
        this.#connections.set(handle, null);
        handles.push(handle);
      }
      return await use(ends, handles);
    } finally {
      // The driver holds references of its own. Without it, the reactor sees its ends closed and drops them.
      for (const end of ends) closeDescriptor(end);
    }
  }

  /**
   * Makes a unit a block device. Needs CAP_SYS_ADMIN and the kernel's module `nbd`.
   *
   * @throws ExportError EXPORT_ATTACH_FAILED when the device is in use, missing or forbidden; then nothing is left behind
   */
  async attach(entry: NbdExport, options: AttachOptions = {}): Promise<KernelAttachment> {
    const { device, connections = 1, deadConnectionTimeoutS = DEAD_CONNECTION_TIMEOUT_S } = options;
    const wanted = device === undefined ? -1 : deviceIndex(device);
    const what = `LogicalUnit #${entry.number} cannot be attached${device === undefined ? "" : ` to ${device}`}`;
    if (!Number.isInteger(connections) || connections < 1 || connections > 16) {
      throw new ExportError("EXPORT_ATTACH_FAILED", `${what}: connections must be 1 to 16, not ${connections}`);
    }
    try {
      return await this.#withConnections(entry, connections, async (sockets, handles) => {
        const index = await nbdAttach({
          index: wanted,
          sockets,
          sizeBytes: Number(entry.bytes),
          blockBytes: entry.blockBytes,
          serverFlags: transmissionFlags(entry, false),
          deadConnectionTimeoutSeconds: deadConnectionTimeoutS,
          identifier: identifierOf(entry),
        });
        lookForLostRequests(index, connections);
        return this.#remember(entry, { index, connections, deadConnectionTimeoutS }, handles);
      });
    } catch (error) {
      throw failed(what, error);
    }
  }

  /**
   * Takes over a device that an earlier process attached to the same unit: its requests continue here. It gets the unit's present
   * size.
   *
   * @param before what was remembered of the attachment
   * @returns undefined when the device is not attached any more and must be attached anew
   * @throws ExportError EXPORT_ATTACH_FAILED when it is attached to something else, or to a live process
   */
  async resume(entry: NbdExport, before: Omit<KernelAttachment, "unit">): Promise<KernelAttachment | undefined> {
    const { index, connections, deadConnectionTimeoutS } = before;
    const what = `${before.device} cannot be taken over for LogicalUnit #${entry.number}`;
    try {
      const [device] = await nbdStatus(index);
      if (device?.connected !== true) return undefined;
      const end = performance.now() + RESUME_MS_MAX;
      return await this.#withConnections(entry, connections, async (sockets, handles) => {
        // One at a time: the driver may notice the death of one connection later than that of another.
        for (const socket of sockets) await replace(index, socket, entry, deadConnectionTimeoutS, end);
        await nbdReconfigure(index, { sizeBytes: Number(entry.bytes), identifier: identifierOf(entry) });
        return this.#remember(entry, { index, connections, deadConnectionTimeoutS }, handles);
      });
    } catch (error) {
      throw failed(what, error);
    }
  }

  #remember(
    entry: NbdExport,
    how: Pick<KernelAttachment, "index" | "connections" | "deadConnectionTimeoutS">,
    handles: readonly number[],
  ): KernelAttachment {
    const attachment = { ...how, device: `/dev/nbd${how.index}`, unit: entry.unit };
    const held: Held = { attachment, entry, mended: Promise.resolve() };
    this.#attached.set(how.index, held);
    for (const handle of handles) this.#holds(held, handle);
    return attachment;
  }

  /** Records whose connection it is; one that was closed during the hand-over is replaced at once. */
  #holds(held: Held, handle: number): void {
    if (this.#connections.has(handle)) {
      this.#connections.set(handle, held);
      this.#onHolder(handle, held.attachment.index);
    } else this.#lost(held);
  }

  /** Call it for every connection that the reactor has closed: if it was a device's, it is replaced. */
  connectionClosed(handle: number): void {
    const held = this.#connections.get(handle);
    this.#connections.delete(handle);
    if (held !== undefined && held !== null) this.#lost(held);
  }

  #lost(held: Held): void {
    held.mended = held.mended.then(() => this.#mend(held));
  }

  /** Gives the device another connection; keeps trying while it is attached. */
  async #mend(held: Held): Promise<void> {
    const { entry, attachment } = held;
    const { index, device, deadConnectionTimeoutS } = attachment;
    const isHeld = (): boolean => !this.#stopped && this.#attached.get(index) === held;
    for (let pauseMs = MEND_PAUSE_MS; isHeld(); pauseMs = Math.min(2 * pauseMs, MEND_PAUSE_MS_MAX)) {
      try {
        const [state] = await nbdStatus(index);
        if (state?.connected !== true) {
          this.#report(`${device} was disconnected by somebody else; detach it here, too, or attach it anew`);
          return;
        }
        const end = performance.now() + RESUME_MS_MAX;
        await this.#withConnections(entry, 1, async ([socket = -1], [handle = -1]) => {
          await replace(index, socket, entry, deadConnectionTimeoutS, end);
          this.#holds(held, handle);
        });
        return;
      } catch (error) {
        if (isHeld()) this.#report(failed(`${device} has lost a connection and gets no other one`, error).message);
      }
      await sleep(pauseMs, undefined, { ref: false });
    }
  }

  /** The size of the unit with this number has changed: updates its block device. */
  async resize(number: number, bytes: bigint): Promise<void> {
    for (const { attachment, entry } of this.#attached.values()) {
      const { index, device } = attachment;
      if (entry.number !== number) continue;
      try {
        await nbdReconfigure(index, { sizeBytes: Number(bytes), identifier: identifierOf(entry) });
      } catch (error) {
        throw failed(`${device} cannot get its new size of ${counted(bytes, "byte")}`, error);
      }
    }
  }

  /** Detaches a device. The driver shuts its connections down at once: requests in flight end with EIO. */
  async detach(index: number): Promise<void> {
    const held = this.#attached.get(index);
    // Connections that end from here on end because of the detach.
    this.#attached.delete(index);
    try {
      await nbdDetach(index);
    } catch (error) {
      if (held !== undefined) this.#attached.set(index, held);
      throw failed(`/dev/nbd${index} cannot be detached`, error);
    }
  }

  /** Connections that end from now on are not replaced: the reactor stops, and the driver waits for the next daemon. */
  stop(): void {
    this.#stopped = true;
  }
}

/** Replaces a dead connection of the device; waits a little for the driver to notice the death. */
async function replace(
  index: number,
  socket: number,
  entry: NbdExport,
  deadConnectionTimeoutSeconds: number,
  end: number,
): Promise<void> {
  for (;;) {
    try {
      await nbdReconfigure(index, { sockets: [socket], deadConnectionTimeoutSeconds, identifier: identifierOf(entry) });
      return;
    } catch (error) {
      const early = error instanceof Error && error.message.includes("none of its connections is dead");
      if (!early || performance.now() > end) throw error;
      await sleep(50);
    }
  }
}
