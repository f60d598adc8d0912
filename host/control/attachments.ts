// Which units are attached to the kernel's nbd driver, remembered so that a daemon that starts again takes them over.

import { setTimeout } from "node:timers/promises";
import { KERNEL_SOURCES } from "../discovery/exclusive.ts";
import { heldByAnother, whyTaken } from "../discovery/in-use.ts";
import { KernelAttachments, type KernelAttachment } from "../export/attach.ts";
import type { NbdExport } from "../export/directory.ts";
import type { ReactorClient } from "../reactor/client.ts";
import type { Attachments } from "./context.ts";
import { ControlError, reasonOf } from "./errors.ts";
import type { Inventory, Unit } from "./inventory.ts";
import { exportOf } from "./offering.ts";
import type { Attachment, AttachRequest } from "./schemas/unit.ts";
import type { AttachmentRow, State } from "./state.ts";

/** How long an exclusive open may take: the kernel lets it wait while somebody else's hangs, and detaching is what ends that. */
const OPEN_MS_MAX = 2000;

/** Answers what uses a block device and how to end that, or null. */
export type WhyInUse = (blockDevice: string) => Promise<string | null>;

const askKernel: WhyInUse = async (blockDevice) => {
  const taken = whyTaken(blockDevice, KERNEL_SOURCES);
  if (taken !== null) return taken;
  const opening = KERNEL_SOURCES.openExclusive(`/dev/${blockDevice}`);
  const answer = await Promise.race([opening, setTimeout(OPEN_MS_MAX, null, { ref: false })]);
  return answer === "EBUSY" ? heldByAnother(blockDevice) : null;
};

function attachFailed(unit: Unit, thrown: unknown, device: string | null): ControlError {
  return new ControlError("ATTACH_FAILED", `LogicalUnit #${unit.number}: ${reasonOf(thrown)}`, {
    parameter: device,
    remedy: "`pathctl doctor` tells what is missing: the module nbd, or the right to use it (CAP_SYS_ADMIN)",
    cause: thrown,
  });
}

const deviceOf = (index: number): string => `/dev/nbd${index}`;

export class RememberedAttachments implements Attachments {
  readonly #kernel: KernelAttachments;
  readonly #state: State;
  readonly #inventory: Inventory;
  readonly #whyInUse: WhyInUse;
  /** Mirror of the state file's rows, so that a display reads no disk. */
  #rows: AttachmentRow[];

  constructor(reactor: ReactorClient, state: State, inventory: Inventory, why: WhyInUse = askKernel) {
    this.#kernel = new KernelAttachments((descriptor, unit, flags) => reactor.addConnection(descriptor, unit, flags));
    this.#state = state;
    this.#inventory = inventory;
    this.#whyInUse = why;
    this.#rows = state.attachments();
  }

  #of(unit: Unit): AttachmentRow[] {
    return this.#rows.filter((row) => row.unit === unit.number);
  }

  of(unit: Unit): Attachment[] {
    return this.#of(unit).map(({ index, sinceMs }) => ({ device: deviceOf(index), index, sinceMs }));
  }

  async attach(unit: Unit, request: AttachRequest): Promise<Attachment> {
    const taken = this.#rows.find((row) => deviceOf(row.index) === request.device);
    if (taken !== undefined) {
      throw new ControlError("ATTACHED", `${request.device} is attached to LogicalUnit #${taken.unit}`, {
        parameter: "device",
        remedy: "detach it first, or name another device",
      });
    }
    const readOnly = request.readOnly ?? false;
    let attached: KernelAttachment;
    try {
      const { device, connections, deadConnectionTimeoutS } = request;
      attached = await this.#kernel.attach(this.#export(unit, readOnly), {
        ...(device === undefined ? {} : { device }),
        ...(connections === undefined ? {} : { connections }),
        ...(deadConnectionTimeoutS === undefined ? {} : { deadConnectionTimeoutS }),
      });
    } catch (thrown) {
      throw attachFailed(unit, thrown, request.device ?? null);
    }
    try {
      this.#remember(unit, attached, readOnly, Date.now());
    } catch (thrown) {
      await this.#kernel.detach(attached.index).catch(() => undefined);
      throw thrown;
    }
    return { device: attached.device, index: attached.index, sinceMs: Date.now() };
  }

  #export(unit: Unit, readOnly: boolean): NbdExport {
    const offered = exportOf(unit);
    if (offered === null) throw new Error("it is not offered, as none of its paths was ever there");
    return { ...offered, readOnly };
  }

  #remember(
    unit: Unit,
    { index, connections, deadConnectionTimeoutS }: KernelAttachment,
    readOnly: boolean,
    sinceMs: number,
  ) {
    const options = { readOnly, connections, deadConnectionTimeoutS };
    this.#state.saveAttachment({ index, unit: unit.number, options, sinceMs });
    this.#rows = this.#state.attachments();
  }

  async detach(unit: Unit, device: string | undefined): Promise<Attachment[]> {
    const rows = this.#of(unit).filter((row) => device === undefined || device === deviceOf(row.index));
    if (rows.length === 0) {
      const where = device === undefined ? "" : ` to ${device}`;
      throw new ControlError("NOT_ATTACHED", `LogicalUnit #${unit.number} is not attached${where}`, {
        parameter: device ?? `#${unit.number}`,
        remedy: "`pathctl show` lists what is attached",
      });
    }
    for (const { index } of rows) await this.#refuseInUse(index);
    for (const { index } of rows) {
      try {
        await this.#kernel.detach(index);
      } catch (thrown) {
        throw attachFailed(unit, thrown, deviceOf(index));
      }
      this.#state.forgetAttachment(index);
      this.#rows = this.#state.attachments();
    }
    return this.of(unit);
  }

  /** The driver disconnects a device whoever uses it, and then their I/O fails at once. */
  async #refuseInUse(index: number): Promise<void> {
    const reason = await this.#whyInUse(`nbd${index}`);
    if (reason === null) return;
    const [what = reason, remedy = "end that program first"] = reason.split("; ");
    throw new ControlError("BUSY", what, { parameter: deviceOf(index), remedy });
  }

  async resize(unit: Unit): Promise<void> {
    if (unit.handle !== null) await this.#kernel.resize(unit.handle, BigInt(unit.facts.bytes));
  }

  /**
   * Takes over what was attached before this daemon started; what the kernel has given up is attached anew.
   * @returns what could not be served, one sentence each
   */
  async restore(): Promise<string[]> {
    const outcomes = await Promise.all(
      this.#rows.map(async (row) => {
        const unit = this.#inventory.units().find((candidate) => candidate.number === row.unit);
        if (unit === undefined) return `${deviceOf(row.index)}: LogicalUnit #${row.unit} is not known`;
        try {
          await this.#restoreOne(unit, row);
          return null;
        } catch (thrown) {
          return `${deviceOf(row.index)} is not served: ${reasonOf(thrown)}`;
        }
      }),
    );
    return outcomes.filter((problem) => problem !== null);
  }

  async #restoreOne(unit: Unit, { index, options }: AttachmentRow): Promise<void> {
    const entry = this.#export(unit, options["readOnly"] === true);
    const connections = Number(options["connections"] ?? 1);
    const deadConnectionTimeoutS = Number(options["deadConnectionTimeoutS"] ?? 0);
    const device = deviceOf(index);
    const resumed = await this.#kernel.resume(entry, { device, index, connections, deadConnectionTimeoutS });
    if (resumed === undefined) await this.#kernel.attach(entry, { device, connections, deadConnectionTimeoutS });
  }
}
