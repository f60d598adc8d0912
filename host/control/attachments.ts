// Which units are attached to the kernel's nbd driver, remembered so that a daemon that starts again takes them over.

import { readFileSync } from "node:fs";
import { KernelAttachments, type KernelAttachment } from "../export/attach.ts";
import type { NbdExport } from "../export/directory.ts";
import type { ReactorClient } from "../reactor/client.ts";
import type { Attachments } from "./context.ts";
import { ControlError, reasonOf } from "./errors.ts";
import type { Inventory, Unit } from "./inventory.ts";
import { exportOf } from "./offering.ts";
import type { Attachment, AttachRequest } from "./schemas/unit.ts";
import type { AttachmentRow, State } from "./state.ts";

/** Where a device or a partition of it is mounted, or null. */
function mountOf(device: string): string | null {
  try {
    const rows = readFileSync("/proc/self/mounts", "utf8").split("\n");
    const isIt = (source: string): boolean => source === device || source.startsWith(`${device}p`);
    return rows.map((line) => line.split(" ")).find(([source = ""]) => isIt(source))?.[1] ?? null;
  } catch {
    return null;
  }
}

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
  /** Mirror of the state file's rows, so that a display reads no disk. */
  #rows: AttachmentRow[];

  constructor(reactor: ReactorClient, state: State, inventory: Inventory) {
    this.#kernel = new KernelAttachments((descriptor, unit, flags) => reactor.addConnection(descriptor, unit, flags));
    this.#state = state;
    this.#inventory = inventory;
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
    for (const { index } of rows) {
      const mount = mountOf(deviceOf(index));
      if (mount !== null) {
        throw new ControlError("BUSY", `${deviceOf(index)} is mounted on ${mount}`, {
          parameter: deviceOf(index),
          remedy: `umount ${mount} first`,
        });
      }
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
