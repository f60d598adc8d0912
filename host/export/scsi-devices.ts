// A unit as a real SCSI device, /dev/sdX and /dev/sgN: the kernel's SCSI target gives its commands to the reactor (TCMU), and a loopback
// target makes it a device of this machine. When this process dies, commands wait for the next one, though not for ever.

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { BLOCK_BYTES_MAX, BLOCK_READ_ONLY } from "../abi.ts";
import type { NbdExport } from "./directory.ts";
import { ExportError } from "./export-errors.ts";
import type { PresentedUnit } from "./presented.ts";
import { TARGET_PLACES, TargetConfiguration, type TargetDisk, type TargetPlaces } from "./target-configuration.ts";
import { counted } from "../wording.ts";

/** A device that the reactor serves. */
export interface ScsiServed {
  /** The unit's number. */
  readonly name: number;
  /** Handle of the unit in the reactor. */
  readonly unit: number;
  readonly blockBytes: number;
  readonly disk: TargetDisk;
}

/** The reactor's part. */
export interface ScsiServer {
  /** Why the unit's reactor takes no calls; null when it does. */
  whyAway(unit: number): string | null;
  open(serving: {
    readonly unit: number;
    readonly flags: number;
    readonly name: number;
    readonly uio: string;
    readonly bytes: number;
    readonly blocks: number;
    readonly presented: PresentedUnit;
  }): Promise<void>;
  fail(device: { readonly name: number; readonly unit: number }): Promise<void>;
  close(device: { readonly name: number; readonly unit: number }): Promise<void>;
  resize(device: { readonly name: number; readonly unit: number }, blocks: number): Promise<void>;
  /** Tells its initiators. @param code ASC * 256 + ASCQ */
  attention(device: { readonly name: number; readonly unit: number }, code: number): Promise<void>;
}

/** What a device is made of. */
export interface ScsiOffer {
  readonly entry: NbdExport;
  readonly presented: PresentedUnit;
  /** The longest that a request may take in the core. */
  readonly requestMs: number;
}

/** The kernel gives a command up later than the core answers it, and its SCSI layer later than that. */
const COMMAND_MARGIN_S = 10;
const COMMAND_S_MIN = 30;
const DISK_MARGIN_S = 20;
/** How long detaching waits for requests that wait for a path; then they fail. */
const STOP_MS_MAX = 2000;
/** The kernel closes the ring of a process that was killed a little later. */
const OPEN_MS_MAX = 5000;
const OPEN_PAUSE_MS = 50;
/** Unit attention: capacity data has changed. */
const CAPACITY_CHANGED = 0x2a09;

/** Whose a device is: no other unit's, though it may get this one's number. */
function scsiOwner({ formerIdentity, identity, number }: NbdExport): string {
  const text = formerIdentity ?? identity ?? `#${number}`;
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

function failed(what: string, error: unknown): ExportError {
  const why = error instanceof Error ? error.message : String(error);
  return new ExportError("EXPORT_ATTACH_FAILED", `${what}: ${why}`, { cause: error });
}

const commandSeconds = (requestMs: number): number =>
  Math.max(COMMAND_S_MIN, Math.ceil(requestMs / 1000) + COMMAND_MARGIN_S);

/** The units that this process has made SCSI devices. */
export class ScsiDevices {
  readonly #server: ScsiServer;
  readonly #report: (problem: string) => void;
  readonly #places: TargetPlaces;
  readonly #served = new Map<number, ScsiServed>();
  readonly #ending = new Set<number>();

  /** @param report hears, in a sentence, that a device was removed by somebody else */
  constructor(server: ScsiServer, report: (problem: string) => void = () => {}, places: TargetPlaces = TARGET_PLACES) {
    this.#server = server;
    this.#report = report;
    this.#places = places;
  }

  get list(): readonly ScsiServed[] {
    return [...this.#served.values()];
  }

  #configuration(name: number): TargetConfiguration {
    return new TargetConfiguration(name, this.#places);
  }

  /** Takes over devices that the reactor serves already. */
  async adopt(
    queues: readonly { readonly name: number; readonly unit: number }[],
    blockBytes: (name: number) => number,
  ): Promise<void> {
    for (const { name, unit } of queues) {
      const kernel = this.#configuration(name);
      // The process that took it over may have ended before it let commands come again.
      await kernel.resume().catch((error: unknown) => {
        this.#report(failed(`LogicalUnit #${name}'s SCSI device may take no commands`, error).message);
      });
      const disk = await kernel.disk();
      if (disk !== undefined) this.#served.set(name, { name, unit, blockBytes: blockBytes(name), disk });
    }
  }

  /**
   * Makes a unit a SCSI device, or takes over the one that an earlier process has made of it.
   *
   * @throws ExportError EXPORT_ATTACH_FAILED; then nothing is left behind
   */
  async attach(offer: ScsiOffer): Promise<ScsiServed> {
    const { entry } = offer;
    // One that stands still may have the device open: its ring must not be reset under it.
    const away = this.#server.whyAway(entry.unit);
    if (away !== null) throw failed(`LogicalUnit #${entry.number} cannot become a SCSI device`, new Error(away));
    const kernel = this.#configuration(entry.number);
    const owner = await kernel.owner();
    const isLeft = owner === scsiOwner(entry);
    if (owner !== null && !isLeft) {
      const why = "the kernel's target has a device of its number that belongs to another unit, or another daemon";
      throw failed(`LogicalUnit #${entry.number} cannot become a SCSI device`, new Error(why));
    }
    this.#ending.delete(entry.number);
    try {
      return await this.#make(kernel, offer, isLeft);
    } catch (error) {
      if (!isLeft) await this.#clear(kernel, entry).catch(() => undefined);
      throw failed(`LogicalUnit #${entry.number} cannot become a SCSI device`, error);
    }
  }

  async #make(
    kernel: TargetConfiguration,
    { entry, presented, requestMs }: ScsiOffer,
    isLeft: boolean,
  ): Promise<ScsiServed> {
    const { number: name, unit, bytes, blockBytes } = entry;
    const commandS = commandSeconds(requestMs);
    const shape = {
      owner: scsiOwner(entry),
      bytes,
      blockBytes,
      transferBlocksMax: BLOCK_BYTES_MAX / blockBytes,
      commandS,
    };
    const { uio, bytes: mapped } = await kernel.store(shape);
    const blocks = Number(bytes / BigInt(blockBytes));
    const serving = {
      unit,
      flags: presented.readOnly ? BLOCK_READ_ONLY : 0,
      name,
      uio,
      bytes: mapped,
      blocks,
      presented,
    };
    await this.#open(isLeft ? () => kernel.reset() : null, () => this.#server.open(serving));
    if (isLeft) await kernel.resume();
    const disk = await kernel.link(commandS + DISK_MARGIN_S);
    const served = { name, unit, blockBytes, disk };
    this.#served.set(name, served);
    if (isLeft) await this.#resize(served, bytes);
    return served;
  }

  async #open(prepare: (() => Promise<void>) | null, open: () => Promise<void>): Promise<void> {
    const endMs = performance.now() + OPEN_MS_MAX;
    for (;;) {
      try {
        await prepare?.();
        return await open();
      } catch (error) {
        const isBusy = error instanceof Error && /busy/i.test(error.message);
        if (!isBusy || performance.now() > endMs) throw error;
        await sleep(OPEN_PAUSE_MS);
      }
    }
  }

  async #clear(kernel: TargetConfiguration, { number: name, unit }: NbdExport): Promise<void> {
    this.#ending.add(name);
    await kernel.unlink(false);
    await this.#server.close({ name, unit }).catch(() => undefined);
    await kernel.remove();
  }

  /** The unit's size has changed: updates its device. */
  async resize(unit: number, bytes: bigint): Promise<void> {
    for (const served of this.list) {
      if (served.unit !== unit) continue;
      await this.#resize(served, bytes);
      // Only now: the kernel's own commands for the new size would take it.
      await this.#server.attention(served, CAPACITY_CHANGED);
    }
  }

  async #resize(served: ScsiServed, bytes: bigint): Promise<void> {
    await this.#server.resize(served, Number(bytes / BigInt(served.blockBytes)));
    await this.#configuration(served.name)
      .resize(bytes)
      .catch((error: unknown) => {
        throw failed(`/dev/${served.disk.name} cannot get its new size of ${counted(bytes, "byte")}`, error);
      });
  }

  /** Takes a device away, in the reverse order. Requests that wait for a path fail after a moment. */
  async detach(name: number): Promise<void> {
    const served = this.#served.get(name);
    const kernel = this.#configuration(name);
    this.#ending.add(name);
    const patience = new AbortController();
    try {
      if (served !== undefined) void this.#failLater(served, patience.signal);
      await kernel.unlink(served === undefined);
      patience.abort();
      if (served !== undefined) await this.#server.close(served);
      await kernel.remove();
      this.#served.delete(name);
    } catch (error) {
      throw failed(
        `${served === undefined ? `SCSI device #${name}` : `/dev/${served.disk.name}`} cannot be detached`,
        error,
      );
    } finally {
      patience.abort();
    }
  }

  async #failLater(served: ScsiServed, signal: AbortSignal): Promise<void> {
    const isDue = await sleep(STOP_MS_MAX, true, { signal }).catch(() => false);
    if (isDue) await this.#server.fail(served).catch(() => undefined);
  }

  /** The reactor does not serve a device any more. */
  ended(name: number): void {
    const served = this.#served.get(name);
    this.#served.delete(name);
    if (served === undefined || this.#ending.has(name)) return;
    this.#report(`/dev/${served.disk.name} was removed by somebody else; detach it here, too, or attach it anew`);
  }
}
