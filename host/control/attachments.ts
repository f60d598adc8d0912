// Units attached to the kernel's nbd driver: /dev/nbdN, over a socket pair whose other end the reactor serves.
//
// Attachments survive a restart of the daemon: the kernel keeps the device and its waiting requests for the dead
// connection timeout, and a daemon that starts again gives it a new connection.

import { readFileSync } from "node:fs";
import { transmissionFlags } from "../export/directory.ts";
import { closeDescriptor, nbdAttach, nbdDetach, nbdReconfigure, nbdStatus, socketPair } from "../native/index.ts";
import { CONNECTION_READ_ONLY } from "../reactor/abi.ts";
import type { ReactorClient } from "../reactor/client.ts";
import type { Attachments } from "./context.ts";
import { ControlError, reasonOf } from "./errors.ts";
import type { Inventory, Unit } from "./inventory.ts";
import type { Attachment, AttachRequest } from "./schemas/unit.ts";
import type { AttachmentRow, State } from "./state.ts";

/** How long the kernel lets requests wait for a daemon that is being restarted. */
const DEAD_CONNECTION_TIMEOUT_S = 60;

interface Options {
  readonly readOnly: boolean;
  readonly connections: number;
  readonly deadConnectionTimeoutS: number;
}

function optionsOf(request: AttachRequest): Options {
  return {
    readOnly: request.readOnly ?? false,
    connections: request.connections ?? 1,
    deadConnectionTimeoutS: request.deadConnectionTimeoutS ?? DEAD_CONNECTION_TIMEOUT_S,
  };
}

/** Where a device is mounted, or null. */
function mountOf(device: string): string | null {
  try {
    const rows = readFileSync("/proc/self/mounts", "utf8").split("\n");
    const row = rows
      .map((line) => line.split(" "))
      .find(([source = ""]) => source === device || source.startsWith(`${device}p`));
    return row?.[1] ?? null;
  } catch {
    return null;
  }
}

export class KernelAttachments implements Attachments {
  readonly #reactor: ReactorClient;
  readonly #state: State;
  readonly #inventory: Inventory;

  constructor(reactor: ReactorClient, state: State, inventory: Inventory) {
    this.#reactor = reactor;
    this.#state = state;
    this.#inventory = inventory;
  }

  #rows(unit: Unit): AttachmentRow[] {
    return this.#state.attachments().filter((row) => row.unit === unit.number);
  }

  of(unit: Unit): Attachment[] {
    return this.#rows(unit).map(({ index, sinceMs }) => ({ device: `/dev/nbd${index}`, index, sinceMs }));
  }

  async attach(unit: Unit, request: AttachRequest): Promise<Attachment> {
    const wanted = request.device === undefined ? -1 : Number(request.device.slice("/dev/nbd".length));
    const taken = this.#state.attachments().find((row) => row.index === wanted);
    if (taken !== undefined) {
      throw new ControlError("ATTACHED", `/dev/nbd${wanted} is attached to LogicalUnit #${taken.unit}`, {
        parameter: "device",
        remedy: "detach it first, or name another device",
      });
    }
    const options = optionsOf(request);
    let index: number;
    try {
      index = await this.#connect(unit, wanted, options);
    } catch (thrown) {
      throw new ControlError("ATTACH_FAILED", `LogicalUnit #${unit.number} cannot be attached: ${reasonOf(thrown)}`, {
        parameter: request.device ?? null,
        remedy:
          "run `pathctl doctor`; the nbd module has to be loaded (modprobe nbd) and the daemon needs CAP_SYS_ADMIN",
        cause: thrown,
      });
    }
    const sinceMs = Date.now();
    try {
      this.#state.saveAttachment({ index, unit: unit.number, options: { ...options }, sinceMs });
    } catch (thrown) {
      await nbdDetach(index).catch(() => undefined);
      throw thrown;
    }
    return { device: `/dev/nbd${index}`, index, sinceMs };
  }

  /** Opens socket pairs, gives one end of each to the reactor and `use` the others; closes these afterwards. */
  async #withSockets<T>(unit: Unit, options: Options, use: (sockets: number[]) => Promise<T>): Promise<T> {
    const { handle } = unit;
    if (handle === null) throw new Error("the unit is not offered");
    const kernelEnds: number[] = [];
    try {
      for (let i = 0; i < options.connections; i++) {
        const [kernelEnd, ours] = socketPair("stream");
        kernelEnds.push(kernelEnd);
        await this.#reactor.addConnection(ours, handle, options.readOnly ? CONNECTION_READ_ONLY : 0);
      }
      return await use(kernelEnds);
    } finally {
      for (const descriptor of kernelEnds) closeDescriptor(descriptor);
    }
  }

  #connect(unit: Unit, index: number, options: Options): Promise<number> {
    const { bytes, blockBytes } = unit.facts;
    const serverFlags = transmissionFlags(
      {
        unit: unit.handle ?? 0,
        number: unit.number,
        bytes: BigInt(bytes),
        blockBytes,
        capabilities: unit.capabilities,
        readOnly: options.readOnly,
      },
      false,
    );
    return this.#withSockets(unit, options, (sockets) =>
      nbdAttach({
        index,
        sockets,
        sizeBytes: bytes,
        blockBytes,
        serverFlags,
        deadConnectionTimeoutSeconds: options.deadConnectionTimeoutS,
      }),
    );
  }

  async detach(unit: Unit, device: string | undefined): Promise<Attachment[]> {
    const rows = this.#rows(unit).filter((row) => device === undefined || device === `/dev/nbd${row.index}`);
    if (rows.length === 0) {
      throw new ControlError(
        "NOT_ATTACHED",
        `LogicalUnit #${unit.number} is not attached${device === undefined ? "" : ` to ${device}`}`,
        {
          parameter: device ?? `#${unit.number}`,
          remedy: "`pathctl show` lists what is attached",
        },
      );
    }
    for (const { index } of rows) {
      const mount = mountOf(`/dev/nbd${index}`);
      if (mount !== null) {
        throw new ControlError("BUSY", `/dev/nbd${index} is mounted on ${mount}`, {
          parameter: `/dev/nbd${index}`,
          remedy: `umount ${mount} first`,
        });
      }
      await nbdDetach(index);
      this.#state.forgetAttachment(index);
    }
    return this.of(unit);
  }

  async resize(unit: Unit): Promise<void> {
    for (const { index } of this.#rows(unit)) await nbdReconfigure(index, { sizeBytes: unit.facts.bytes });
  }

  /**
   * Serves again what was attached before this daemon started. A device the kernel has given up is attached anew.
   * @returns what could not be served, one sentence each
   */
  async restore(): Promise<string[]> {
    const problems: string[] = [];
    for (const row of this.#state.attachments()) {
      const unit = this.#inventory.units().find((candidate) => candidate.number === row.unit);
      if (unit === undefined || unit.handle === null) {
        problems.push(`/dev/nbd${row.index}: LogicalUnit #${row.unit} has no path yet`);
        continue;
      }
      try {
        await this.#reconnect(unit, row);
      } catch (thrown) {
        problems.push(`/dev/nbd${row.index}: LogicalUnit #${row.unit} is not attached: ${reasonOf(thrown)}`);
      }
    }
    return problems;
  }

  async #reconnect(unit: Unit, row: AttachmentRow): Promise<void> {
    const options = { ...optionsOf({}), ...row.options } as Options;
    const status = await nbdStatus(row.index).catch(() => []);
    if (status.some(({ index, connected }) => index === row.index && connected)) {
      await this.#withSockets(unit, options, (sockets) => nbdReconfigure(row.index, { sockets }));
    } else {
      await this.#connect(unit, row.index, options);
    }
  }
}
