// The part of the control plane that a world needs: gives a fresh core its units and paths, follows its events, and
// changes settings under load as an operator would.

import type { EmulatedArray } from "../../host/array/array.ts";
import {
  EVENT_CAPACITY_CHANGED,
  EVENT_CONNECTION_CLOSED,
  MODE_FAILBACK,
  MODE_PATROL,
  MODE_PATROL_INTERVAL_MS,
  MODE_PATROL_THRESHOLD_MS,
  MODE_PATROL_TIMEOUT_MS,
  PATH_ALUA,
  PATH_BYTES,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_UNVERIFIED,
  PATH_FLAG_WRONG_UNIT,
  PATH_FLAGS,
  PATH_GHOSTS,
  PATH_IN_FLIGHT,
  PATH_SET_CONTROLLER,
  PATH_SET_ENABLED,
  PATH_SET_INITIATOR_PORT,
  PATH_SET_TARGET_PORT,
  PATH_SET_TARGET_PORT_GROUP,
  POLICY_COUNT,
  UNIT_BYTES,
  UNIT_CAN_ALUA,
  UNIT_CAN_CACHE_WRITES,
  UNIT_CAN_FUA,
  UNIT_CAN_LBA_STATUS,
  UNIT_CAN_UNMAP,
  UNIT_CAN_WRITE_SAME,
  UNIT_CAN_WRITE_SAME_UNMAP,
  UNIT_GHOSTS,
  UNIT_REQUESTS,
  UNIT_SET_ALUA_EXPLICIT,
  UNIT_SET_BLOCK_BYTES,
  UNIT_SET_BLOCKS,
  UNIT_SET_CAPABILITIES,
  UNIT_SET_COMMAND_TIMEOUT_MS,
  UNIT_SET_GHOST_RESET_MS,
  UNIT_SET_INHERITED,
  UNIT_SET_IO_TIMEOUT_MS,
  UNIT_SET_LOST_RESET_MS,
  UNIT_SET_NO_PATH_TIMEOUT_MS,
  UNIT_SET_POLICY,
  UNIT_SET_STALL_MAX_MS,
  UNIT_SET_STALL_MIN_MS,
  UNIT_SET_TRANSFER_BLOCKS_MAX,
  UNIT_USABLE,
} from "../../host/abi.ts";
import { type CoreEvent, SimulatedCore } from "./core.ts";
import type { WorldPlan } from "./plan.ts";
import type { Random } from "./random.ts";

const PATH_RECORDS = 24;
/** Priorities of paths that have moved; those of a world's first paths are smaller. */
const MOVED_PRIORITY = 100;
const PRIORITY_MAX = 254;

/** NAA designator (type 3, binary) of a simulated unit as the core wants it. */
function identityOf(designator: Uint8Array): Uint8Array {
  return Uint8Array.of(3, 1, ...designator);
}

export class Daemon {
  readonly core: SimulatedCore;
  readonly #plan: WorldPlan;
  readonly #array: EmulatedArray;
  readonly #violation: (text: string) => void;
  readonly #paths: number[] = [];
  readonly #units: number[] = [];
  onConnectionClosed: (connection: number) => void = () => {};
  onEvent: (event: CoreEvent) => void = () => {};
  #priority = MOVED_PRIORITY;

  constructor(
    module: WebAssembly.Module,
    plan: WorldPlan,
    array: EmulatedArray,
    seed: number,
    nowNs: number,
    violation: (text: string) => void,
  ) {
    this.#plan = plan;
    this.#array = array;
    this.#violation = violation;
    this.core = new SimulatedCore(
      module,
      { connections: 64, requests: 48, commands: 64, poolBytes: 34 << 20, units: 4, paths: PATH_RECORDS, events: 4096 },
      seed,
    );
    this.core.nowNs = nowNs;
    this.#modes();
    for (let unit = 0; unit < plan.units; unit++) this.#addUnit(unit);
    for (const port of array.ports) this.#addPath(port);
  }

  #expect(answer: number, what: string): number {
    if (answer < 0) throw new Error(`the core refused ${what}: ${answer}`);
    return answer;
  }

  /** Tells the core of a unit's commands that an earlier daemon has left, or that they have ended. */
  inherit(unit: number, left: boolean): void {
    this.#expect(this.core.exports.unitSet(this.#units[unit] ?? -1, UNIT_SET_INHERITED, left ? 1n : 0n), "inheritance");
  }

  #modes(): void {
    const { exports } = this.core;
    this.#expect(exports.modeSet(MODE_FAILBACK, 0n), "failback");
    this.#expect(exports.modeSet(MODE_PATROL, 3n), "patrol");
    const interval = BigInt(this.#plan.patrolMs);
    this.#expect(exports.modeSet(MODE_PATROL_INTERVAL_MS, interval), "interval");
    this.#expect(exports.modeSet(MODE_PATROL_THRESHOLD_MS, interval), "threshold");
    this.#expect(exports.modeSet(MODE_PATROL_TIMEOUT_MS, interval), "timeout");
  }

  #addUnit(index: number): void {
    const { exports } = this.core;
    const plan = this.#plan;
    const unit = this.#expect(exports.unitAdd(), "unitAdd");
    const real = this.#array.units[index];
    if (real === undefined) throw new Error("no such unit");
    const cache = plan.topology.writeCache === true ? UNIT_CAN_CACHE_WRITES : 0;
    const same = plan.writesSame ? UNIT_CAN_WRITE_SAME | UNIT_CAN_WRITE_SAME_UNMAP : 0;
    const fua = plan.knowsFua ? UNIT_CAN_FUA : 0;
    const status = plan.tellsStatus ? UNIT_CAN_LBA_STATUS : 0;
    const can = UNIT_CAN_UNMAP | same | fua | status | UNIT_CAN_ALUA | cache;
    const settings: [number, number][] = [
      [UNIT_SET_BLOCK_BYTES, plan.blockBytes],
      [UNIT_SET_BLOCKS, real.blocks],
      [UNIT_SET_TRANSFER_BLOCKS_MAX, plan.transferBlocksMax],
      [UNIT_SET_CAPABILITIES, can],
      [UNIT_SET_POLICY, plan.policy],
      [UNIT_SET_IO_TIMEOUT_MS, plan.ioTimeoutMs],
      [UNIT_SET_NO_PATH_TIMEOUT_MS, plan.noPathTimeoutMs],
      [UNIT_SET_STALL_MIN_MS, plan.stallMinMs],
      [UNIT_SET_STALL_MAX_MS, plan.stallMaxMs],
      [UNIT_SET_GHOST_RESET_MS, plan.ghostResetMs],
      [UNIT_SET_LOST_RESET_MS, plan.lostResetMs],
      [UNIT_SET_COMMAND_TIMEOUT_MS, plan.commandTimeoutMs],
      [UNIT_SET_ALUA_EXPLICIT, plan.aluaExplicit ? 1 : 0],
    ];
    for (const [property, value] of settings) {
      this.#expect(exports.unitSet(unit, property, BigInt(value)), `unit property ${property} = ${value}`);
    }
    const identity = identityOf(real.designator);
    this.core.memory.set(identity, exports.scratch());
    this.#expect(exports.unitIdentity(unit, identity.length), "unitIdentity");
    this.#units.push(unit);
  }

  #addPath(port: EmulatedArray["ports"][number]): void {
    const priority = this.#array.ports.filter((p) => p.home === port.home).indexOf(port) + 1;
    const unit = this.#units[port.home.index];
    if (unit === undefined) throw new Error("no such unit");
    this.#paths.push(this.#newPath(unit, port, priority));
  }

  #newPath(unit: number, port: EmulatedArray["ports"][number], priority: number): number {
    const { exports } = this.core;
    const path = this.#expect(exports.pathAdd(unit, 1, port.handle, priority, 1, 32), "pathAdd");
    // Groups and relative ports count from 1 in SPC-4.
    const groups = BigInt(port.controller + 1) | (BigInt(port.targetPort + 1) << 16n);
    this.#expect(exports.pathSet(path, PATH_SET_TARGET_PORT_GROUP, groups), "group");
    this.#expect(exports.pathSet(path, PATH_SET_INITIATOR_PORT, BigInt(port.initiatorPort)), "initiator port");
    this.#expect(exports.pathSet(path, PATH_SET_TARGET_PORT, BigInt(port.targetPort)), "target port");
    this.#expect(exports.pathSet(path, PATH_SET_CONTROLLER, BigInt(port.controller)), "controller");
    return path;
  }

  /**
   * A path goes and comes back under another number: to the core it is a new one, which has to tell who it is. Answers
   * which, or null when no record is free for it.
   */
  renumber(random: Random): string | null {
    const { exports, view } = this.core;
    const records = Array.from({ length: PATH_RECORDS }, (_, i) => exports.pathTable() + i * PATH_BYTES + PATH_FLAGS);
    const index = random.between(0, this.#paths.length - 1);
    const port = this.#array.ports[index];
    const unit = this.#units[port?.home.index ?? -1];
    if (port === undefined || unit === undefined || records.every((at) => view.getUint32(at, true) !== 0)) return null;
    this.#expect(exports.pathRemove(this.#paths[index] ?? -1), "pathRemove");
    this.#priority = this.#priority === PRIORITY_MAX ? MOVED_PRIORITY : this.#priority + 1;
    this.#paths[index] = this.#newPath(unit, port, this.#priority);
    return port.pathNumber;
  }

  /** Follows events as control would. */
  drain(): void {
    this.core.events((event: CoreEvent) => {
      this.onEvent(event);
      if (event.kind === EVENT_CONNECTION_CLOSED) this.onConnectionClosed(event.arg0);
      if (event.kind === EVENT_CAPACITY_CHANGED) {
        const blocks = this.#array.units[this.#units.indexOf(event.unit)]?.blocks;
        if (blocks !== undefined) this.core.exports.unitSet(event.unit, UNIT_SET_BLOCKS, BigInt(blocks));
      }
    });
  }

  /** An operator changes something; never so that a unit loses its last enabled path. */
  change(random: Random): void {
    const { exports } = this.core;
    if (random.chance(0.5)) {
      exports.unitSet(random.pick(this.#units), UNIT_SET_POLICY, BigInt(random.between(0, POLICY_COUNT - 1)));
      return;
    }
    const path = random.pick(this.#paths);
    exports.pathSet(path, PATH_SET_ENABLED, 0n);
    exports.pathSet(path, PATH_SET_ENABLED, 1n);
  }

  handleOf(unit: number): number {
    return this.#units[unit] ?? 0;
  }

  /** What is not as it should be once the faults are over and every client is answered; empty when all is well. */
  unsettled(): string[] {
    const { exports, view } = this.core;
    const found: string[] = [];
    this.#paths.forEach((path, index) => {
      const record = exports.pathTable() + path * PATH_BYTES;
      const flags = view.getUint32(record + PATH_FLAGS, true);
      const number = this.#array.ports[index]?.pathNumber;
      const bad = PATH_FLAG_FAILED | PATH_FLAG_WRONG_UNIT | PATH_FLAG_UNVERIFIED;
      if ((flags & PATH_FLAG_PRESENT) === 0 || (flags & bad) !== 0) found.push(`path ${number}: flags ${flags}`);
      if (view.getUint32(record + PATH_GHOSTS, true) !== 0) found.push(`path ${number}: ghosts left`);
      if (view.getUint8(record + PATH_ALUA) > 1)
        found.push(`path ${number}: ALUA ${view.getUint8(record + PATH_ALUA)}`);
    });
    for (const unit of this.#units) {
      const record = exports.unitTable() + unit * UNIT_BYTES;
      if (view.getUint32(record + UNIT_REQUESTS, true) !== 0) found.push(`unit ${unit}: requests left`);
      if (view.getUint32(record + UNIT_GHOSTS, true) !== 0) found.push(`unit ${unit}: ghosts left`);
      if (view.getUint32(record + UNIT_USABLE, true) === 0) found.push(`unit ${unit}: no path usable`);
    }
    return found;
  }

  /** Commands in flight on all paths, patrol's included. */
  get inFlight(): number {
    const { exports, view } = this.core;
    let sum = 0;
    for (const path of this.#paths)
      sum += view.getUint32(exports.pathTable() + path * PATH_BYTES + PATH_IN_FLIGHT, true);
    return sum;
  }

  complain(text: string): void {
    this.#violation(text);
  }
}
