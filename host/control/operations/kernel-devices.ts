// Block devices of the kernel that units are attached to, whichever driver they have: nbd, ublk or (scsi) its SCSI target. A device is known by
// its number in the state file: N of /dev/nbdN, UBLK_FROM + N of /dev/ublkbN, or SCSI_FROM + the unit's number, as sdX may be another one next time.

import { queueLimits } from "../../discovery/queue-limits.ts";
import { DEAD_CONNECTION_TIMEOUT_S, type KernelAttachments } from "../../export/attach.ts";
import type { NbdExport } from "../../export/directory.ts";
import { presentedOf } from "../../export/presented.ts";
import type { ScsiDevices, ScsiOffer } from "../../export/scsi-devices.ts";
import { diskNameOf } from "../../export/target-configuration.ts";
import { type UblkAttachments, ublkIndex, whyNoUblk } from "../../export/ublk.ts";
import type { Unit } from "../inventory/inventory.ts";
import type { AttachRequest } from "../schemas/unit-schema.ts";
import type { TargetOffer } from "./scsi-targets.ts";
import type { AttachmentRow } from "../state/state.ts";

/** A device is `/dev/nbd...`, `/dev/ublkb...` or `/dev/sd...`. */
export type Driver = "nbd" | "ublk" | "scsi";

const UBLK_FROM = 1 << 20;
const SCSI_FROM = 1 << 21;

export const driverOf = (number: number): Driver =>
  number >= SCSI_FROM ? "scsi" : number >= UBLK_FROM ? "ublk" : "nbd";

/** N of the device; the unit's number for a SCSI device. */
export const indexOf = (number: number): number =>
  number >= SCSI_FROM ? number - SCSI_FROM : number >= UBLK_FROM ? number - UBLK_FROM : number;

const NAMES: Readonly<Record<Driver, (index: number) => string>> = {
  nbd: (index) => `nbd${index}`,
  ublk: (index) => `ublkb${index}`,
  // While there is none, nobody has opened it.
  scsi: (index) => diskNameOf(index) ?? `scsi-of-unit-${index}`,
};

export const nameOf = (number: number): string => NAMES[driverOf(number)](indexOf(number));

export const deviceOf = (number: number): string => `/dev/${nameOf(number)}`;

/** The options it was attached with. */
export function optionsOf(options: AttachmentRow["options"]): {
  readonly count: number;
  readonly deadConnectionTimeoutS: number;
  readonly readOnly: boolean;
} {
  return {
    count: Number(options["connections"] ?? 1),
    deadConnectionTimeoutS: Number(options["deadConnectionTimeoutS"] ?? 0),
    readOnly: options["readOnly"] === true,
  };
}

/** A device, and the options that its driver took. */
interface Made {
  readonly number: number;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a unit's SCSI device is made of. */
export type OfferOf = (unit: Unit) => Promise<TargetOffer>;

export class KernelDevices {
  readonly nbd: KernelAttachments;
  readonly ublk: UblkAttachments;
  readonly scsi: ScsiDevices;
  readonly #offer: OfferOf;
  /** Whether the reactor can serve ublk devices. */
  readonly #hasRing: () => boolean;

  constructor({ nbd, ublk, scsi }: Pick<KernelDevices, Driver>, offer: OfferOf, hasRing: () => boolean) {
    this.nbd = nbd;
    this.ublk = ublk;
    this.scsi = scsi;
    this.#offer = offer;
    this.#hasRing = hasRing;
  }

  isServed(number: number): boolean {
    const index = indexOf(number);
    if (driverOf(number) === "scsi") return this.scsi.list.some(({ name }) => name === index);
    const list = driverOf(number) === "ublk" ? this.ublk.list : this.nbd.list;
    return list.some((one) => one.index === index);
  }

  /** The driver that is asked for; without a wish, ublk where the kernel has it and nothing is asked for that only nbd knows. */
  async #driverFor({ device, driver, connections }: AttachRequest): Promise<Driver> {
    if (device !== undefined) return ublkIndex(device) === undefined ? "nbd" : "ublk";
    if (driver !== undefined) return driver;
    if (connections !== undefined) return "nbd";
    return this.#hasRing() && (await whyNoUblk()) === null ? "ublk" : "nbd";
  }

  async attach(unit: Unit, entry: NbdExport, request: AttachRequest): Promise<Made> {
    const readOnly = entry.readOnly === true;
    const { device, connections, deadConnectionTimeoutS } = request;
    const driver = await this.#driverFor(request);
    if (driver === "scsi") {
      const { name } = await this.scsi.attach(await this.#offerOf(unit, entry));
      return { number: SCSI_FROM + name, options: { readOnly } };
    }
    if (driver === "ublk") {
      const wanted = device === undefined ? undefined : ublkIndex(device);
      const timeoutS = deadConnectionTimeoutS ?? DEAD_CONNECTION_TIMEOUT_S;
      const how = { limits: limitsOf(unit), deadConnectionTimeoutS: timeoutS };
      const { index } = await this.ublk.attach(entry, wanted, how);
      return { number: UBLK_FROM + index, options: { readOnly, deadConnectionTimeoutS: timeoutS } };
    }
    const made = await this.nbd.attach(entry, {
      ...(device === undefined ? {} : { device }),
      ...(connections === undefined ? {} : { connections }),
      ...(deadConnectionTimeoutS === undefined ? {} : { deadConnectionTimeoutS }),
    });
    const options = {
      readOnly,
      connections: made.connections,
      deadConnectionTimeoutS: made.deadConnectionTimeoutS,
    };
    return { number: made.index, options };
  }

  async #offerOf(unit: Unit, entry: NbdExport): Promise<ScsiOffer> {
    const { pages, requestMs } = await this.#offer(unit);
    return { entry, requestMs, presented: presentedOf(entry, pages, limitsOf(unit).physicalBytes) };
  }

  /** Takes over a device of an earlier daemon; one that the kernel has given up is attached anew. */
  async restore(unit: Unit, entry: NbdExport, { index: number, options }: AttachmentRow): Promise<void> {
    const index = indexOf(number);
    if (driverOf(number) === "scsi") {
      await this.scsi.attach(await this.#offerOf(unit, entry));
      return;
    }
    if (driverOf(number) === "ublk") {
      const resumed = await this.ublk.resume(entry, index);
      // Attachments made before it was recorded have none.
      const timeoutS = Number(options["deadConnectionTimeoutS"] ?? DEAD_CONNECTION_TIMEOUT_S);
      const how = { limits: limitsOf(unit), deadConnectionTimeoutS: timeoutS };
      if (resumed === undefined) await this.ublk.attach(entry, index, how);
      return;
    }
    const { count: connections, deadConnectionTimeoutS } = optionsOf(options);
    const device = deviceOf(number);
    const resumed = await this.nbd.resume(entry, { device, index, connections, deadConnectionTimeoutS });
    if (resumed === undefined) await this.nbd.attach(entry, { device, connections, deadConnectionTimeoutS });
  }

  detach(number: number): Promise<void> {
    const driver = driverOf(number);
    if (driver === "scsi") return this.scsi.detach(indexOf(number));
    return driver === "ublk" ? this.ublk.detach(indexOf(number)) : this.nbd.detach(number);
  }

  async resize({ number, handle }: Unit, bytes: bigint): Promise<void> {
    await this.nbd.resize(number, bytes);
    if (handle === null) return;
    await this.ublk.resize(handle, bytes);
    await this.scsi.resize(handle, bytes);
  }

  stop(): void {
    this.nbd.stop();
    this.ublk.stop();
  }
}

/** Those of one of its paths: they all lead to the same device. */
function limitsOf(unit: Unit): ReturnType<typeof queueLimits> {
  const devices = [...unit.paths.values()].map(({ found }) => found?.blockDevice ?? undefined);
  return queueLimits(devices.find((device) => device !== undefined));
}
