// Units attached to the kernel's nbd or ublk driver, or to its SCSI target, remembered so that the next daemon takes them over.

import { KERNEL_SOURCES } from "../../discovery/exclusive-open.ts";
import { heldByAnother, tryOpen, whyTaken } from "../../discovery/in-use.ts";
import { KernelAttachments, type Connector } from "../../export/attach.ts";
import type { NbdExport } from "../../export/directory.ts";
import { type ConnectionRoom, NoRoom } from "../../export/connection-limit.ts";
import { ScsiDevices } from "../../export/scsi-devices.ts";
import { UblkAttachments } from "../../export/ublk.ts";
import { closeDescriptor } from "../../native/index.ts";
import { reactorOf } from "../../reactor/handles.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { Attachments } from "../devices/operation-context.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import { connectionLabel, type ConnectionLabel } from "../core/labels.ts";
import { deviceOf, driverOf, indexOf, KernelDevices, nameOf, optionsOf, type OfferOf } from "./kernel-devices.ts";
import { exportOf, whyNotOffered } from "./offering.ts";
import type { Attachment, AttachRequest } from "../schemas/unit-schema.ts";
import type { AttachmentRow, State } from "../state/state.ts";
import type { UnitConnections } from "./unit-connections.ts";

/** Limit for an exclusive open: the kernel makes it wait while another opener hangs, and detaching is what ends that. */
const OPEN_MS_MAX = 2000;

/** Returns what uses a block device and how to end that, or null. */
export type WhyInUse = (blockDevice: string) => Promise<string | null>;

const askKernel: WhyInUse = async (blockDevice) => {
  const taken = whyTaken(blockDevice, KERNEL_SOURCES);
  if (taken !== null) return taken;
  return (await tryOpen(blockDevice, OPEN_MS_MAX, KERNEL_SOURCES)) === "EBUSY"
    ? heldByAnother(blockDevice, KERNEL_SOURCES)
    : null;
};

export interface AttachmentCalls {
  /** Reports, in a sentence, why a device that lost its connections gets no new ones. */
  readonly report: (problem: string) => void;
  readonly why?: WhyInUse;
  /** Records which device a connection belongs to. */
  readonly relabel?: (connection: number, label: ConnectionLabel) => void;
  /** A unit has got or lost a device, which has this name: udev is to know whose it is. */
  readonly changed?: (device: string) => void;
  /** What a unit's SCSI device is made of. */
  readonly offer?: OfferOf;
}

const noOffer: OfferOf = () => Promise.reject(new Error("there are no SCSI devices here"));

function attachFailed(unit: Unit, thrown: unknown, device: string | null): ControlError {
  const who = `LogicalUnit #${unit.number}`;
  const why = reasonOf(thrown);
  // What the drivers' side says may name the unit already.
  return new ControlError("ATTACH_FAILED", new RegExp(`${who}\\b`).test(why) ? why : `${who}: ${why}`, {
    parameter: device,
    remedy:
      "`pathctl doctor` tells what is missing: a module (nbd, ublk_drv, target_core_user), or the right to use it (CAP_SYS_ADMIN)",
    cause: thrown,
  });
}

function attachedElsewhere(unit: Unit, device: string): ControlError {
  return new ControlError("ATTACHED", `LogicalUnit #${unit.number} is attached to ${device} already`, {
    parameter: "device",
    remedy:
      `use ${device}, or detach it first. A further device (\`--another\`) has a page cache of its own: what is written ` +
      "through one may be read stale through the other",
  });
}

export class RememberedAttachments implements Attachments {
  readonly #kernel: KernelDevices;
  readonly #reactor: Pick<ReactorClient, "ublkQueues" | "scsiQueues">;
  readonly #state: State;
  readonly #inventory: Inventory;
  readonly #whyInUse: WhyInUse;
  readonly #changed: (device: string) => void;
  /** Mirrors the state file's rows, so that a display reads no disk. */
  #rows: AttachmentRow[];
  /** Units detached by command: their configuration does not attach them again. */
  readonly #left = new Set<number>();
  /** Why devices are not served, by index, as last reported. */
  #unserved = new Map<number, string>();

  constructor(
    reactor: Pick<
      ReactorClient,
      | "ublkOpen"
      | "ublkClose"
      | "ublkQueues"
      | "scsiOpen"
      | "scsiFail"
      | "scsiClose"
      | "scsiResize"
      | "scsiAttention"
      | "scsiQueues"
      | "backend"
      | "whyAway"
    >,
    connections: UnitConnections,
    room: ConnectionRoom,
    state: State,
    inventory: Inventory,
    { report, why = askKernel, relabel = () => {}, changed = () => {}, offer = noOffer }: AttachmentCalls,
  ) {
    const preloaded = new Uint8Array();
    const connector: Connector = (descriptor, _, flags, number) => {
      const full = room.full("kernel");
      const label = { origin: "kernel", index: null } as const;
      const connect = (): Promise<number> => connections.add(descriptor, number, flags, preloaded, label);
      if (full === null) return room.connect("kernel", connect);
      closeDescriptor(descriptor);
      return Promise.reject(new NoRoom(full));
    };
    const nbd = new KernelAttachments(connector, report, (connection, index) =>
      relabel(connection, connections.labelOf(connection, { origin: "kernel", index })),
    );
    const ublk = new UblkAttachments(
      {
        open: (unit, flags, device) => reactor.ublkOpen(unit, flags, device),
        close: (client) => reactor.ublkClose(client),
      },
      report,
    );
    this.#reactor = reactor;
    const scsi = new ScsiDevices(
      {
        whyAway: (handle) => reactor.whyAway(reactorOf(handle)),
        open: (serving) => reactor.scsiOpen(serving),
        fail: (device) => reactor.scsiFail(device),
        close: (device) => reactor.scsiClose(device),
        resize: (device, blocks) => reactor.scsiResize(device, blocks),
        attention: (device, code) => reactor.scsiAttention(device, code),
      },
      report,
    );
    this.#kernel = new KernelDevices({ nbd, ublk, scsi }, offer, () => reactor.backend === "io_uring");
    this.#state = state;
    this.#inventory = inventory;
    this.#whyInUse = why;
    this.#changed = changed;
    this.#rows = state.attachments();
  }

  #of(unit: Unit): AttachmentRow[] {
    return this.#rows.filter((row) => row.unit === unit.number);
  }

  /** Attached and served; leaves out devices remembered for units that are still missing. */
  of(unit: Unit): Attachment[] {
    return this.#of(unit)
      .filter(({ index }) => this.#isServed(index))
      .map(({ index, sinceMs }) => ({ device: deviceOf(index), index: indexOf(index), sinceMs }));
  }

  /** Whether the unit has a device, be it served or not, or lost its own by a command. */
  isAttachedOrLeft(unit: Unit): boolean {
    return this.#left.has(unit.number) || this.#of(unit).length > 0;
  }

  /** The configuration was read again: it decides anew. */
  decideAnew(): void {
    this.#left.clear();
  }

  /** Why the unit cannot go to another reactor without its devices noticing, and what to do; null when it can. */
  whyBound(unit: Unit): { readonly device: string; readonly what: string; readonly remedy: string } | null {
    for (const { index, options } of this.#of(unit).filter((row) => this.#isServed(row.index))) {
      const device = deviceOf(index);
      if (driverOf(index) !== "nbd") {
        return {
          device,
          what: "devices of ublk's and SCSI devices stay with their reactor",
          remedy: "detach it first, and attach it again",
        };
      }
      if (optionsOf(options).deadConnectionTimeoutS === 0) {
        const what = "it fails its I/O when its connection ends, as its dead connection timeout is 0";
        return { device, what, remedy: "attach it with another one, or detach it first" };
      }
    }
    return null;
  }

  #isServed(index: number): boolean {
    return this.#kernel.isServed(index);
  }

  /** Whether every remembered device is served. */
  get isComplete(): boolean {
    return this.#rows.every(({ index }) => this.#isServed(index));
  }

  /** Call it for every connection that the reactor has closed. */
  connectionClosed(connection: number): void {
    this.#kernel.nbd.connectionClosed(connection);
  }

  /** Call it for every client of the block door that is gone. */
  clientClosed(client: number): void {
    this.#kernel.ublk.clientClosed(client);
  }

  /** The reactor does not serve a SCSI device any more: somebody else has removed it. */
  targetEnded(name: number): void {
    this.#kernel.scsi.ended(name);
  }

  /** Connections that end from now on are not replaced. */
  stop(): void {
    this.#kernel.stop();
  }

  /** Asked for again, an existing attachment stays as it is and is the answer. */
  async attach(unit: Unit, request: AttachRequest): Promise<Attachment> {
    const taken = this.#rows.find((row) => deviceOf(row.index) === request.device);
    if (taken !== undefined && taken.unit !== unit.number) {
      throw new ControlError("ATTACHED", `${request.device} is attached to LogicalUnit #${taken.unit}`, {
        parameter: "device",
        remedy: "detach it first, or name another device",
      });
    }
    const own = this.#of(unit);
    const known = own.find(({ index }) => this.#isServed(index)) ?? own[0];
    const wantsAny = request.device === undefined && request.another !== true;
    const same = taken ?? (wantsAny ? known : undefined);
    if (same !== undefined) return this.#attachedAgain(unit, same, request);
    if (known !== undefined && request.another !== true) throw attachedElsewhere(unit, deviceOf(known.index));
    const readOnly = request.readOnly ?? false;
    let made: Awaited<ReturnType<KernelDevices["attach"]>>;
    try {
      made = await this.#kernel.attach(unit, this.#export(unit, readOnly), request);
    } catch (thrown) {
      throw attachFailed(unit, thrown, request.device ?? null);
    }
    const { number, options } = made;
    const sinceMs = Date.now();
    try {
      this.#state.saveAttachment({ index: number, unit: unit.number, options, sinceMs });
      this.#rows = this.#state.attachments();
    } catch (thrown) {
      await this.#kernel.detach(number).catch(() => undefined);
      throw thrown;
    }
    this.#tell(number);
    return { device: deviceOf(number), index: indexOf(number), sinceMs };
  }

  /** A device the unit already has, for a repeated request with the same options. */
  async #attachedAgain(unit: Unit, row: AttachmentRow, request: AttachRequest): Promise<Attachment> {
    const { index, sinceMs, options } = row;
    const device = deviceOf(index);
    if (request.driver !== undefined && request.driver !== driverOf(index)) throw attachedElsewhere(unit, device);
    const wanted = { ...request, readOnly: request.readOnly ?? false };
    for (const option of ["readOnly", "connections", "deadConnectionTimeoutS"] as const) {
      if (wanted[option] === undefined || wanted[option] === (options[option] ?? false)) continue;
      const text = `LogicalUnit #${unit.number} is attached to ${device} with ${option} ${String(options[option])}`;
      throw new ControlError("ATTACHED", `${text}, not ${String(wanted[option])}`, {
        parameter: option,
        remedy: "detach it first",
      });
    }
    try {
      if (!this.#isServed(index)) await this.#restoreOne(row);
    } catch (thrown) {
      throw attachFailed(unit, thrown, device);
    }
    return { device, index: indexOf(index), sinceMs };
  }

  #export(unit: Unit, readOnly: boolean): NbdExport {
    const offered = exportOf(unit);
    if (offered === null) throw new Error(`it is not offered: ${whyNotOffered(unit)}`);
    return { ...offered, readOnly };
  }

  /** What is not attached counts as detached. */
  async detach(unit: Unit, device: string | undefined): Promise<{ left: Attachment[]; detached: string[] }> {
    const other = this.#rows.find((row) => deviceOf(row.index) === device && row.unit !== unit.number);
    if (other !== undefined) {
      throw new ControlError(
        "NOT_ATTACHED",
        `${device} is attached to LogicalUnit #${other.unit}, not #${unit.number}`,
        {
          parameter: "device",
          remedy: "`pathctl show` lists what is attached",
        },
      );
    }
    const rows = this.#of(unit).filter((row) => device === undefined || device === deviceOf(row.index));
    for (const { index } of rows) await this.#refuseInUse(index);
    // What could not be forgotten would return with the next start.
    this.#state.demandWritable();
    this.#left.add(unit.number);
    for (const { index } of rows) {
      try {
        await this.#kernel.detach(index);
      } catch (thrown) {
        throw attachFailed(unit, thrown, deviceOf(index));
      }
      this.#state.forgetAttachment(index);
      this.#rows = this.#state.attachments();
      this.#tell(index);
    }
    return { left: this.of(unit), detached: rows.map(({ index }) => deviceOf(index)) };
  }

  /** The driver disconnects a device even when it is in use, and then its users' I/O fails at once. */
  async #refuseInUse(index: number): Promise<void> {
    const reason = await this.#whyInUse(nameOf(index));
    if (reason === null) return;
    const [what = reason, remedy = "end that program first"] = reason.split("; ");
    throw new ControlError("BUSY", what, { parameter: deviceOf(index), remedy });
  }

  #tell(index: number): void {
    this.#changed(nameOf(index));
  }

  async resize(unit: Unit): Promise<void> {
    if (unit.handle !== null) await this.#kernel.resize(unit, BigInt(unit.facts.bytes));
  }

  /**
   * Takes over devices that were attached before this daemon started and are not served yet because their unit was missing; those
   * the kernel has given up are attached anew.
   * @returns what could not be served and was not reported before, one sentence each
   */
  async restore(): Promise<string[]> {
    const before = this.#unserved;
    const problems = new Map<number, string>();
    await Promise.all(
      this.#rows.map(async (row) => {
        if (this.#isServed(row.index)) return;
        try {
          await this.#restoreOne(row);
        } catch (thrown) {
          problems.set(row.index, `${deviceOf(row.index)} is not served: ${reasonOf(thrown)}`);
        }
      }),
    );
    this.#unserved = problems;
    return [...problems].flatMap(([index, problem]) => (before.get(index) === problem ? [] : [problem]));
  }

  /** Takes over devices that the reactor serves: their I/O continues throughout. */
  async adopt(connections: readonly (readonly [number, unknown])[]): Promise<void> {
    this.#kernel.ublk.adopt(await this.#reactor.ublkQueues());
    await this.#kernel.scsi.adopt(await this.#reactor.scsiQueues(), (number) => this.#blockBytes(number));
    for (const row of this.#rows) {
      const isOfIt = ([, label]: readonly [number, unknown]): boolean => connectionLabel(label).index === row.index;
      const handles = connections.filter(isOfIt).map(([handle]) => handle);
      const unit = this.#inventory.units().find((candidate) => candidate.number === row.unit);
      if (handles.length === 0 || unit === undefined) continue;
      const { index, options } = row;
      const { count, deadConnectionTimeoutS, readOnly } = optionsOf(options);
      const how = { index, connections: count, deadConnectionTimeoutS };
      this.#kernel.nbd.adopt(this.#export(unit, readOnly), how, handles, Math.max(0, count - handles.length));
    }
  }

  #blockBytes(number: number): number {
    return this.#inventory.units().find((unit) => unit.number === number)?.facts.blockBytes ?? 512;
  }

  async #restoreOne(row: AttachmentRow): Promise<void> {
    const unit = this.#inventory.units().find(({ number }) => number === row.unit);
    if (unit === undefined) throw new Error(`LogicalUnit #${row.unit} is not known`);
    const { readOnly } = optionsOf(row.options);
    await this.#kernel.restore(unit, this.#export(unit, readOnly), row);
    this.#tell(row.index);
  }
}
