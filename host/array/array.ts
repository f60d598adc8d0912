// The emulated array: one or several SCSI targets with controllers, ports and logical units, beside the real `/dev/sg*`.
//
// It has no clock and no thread of its own: it takes the time from the core's control block, and works in `turn`.

import {
  COMMAND_BUFFER,
  COMMAND_BUFFER_BYTES,
  COMMAND_CDB_BYTES,
  COMMAND_DIRECTION,
  COMMAND_HOST_STATUS,
  COMMAND_RESIDUAL,
  COMMAND_SENSE,
  COMMAND_SENSE_BYTES,
  COMMAND_STATUS,
  DIRECTION_IN,
  DIRECTION_NONE,
  DIRECTION_OUT,
} from "../abi.ts";
import { carryOut } from "./commands/carry-out.ts";
import { Command } from "./commands/command.ts";
import { Engine } from "./engine.ts";
import { ArrayError } from "./array-errors.ts";
import { FaultBook } from "./faults/fault-book.ts";
import { SeededRandom } from "./faults/fault-state.ts";
import type { FaultReport, FaultRequest } from "./faults/faults.ts";
import { SparseMedium, type Medium } from "./medium.ts";
import { Plan } from "./plan.ts";
import { ASC_POWER_ON, ASC_RESET, HOST_TIME_OUT } from "./scsi.ts";
import { PortServer } from "./service.ts";
import { TIME_ANSWER, TIME_EFFECT, TIME_NOW, TIMES } from "./times.ts";
import { fullTopology, pathPlans, type ArrayTopology, type FullTopology } from "./array-topology.ts";
import { LogicalUnit, Port } from "./array-unit.ts";
import { counted } from "../wording.ts";

/** Direct commands: the slot is at 0, followed by the data. */
const DIRECT_BUFFER = 4096;
const DIRECT_BYTES_MAX = 1_048_576;
const FIRST_HOST = 0;

export interface EmulatedArrayOptions {
  /** Creates the medium of each unit; default: `SparseMedium`. */
  readonly medium?: (topology: FullTopology, unit: number, bytes: number) => Medium;
  /** Seed of everything random (exponential service times, probabilities). Default 1. */
  readonly seed?: number;
  /** Whether every nexus starts with a power-on unit attention (29/00), as on a real array. Default true. */
  readonly powerOnAttention?: boolean;
  /** Most bytes a direct command may transfer. Default 1 MiB. */
  readonly directBytesMax?: number;
}

/** A port as discovery sees it. */
export interface ArrayPortInfo {
  /** Port handle, for `pathAdd` and `command`. */
  readonly port: number;
  readonly array: string;
  /** `host:channel:target:lun`. */
  readonly path: string;
  /** Number of its unit in its array. */
  readonly unit: number;
  readonly initiatorPort: number;
  readonly controller: number;
  readonly targetPort: number;
}

/** The outcome of a direct command. */
export interface CommandResult {
  readonly status: number;
  readonly hostStatus: number;
  readonly sense: Uint8Array;
  /** Data read; empty for the other directions. */
  readonly data: Uint8Array;
  readonly residual: number;
}

export class EmulatedArray {
  readonly ports: readonly Port[];
  readonly units: readonly LogicalUnit[];
  readonly random: SeededRandom;
  engine: Engine | null = null;
  /** Engines of other hosts that share the array with the first. A list, because every turn goes through it. */
  #others: readonly { readonly engine: Engine; readonly host: number }[] = [];
  /** Engines of earlier memories that still have commands under way, and their hosts. */
  #formers: { readonly engine: Engine; readonly host: number }[] = [];
  readonly #faults: FaultBook;
  /** Ports whose commands a PREEMPT AND ABORT has ended: what is under way ends when the command itself is over. */
  readonly #aborting: Port[] = [];
  readonly #directBytesMax: number;
  readonly #direct: Command;
  readonly #directPlan = new Plan(new Float64Array(TIMES));

  /**
   * @param topologies one array or several; their ports are numbered consecutively
   * Throws ARRAY_TOPOLOGY if one is wrong, or two have the same name.
   */
  constructor(topologies: ArrayTopology | readonly ArrayTopology[], options: EmulatedArrayOptions = {}) {
    this.random = new SeededRandom(options.seed ?? 1);
    this.#directBytesMax = options.directBytesMax ?? DIRECT_BYTES_MAX;
    this.#direct = new Command(new Uint8Array(DIRECT_BUFFER + this.#directBytesMax));
    const ports: Port[] = [];
    const units: LogicalUnit[] = [];
    const names = new Set<string>();
    const list: readonly ArrayTopology[] = "units" in topologies ? [topologies] : topologies;
    list.forEach((given, arrayIndex) => {
      const topology = fullTopology(given);
      if (names.has(topology.name)) {
        throw new ArrayError(
          "ARRAY_TOPOLOGY",
          `array name: "${topology.name}" is used twice; name each array differently`,
        );
      }
      names.add(topology.name);
      const servers = topology.services.map((service) => new PortServer(service, this.random));
      for (let index = 0; index < topology.units; index++) {
        const unit = makeUnit(topology, index, options);
        unit.abortTasks = (of) => void this.#aborting.push(...of);
        units.push(unit);
        for (const plan of pathPlans(topology)) {
          const server = servers[plan.targetPort];
          if (server === undefined) throw new ArrayError("ARRAY_TOPOLOGY", "array ports: a target port is missing");
          ports.push(new Port({ handle: ports.length, arrayIndex, ...plan }, unit, server));
        }
      }
    });
    this.ports = ports;
    this.units = units;
    if (options.powerOnAttention !== false) for (const port of ports) port.attend(ASC_POWER_ON);
    this.#faults = new FaultBook(this);
  }

  /** The ports, for discovery. */
  describe(): ArrayPortInfo[] {
    return this.ports.map((port) => ({
      port: port.handle,
      array: port.array.name,
      path: port.pathNumber,
      unit: port.home.index,
      initiatorPort: port.initiatorPort,
      controller: port.controller,
      targetPort: port.targetPort,
    }));
  }

  /**
   * Connects the array to a core's memory, after the core's `init`.
   * @param former what happens to the commands of an earlier memory: they are forgotten, or stay under way without a host,
   * like those of a killed daemon; the earlier memory then stays in use and must not change
   * @param host which of the hosts that share the array; each uses its own ports, and all have the same clock
   */
  attach(
    memory: Uint8Array,
    controlBlock: number,
    former: "forgotten" | "under-way" = "forgotten",
    host: number = FIRST_HOST,
  ): void {
    const before =
      host === FIRST_HOST ? this.engine : (this.#others.find((other) => other.host === host)?.engine ?? null);
    if (former === "forgotten") {
      this.#formers = this.#formers.filter((earlier) => earlier.host !== host);
      if (host === FIRST_HOST) for (const port of this.ports) port.inFlight = 0;
    } else if (before !== null) {
      before.orphan();
      this.#formers.push({ engine: before, host });
    }
    const engine = new Engine(memory, controlBlock, this.ports, (port, of) => this.#unitReset(port, of));
    if (host === FIRST_HOST) this.engine = engine;
    else this.#others = [...this.#others.filter((other) => other.host !== host), { engine, host }];
  }

  /** Whether a command from a host's earlier memory is under way that may still change a unit's medium. */
  hasLeftovers(unit: LogicalUnit, host: number = FIRST_HOST): boolean {
    return this.#formers.some((former) => former.host === host && former.engine.inFlight.mayChange(unit));
  }

  /**
   * A host has reset a logical unit through a port: other hosts' commands there are aborted, and they are told (SAM-5 7.7).
   * The same host's commands on its other ports are not affected here.
   */
  #unitReset(by: Port, of: Engine): void {
    const { unit } = by;
    if (unit === null) return;
    unit.reservations.endSpc2();
    if (this.#others.length === 0) return;
    this.inFlight((engine) => {
      if (engine !== of) engine.inFlight.abort(unit, by);
    });
    for (const port of unit.ports) if (port.initiatorPort !== by.initiatorPort) port.attend(ASC_RESET);
  }

  /** Takes the array queue's submissions and finishes what is due. Returns the number of completions posted. */
  turn(): number {
    const { engine } = this;
    if (engine === null) return 0;
    if ((this.#faults.next[0] as number) < Infinity) this.#faults.run(engine.readClock());
    if (this.#formers.length > 0) this.#turnFormers(engine.readClock());
    let posted = engine.turn();
    for (const { engine: other } of this.#others) posted += other.turn();
    if (this.#aborting.length > 0) this.#abortTasks();
    return posted;
  }

  #abortTasks(): void {
    const ports = new Set(this.#aborting.splice(0));
    this.inFlight((engine) => engine.inFlight.preempt(ports));
  }

  #turnFormers(nowNs: number): void {
    for (const former of this.#formers) former.engine.turnAlone(nowNs);
    this.#formers = this.#formers.filter((former) => former.engine.pendingCount > 0);
  }

  /** Ends, holds or releases commands in flight, including those of earlier memories. */
  inFlight(act: (engine: Engine) => void): void {
    const { engine } = this;
    if (engine === null) return;
    const nowNs = engine.readClock();
    for (const former of this.#formers) {
      former.engine.setTime(nowNs);
      act(former.engine);
    }
    act(engine);
    for (const other of this.#others) act(other.engine);
  }

  /** Whether the last turn left submissions that it could have taken: call `turn` again at once. */
  get backlog(): boolean {
    if (this.engine?.backlog === true) return true;
    for (const { engine } of this.#others) if (engine.backlog) return true;
    return false;
  }

  /** The latest time to call `turn` again, ns on the control block's clock; Infinity: no need. */
  get deadlineNs(): number {
    let dueNs = Math.min(this.engine?.dueNs ?? Infinity, this.#faults.next[0] as number);
    for (const former of this.#formers) dueNs = Math.min(dueNs, former.engine.dueNs);
    for (const other of this.#others) dueNs = Math.min(dueNs, other.engine.dueNs);
    return dueNs;
  }

  /** The same as a delay from the clock's last reading: whole microseconds, rounded up; -1 if nothing is due. */
  waitMicroseconds(): number {
    return this.engine === null ? -1 : this.engine.waitMicroseconds(this.#faults.next);
  }

  // ---- Faults ----

  /** Adds a fault and returns its id. Throws ARRAY_FAULT naming the parameter. */
  addFault(request: FaultRequest): number {
    return this.#faults.add(request, this.engine?.readClock() ?? 0);
  }

  /** Lifts a fault; false if there is none with this id. */
  liftFault(id: number): boolean {
    return this.#faults.lift(id);
  }

  liftAllFaults(): void {
    this.#faults.liftAll();
  }

  faults(): FaultReport[] {
    return this.#faults.list();
  }

  // ---- Direct commands ----

  /**
   * Carries out one command at once, bypassing the rings: for discovery and tests. Faults act on it; one that would never be
   * answered ends with DID_TIME_OUT, as if its timeout had passed.
   * @param cdb 6, 10, 12 or 16 bytes
   * @param data bytes to send, or the size of the buffer for data to read; null for no data. At most `directBytesMax`.
   */
  command(port: number, cdb: Uint8Array, data: Uint8Array | number | null = null): CommandResult {
    const place = this.ports[port];
    if (place === undefined)
      throw new ArrayError("ARRAY_PORT", `port: there is no port ${port}; 0 to ${this.ports.length - 1}`);
    const bytes = typeof data === "number" ? data : (data?.length ?? 0);
    if (bytes > this.#directBytesMax || cdb.length > 16) {
      throw new ArrayError(
        "ARRAY_PORT",
        `data: ${counted(bytes, "byte")} with a CDB of ${cdb.length}; at most ${this.#directBytesMax} and 16`,
      );
    }
    const command = this.#direct;
    prepare(command, cdb, data, bytes);
    command.open(0);
    const answered = this.#meetFaults(command, place);
    if (!answered) carryOut(command, place, this.ports);
    if (this.#aborting.length > 0) this.#abortTasks();
    return resultOf(command);
  }

  /** True if a fault has already answered the command. */
  #meetFaults(command: Command, port: Port): boolean {
    if (port.faults === null) return false;
    const plan = this.#directPlan;
    plan.times[TIME_NOW] = this.engine?.readClock() ?? 0;
    if (!plan.make(command, port)) return true;
    if ((plan.times[TIME_ANSWER] as number) < Infinity) return false;
    if ((plan.times[TIME_EFFECT] as number) < Infinity) carryOut(command, port, this.ports);
    command.lose(HOST_TIME_OUT);
    return true;
  }
}

function makeUnit(topology: FullTopology, index: number, options: EmulatedArrayOptions): LogicalUnit {
  const medium = options.medium?.(topology, index, topology.unitBytes) ?? new SparseMedium();
  return new LogicalUnit(topology, index, medium);
}

function prepare(command: Command, cdb: Uint8Array, data: Uint8Array | number | null, bytes: number): void {
  const { bytes: memory, words } = command;
  memory.fill(0, 0, DIRECT_BUFFER);
  memory.set(cdb, 0);
  memory[COMMAND_CDB_BYTES] = cdb.length;
  const direction = typeof data === "number" ? DIRECTION_IN : DIRECTION_OUT;
  memory[COMMAND_DIRECTION] = data === null ? DIRECTION_NONE : direction;
  words[COMMAND_BUFFER >>> 2] = DIRECT_BUFFER;
  words[COMMAND_BUFFER_BYTES >>> 2] = bytes;
  if (typeof data === "number") memory.fill(0, DIRECT_BUFFER, DIRECT_BUFFER + bytes);
  else if (data !== null) memory.set(data, DIRECT_BUFFER);
}

function resultOf(command: Command): CommandResult {
  const { bytes, words } = command;
  const sense = bytes[COMMAND_SENSE_BYTES] ?? 0;
  const residual = words[COMMAND_RESIDUAL >>> 2] ?? 0;
  const received = command.direction === DIRECTION_IN ? Math.max(0, command.bufferBytes - Math.max(0, residual)) : 0;
  return {
    status: bytes[COMMAND_STATUS] ?? 0,
    hostStatus: (bytes[COMMAND_HOST_STATUS] ?? 0) | ((bytes[COMMAND_HOST_STATUS + 1] ?? 0) << 8),
    sense: bytes.slice(COMMAND_SENSE, COMMAND_SENSE + sense),
    data: bytes.slice(DIRECT_BUFFER, DIRECT_BUFFER + received),
    residual,
  };
}
