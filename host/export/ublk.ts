// A unit as /dev/ublkbN: the kernel's ublk driver gives each request to the reactor, whose ring takes its data straight from the
// request's pages. When this process dies, the driver keeps the requests, answered or not, and the next process takes the device over
// (`resume`).

import { setTimeout as sleep } from "node:timers/promises";
import { BLOCK_BYTES_MAX, BLOCK_READ_ONLY, UNIT_CAN_NOT_WRITE, UNIT_CAN_UNMAP } from "../abi.ts";
import {
  ublkAdd,
  ublkCheck,
  ublkDelete,
  ublkRecover,
  ublkResize,
  ublkSet,
  ublkStart,
  ublkStatus,
  ublkStop,
  type UblkParameters,
} from "../native/index.ts";
import type { NbdExport } from "./directory.ts";
import { ExportError } from "./export-errors.ts";
import { counted } from "../wording.ts";

/** A device whose queue the reactor serves. */
export interface UblkServed {
  /** N of /dev/ublkbN. */
  readonly index: number;
  /** Handle of the unit in the reactor. */
  readonly unit: number;
  /** Handle of the device in the reactor. */
  readonly client: number;
  /** The process that serves it. */
  readonly pid: number;
}

/** What the reactor needs to know of a device. */
interface UblkDriven {
  /** N of /dev/ublkbN. */
  readonly index: number;
  /** Requests that its queue takes at once. */
  readonly depth: number;
  /** The server copies data itself: an earlier version made it. */
  readonly userCopy: boolean;
}

/** The reactor's part. */
export interface UblkServer {
  open(unit: number, flags: number, device: UblkDriven): Promise<UblkServed>;
  /** Requests fail from now on, those under way too. */
  close(client: number): Promise<void>;
}

/** What a unit's paths say of it, in bytes; 0 where it is not known. */
interface UblkLimits {
  readonly physicalBytes: number;
  readonly minimumBytes: number;
  readonly optimalBytes: number;
  readonly discardGranularity: number;
}

/** How a unit becomes a device. */
export interface UblkHow {
  readonly limits: UblkLimits;
  /** How long requests wait for the next daemon when there is none, seconds. */
  readonly deadConnectionTimeoutS: number;
  /** This process copies data itself, as for devices made by earlier versions: for tests and comparisons. */
  readonly userCopy?: boolean;
}

const DEPTH = 128;
/** What the core cuts into as many commands as it takes. */
const DISCARD_BYTES_MAX = 256 << 20;
/** How long stopping a device waits for requests that wait for a path; then they fail. */
const STOP_MS_MAX = 2000;
const DEVICE = /^\/dev\/ublkb(\d{1,4})$/;

const deviceOf = (index: number): string => `/dev/ublkb${index}`;

/** N of /dev/ublkbN; undefined for any other path. */
export function ublkIndex(device: string): number | undefined {
  const index = DEVICE.exec(device)?.[1];
  return index === undefined ? undefined : Number(index);
}

/** Why ublk cannot be used here, in a sentence; null when it can. */
export async function whyNoUblk(): Promise<string | null> {
  try {
    await ublkCheck();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Kept with the driver, so that no other unit takes the device over: FNV-1a of the unit's identity. */
export function ownerOf(entry: Pick<NbdExport, "formerIdentity" | "identity" | "number">): number {
  const text = `pathmanager ${entry.formerIdentity ?? entry.identity ?? `#${entry.number}`}`;
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

const isReadOnly = (entry: NbdExport): boolean =>
  entry.readOnly === true || (entry.capabilities & UNIT_CAN_NOT_WRITE) !== 0;

/** A power of two; others cannot be told to the driver. */
const power = (bytes: number): number => (bytes > 0 && (bytes & (bytes - 1)) === 0 ? bytes : 0);

/**
 * Flushes and FUA are always offered, as over NBD: the core passes them to the device. Zeroes too, since it builds them from other commands where the
 * device has none; discarding only where the device can UNMAP.
 */
function parametersOf(entry: NbdExport, limits: UblkLimits): UblkParameters {
  const readOnly = isReadOnly(entry);
  const discards = !readOnly && (entry.capabilities & UNIT_CAN_UNMAP) !== 0;
  return {
    sizeBytes: Number(entry.bytes),
    logicalBytes: entry.blockBytes,
    physicalBytes: power(limits.physicalBytes),
    minimumBytes: power(limits.minimumBytes),
    optimalBytes: power(limits.optimalBytes),
    bytesMax: BLOCK_BYTES_MAX,
    readOnly,
    writeCache: true,
    fua: true,
    discardGranularity: discards ? Math.max(entry.blockBytes, power(limits.discardGranularity)) : 0,
    discardBytesMax: DISCARD_BYTES_MAX,
    zeroBytesMax: readOnly ? 0 : DISCARD_BYTES_MAX,
  };
}

function failed(what: string, error: unknown): ExportError {
  const why = error instanceof Error ? error.message : String(error);
  return new ExportError("EXPORT_ATTACH_FAILED", `${what}: ${why}`, { cause: error });
}

/** The units that this process has attached to the kernel's ublk driver. */
export class UblkAttachments {
  readonly #server: UblkServer;
  readonly #report: (problem: string) => void;
  readonly #served = new Map<number, UblkServed>();
  /** Devices that end because this process ends them. */
  readonly #ending = new Set<number>();
  #stopped = false;

  /** @param report hears, in a sentence, that a device was removed by somebody else */
  constructor(server: UblkServer, report: (problem: string) => void = () => {}) {
    this.#server = server;
    this.#report = report;
  }

  /** Takes over devices that the reactor serves already. */
  adopt(served: readonly UblkServed[]): void {
    for (const one of served) this.#served.set(one.index, one);
  }

  get list(): readonly UblkServed[] {
    return [...this.#served.values()];
  }

  async #serve(entry: NbdExport, index: number, recovered: boolean): Promise<UblkServed> {
    const flags = isReadOnly(entry) ? BLOCK_READ_ONLY : 0;
    const device = await ublkStatus(index);
    if (device === null) throw new Error("it has been removed meanwhile");
    const { depth, userCopy } = device;
    const served = await this.#server.open(entry.unit, flags, { index, depth, userCopy });
    this.#served.set(index, served);
    try {
      await ublkStart(index, served.pid, recovered);
    } catch (error) {
      this.#served.delete(index);
      throw error;
    }
    return served;
  }

  /**
   * Makes a unit a block device. Needs CAP_SYS_ADMIN and the kernel's module `ublk_drv`.
   *
   * @param index N of /dev/ublkbN; undefined: the first free one
   * @throws ExportError EXPORT_ATTACH_FAILED; then nothing is left behind
   */
  async attach(
    entry: NbdExport,
    index: number | undefined,
    { limits, deadConnectionTimeoutS, userCopy }: UblkHow,
  ): Promise<UblkServed> {
    const to = index === undefined ? "" : ` to ${deviceOf(index)}`;
    const what = `LogicalUnit #${entry.number} cannot be attached${to}`;
    let added: number;
    try {
      if (index !== undefined) await this.#clear(entry, index);
      added = await ublkAdd({
        index: index ?? -1,
        depth: DEPTH,
        bytesMax: BLOCK_BYTES_MAX,
        owner: ownerOf(entry),
        deadConnectionTimeoutSeconds: deadConnectionTimeoutS,
        ...(userCopy === undefined ? {} : { userCopy }),
      });
    } catch (error) {
      throw failed(what, error);
    }
    this.#ending.delete(added);
    try {
      await ublkSet(added, parametersOf(entry, limits));
      return await this.#serve(entry, added, false);
    } catch (error) {
      this.#ending.add(added);
      await ublkDelete(added).catch(() => undefined);
      throw failed(what, error);
    }
  }

  /** A dead device of ours that was left over is removed. */
  async #clear(entry: NbdExport, index: number): Promise<void> {
    const device = await ublkStatus(index);
    if (device !== null && device.owner === ownerOf(entry) && device.state === "dead") await ublkDelete(index);
  }

  /**
   * Takes over a device that an earlier process attached to the same unit: its requests continue here. It gets the unit's present
   * size.
   *
   * @returns undefined when there is no such device any more and it must be attached anew
   * @throws ExportError EXPORT_ATTACH_FAILED when it is another's, or its process lives
   */
  async resume(entry: NbdExport, index: number): Promise<UblkServed | undefined> {
    const what = `${deviceOf(index)} cannot be taken over for LogicalUnit #${entry.number}`;
    try {
      const device = await ublkStatus(index);
      if (device === null || device.state === "dead") return undefined;
      if (device.owner !== ownerOf(entry)) throw new Error("another program, or another unit, has it");
      await ublkRecover(index);
      this.#ending.delete(index);
      const served = await this.#serve(entry, index, true);
      await this.#resize(served, entry.bytes);
      return served;
    } catch (error) {
      throw failed(what, error);
    }
  }

  async #resize({ index }: UblkServed, bytes: bigint): Promise<void> {
    const device = await ublkStatus(index);
    if (device?.resizable === true) await ublkResize(index, Number(bytes));
  }

  /** The unit's size has changed: updates its block devices. */
  async resize(unit: number, bytes: bigint): Promise<void> {
    for (const served of this.list) {
      if (served.unit !== unit) continue;
      const device = deviceOf(served.index);
      const status = await ublkStatus(served.index);
      if (status?.resizable !== true) {
        const advice = "this kernel's ublk driver cannot change it (Linux 6.16 can); detach it and attach it again";
        throw failed(`${device} keeps its size`, advice);
      }
      await ublkResize(served.index, Number(bytes)).catch((error: unknown) => {
        throw failed(`${device} cannot get its new size of ${counted(bytes, "byte")}`, error);
      });
    }
  }

  /** Detaches a device. Requests that wait for a path fail after a moment. */
  async detach(index: number): Promise<void> {
    const served = this.#served.get(index);
    this.#ending.add(index);
    const patience = new AbortController();
    try {
      const stopping = ublkStop(index);
      if (served !== undefined) void this.#closeLater(served.client, patience.signal);
      await stopping;
      patience.abort();
      await ublkDelete(index);
      this.#served.delete(index);
    } catch (error) {
      if (await isGone(index)) this.#served.delete(index);
      else throw failed(`${deviceOf(index)} cannot be detached`, error);
    } finally {
      patience.abort();
    }
  }

  /** Devices that end from now on are taken over by the next daemon. */
  stop(): void {
    this.#stopped = true;
  }

  async #closeLater(client: number, signal: AbortSignal): Promise<void> {
    const isDue = await sleep(STOP_MS_MAX, true, { signal }).catch(() => false);
    if (isDue) await this.#server.close(client).catch(() => undefined);
  }

  /** Call it for every client of the block door that is gone: if it was a device's, that has ended. */
  clientClosed(client: number): void {
    const served = this.list.find((one) => one.client === client);
    if (served === undefined) return;
    this.#served.delete(served.index);
    if (this.#stopped || this.#ending.has(served.index)) return;
    this.#report(`${deviceOf(served.index)} was removed by somebody else; detach it here, too, or attach it anew`);
  }
}

async function isGone(index: number): Promise<boolean> {
  return await ublkStatus(index).then(
    (device) => device === null,
    () => false,
  );
}
