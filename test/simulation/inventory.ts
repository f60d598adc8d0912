// The units and paths that a daemon has configured in its core: how they are set up, added, removed, moved, and mistaken for
// others.

import type { EmulatedArray } from "../../host/array/array.ts";
import {
  ERROR_BUSY,
  MODE_FAILBACK,
  MODE_PATROL,
  MODE_PATROL_INTERVAL_MS,
  MODE_PATROL_THRESHOLD_MS,
  MODE_PATROL_TIMEOUT_MS,
  PATH_ALUA,
  PATH_BYTES,
  PATH_FLAG_ENABLED,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_UNVERIFIED,
  PATH_FLAG_WRONG_UNIT,
  PATH_FLAGS,
  PATH_ORPHANS,
  PATH_IN_FLIGHT,
  PATH_IOS,
  PATH_PRIORITY,
  PATH_SET_CONTROLLER,
  PATH_SET_INITIATOR_PORT,
  PATH_SET_TARGET_PORT,
  PATH_SET_TARGET_PORT_GROUP,
  PATH_UNIT,
  POLICY_STATIC,
  UNIT_ANSWERED,
  UNIT_BYTES,
  UNIT_CAN_ALUA,
  UNIT_CONNECTIONS,
  UNIT_CAN_CACHE_WRITES,
  UNIT_CAN_FUA,
  UNIT_CAN_LBA_STATUS,
  UNIT_CAN_UNMAP,
  UNIT_CAN_WRITE_SAME,
  UNIT_CAN_WRITE_SAME_UNMAP,
  UNIT_FAILED,
  UNIT_ORPHANS,
  UNIT_REQUESTS,
  UNIT_SET_ALUA_EXPLICIT,
  UNIT_SET_BLOCK_BYTES,
  UNIT_SET_BLOCKS,
  UNIT_SET_CAPABILITIES,
  UNIT_SET_COMMAND_TIMEOUT_MS,
  UNIT_SET_ORPHAN_RESET_MS,
  UNIT_SET_LEFTOVERS,
  UNIT_SET_IO_TIMEOUT_MS,
  UNIT_SET_LOST_RESET_MS,
  UNIT_SET_NO_PATH_TIMEOUT_MS,
  UNIT_SET_POLICY,
  UNIT_SET_STALL_MAX_MS,
  UNIT_SET_STALL_MIN_MS,
  UNIT_SET_TRANSFER_BLOCKS_MAX,
  UNIT_SET_UNMAP_BLOCKS_MAX,
  UNIT_SET_WRITE_SAME_BLOCKS_MAX,
  UNIT_USABLE,
} from "../../host/abi.ts";
import type { Books } from "./books.ts";
import type { SimulatedCore } from "./core.ts";
import type { WorldPlan } from "./plan.ts";
import type { Random } from "./random.ts";

/** Priorities of moved paths; those of a world's first paths are lower numbers. */
const MOVED_PRIORITY = 100;
const PRIORITY_MAX = 254;

/** NAA designator (type 3, binary) of a simulated unit in the core's form. */
function identityOf(designator: Uint8Array): Uint8Array {
  return Uint8Array.of(3, 1, ...designator);
}

type Port = EmulatedArray["ports"][number];

/** What the inventory is based on. */
export interface Ground {
  readonly core: SimulatedCore;
  readonly plan: WorldPlan;
  readonly array: EmulatedArray;
  /** The host's ports among the array's. */
  readonly ports: readonly Port[];
  readonly books: Books;
  /** Number of path records in the core. */
  readonly paths: number;
  /** Whether the unit begins here, and not on another reactor. */
  begins(unit: number): boolean;
  /** Takes the available events. */
  drain(): void;
  /** The core has been told that a unit has so many blocks. */
  sized(unit: number, blocks: number): void;
  violation(text: string): void;
}

export class Inventory {
  readonly #ground: Ground;
  readonly #core: SimulatedCore;
  readonly #ports: readonly Port[];
  readonly #paths: number[] = [];
  readonly #units: number[] = [];
  #pastAnswers = { good: 0, bad: 0 };
  /** Cluster mode is on. */
  cluster = false;
  #priority = MOVED_PRIORITY;
  /** Paths that were assigned to a unit to which they do not lead. */
  readonly #misfits = new Set<number>();
  /** Numbers of the units that other reactors have. */
  readonly #elsewhere = new Set<number>();
  /** Numbers in the array of the units to be removed, by their handles: one that comes again early is there twice. */
  readonly #leaving = new Map<number, number>();

  constructor(ground: Ground) {
    this.#ground = ground;
    this.#core = ground.core;
    this.#ports = ground.ports;
  }

  /** Configures the core's initial units and paths. */
  fill(): void {
    this.#modes();
    for (let unit = 0; unit < this.#ground.plan.units; unit++) {
      if (this.#ground.begins(unit)) this.#addUnit(unit);
      else this.#isElsewhere(unit);
    }
    this.#ports.forEach((port, index) => {
      if (this.#elsewhere.has(port.home.index)) this.#paths[index] = -1;
      else this.#addPath(index);
    });
  }

  #isElsewhere(unit: number): void {
    this.#elsewhere.add(unit);
    this.#units[unit] = -1;
  }

  /** The numbers of the units that this core has, or is about to have again. */
  get own(): number[] {
    return [...this.#units.keys()].filter((unit) => !this.#elsewhere.has(unit));
  }

  /** Whether nothing of clients is under way to the unit in this core, which may have left it, and none is connected. */
  isQuiet(index: number): boolean {
    const isConnected = this.#handlesHere(index).some((unit) => this.#unitField(unit, UNIT_CONNECTIONS) > 0);
    return !isConnected && !this.isUnderWay(index);
  }

  /** Whether a request, an orphan, or a command of either is. */
  isUnderWay(index: number): boolean {
    return this.#handlesHere(index).some((unit) => this.#isBusy(unit));
  }

  #isBusy(unit: number): boolean {
    if (this.#unitField(unit, UNIT_REQUESTS) + this.#unitField(unit, UNIT_ORPHANS) > 0) return true;
    for (let path = 0; path < this.#ground.paths; path++) {
      const isIts = this.#pathField(path, PATH_FLAGS) !== 0 && this.#pathField(path, PATH_UNIT) === unit;
      if (isIts && this.#pathField(path, PATH_IN_FLIGHT) > 0) return true;
    }
    return false;
  }

  #handlesHere(index: number): number[] {
    const unit = this.#units[index] ?? -1;
    return [...(unit >= 0 ? [unit] : []), ...this.#handlesLeaving(index)];
  }

  #handlesLeaving(index: number): number[] {
    return [...this.#leaving].filter(([, of]) => of === index).map(([unit]) => unit);
  }

  #unitField(unit: number, field: number): number {
    return this.#core.view.getUint32(this.#core.exports.unitTable() + unit * UNIT_BYTES + field, true);
  }

  /** The unit goes to another reactor: it is dismantled, and removed when its last check has been answered. */
  leave(index: number): void {
    this.dismantle(index);
    this.#elsewhere.add(index);
  }

  /** The unit has come from another reactor. */
  arrive(index: number): void {
    this.#elsewhere.delete(index);
    this.restore(index);
  }

  /** Whether it is elsewhere, or came again while what it was here before is not gone yet. */
  #hasLeft(unit: number, index: number): boolean {
    const now = this.#units[index] ?? -1;
    return this.#elsewhere.has(index) || (now >= 0 && now !== unit);
  }

  /** Removes the units that have left, as soon as that is possible. Returns whether any is still here. */
  clearLeft(): boolean {
    for (const [unit, index] of this.#leaving) if (this.#hasLeft(unit, index)) this.#remove(unit);
    return [...this.#leaving].some(([unit, index]) => this.#hasLeft(unit, index));
  }

  /** Each path with its port; those that lead elsewhere than their unit are left out. */
  *placed(): Generator<{ readonly path: number; readonly port: Port; readonly flags: number }> {
    for (const [at, path] of this.#paths.entries()) {
      const port = this.#ports[at];
      if (path >= 0 && port !== undefined) yield { path, port, flags: this.#pathField(path, PATH_FLAGS) };
    }
  }

  expect(answer: number, what: string): number {
    if (answer < 0) throw new Error(`the core refused ${what}: ${answer}`);
    return answer;
  }

  /** Tells the core that an earlier daemon has left commands on a unit, or that these have ended. */
  leftovers(unit: number, left: boolean): void {
    const handle = this.#units[unit] ?? -1;
    if (handle < 0) return;
    this.expect(this.#core.exports.unitSet(handle, UNIT_SET_LEFTOVERS, left ? 1n : 0n), "leftovers");
  }

  /** Handles of the units, in the array's order; -1: currently removed. */
  get units(): readonly number[] {
    return this.#units;
  }

  /** Handles of the paths, in the order of the array's ports; -1: currently removed. */
  get paths(): readonly number[] {
    return this.#paths;
  }

  /** UNIT_CAN_*: capabilities of the array's units. */
  get capabilities(): number {
    const plan = this.#ground.plan;
    const cache = plan.topology.writeCache === true ? UNIT_CAN_CACHE_WRITES : 0;
    const same = plan.writesSame ? UNIT_CAN_WRITE_SAME | UNIT_CAN_WRITE_SAME_UNMAP : 0;
    const fua = plan.knowsFua ? UNIT_CAN_FUA : 0;
    const status = plan.tellsStatus ? UNIT_CAN_LBA_STATUS : 0;
    return UNIT_CAN_UNMAP | same | fua | status | UNIT_CAN_ALUA | cache;
  }

  #modes(): void {
    const { exports } = this.#core;
    this.expect(exports.modeSet(MODE_FAILBACK, 0n), "failback");
    this.expect(exports.modeSet(MODE_PATROL, 3n), "patrol");
    const interval = BigInt(this.#ground.plan.patrolMs);
    this.expect(exports.modeSet(MODE_PATROL_INTERVAL_MS, interval), "interval");
    this.expect(exports.modeSet(MODE_PATROL_THRESHOLD_MS, interval), "threshold");
    this.expect(exports.modeSet(MODE_PATROL_TIMEOUT_MS, interval), "timeout");
  }

  #addUnit(index: number): void {
    const { exports } = this.#core;
    const plan = this.#ground.plan;
    const unit = this.expect(exports.unitAdd(), "unitAdd");
    const real = this.#ground.array.units[index];
    if (real === undefined) throw new Error("no such unit");
    const settings: [number, number][] = [
      [UNIT_SET_BLOCK_BYTES, plan.blockBytes],
      [UNIT_SET_TRANSFER_BLOCKS_MAX, plan.transferBlocksMax],
      [UNIT_SET_UNMAP_BLOCKS_MAX, plan.zeroingBlocksMax],
      [UNIT_SET_WRITE_SAME_BLOCKS_MAX, plan.zeroingBlocksMax],
      [UNIT_SET_CAPABILITIES, this.capabilities],
      [UNIT_SET_POLICY, this.cluster ? POLICY_STATIC : plan.policy],
      [UNIT_SET_IO_TIMEOUT_MS, plan.ioTimeoutMs],
      [UNIT_SET_NO_PATH_TIMEOUT_MS, plan.noPathTimeoutMs],
      [UNIT_SET_STALL_MIN_MS, plan.stallMinMs],
      [UNIT_SET_STALL_MAX_MS, plan.stallMaxMs],
      [UNIT_SET_ORPHAN_RESET_MS, plan.orphanResetMs],
      [UNIT_SET_LOST_RESET_MS, plan.lostResetMs],
      [UNIT_SET_COMMAND_TIMEOUT_MS, plan.commandTimeoutMs],
      [UNIT_SET_ALUA_EXPLICIT, plan.aluaExplicit ? 1 : 0],
    ];
    for (const [property, value] of settings) {
      this.expect(exports.unitSet(unit, property, BigInt(value)), `unit property ${property} = ${value}`);
    }
    this.#units[index] = unit;
    this.resize(index);
    this.identify(unit);
  }

  /** Gives a unit the size that its array reports; in worlds without resizes it stays what it was, whatever is reported. */
  resize(index: number): void {
    const { plan, array, sized } = this.#ground;
    const unit = this.#units[index] ?? -1;
    const real = array.units[index];
    if (unit < 0 || real === undefined) return;
    const blocks = plan.resizes.length === 0 ? plan.blocks : real.blocks;
    this.expect(this.#core.exports.unitSet(unit, UNIT_SET_BLOCKS, BigInt(blocks)), "blocks");
    sized(index, blocks);
  }

  /** Sets the identity of the unit; its paths' identities are checked again. */
  identify(unit: number): void {
    const { exports } = this.#core;
    const designator = this.#ground.array.units[this.#units.indexOf(unit)]?.designator;
    if (designator === undefined) throw new Error("no such unit");
    const identity = identityOf(designator);
    this.#core.memory.set(identity, exports.scratch());
    this.expect(exports.unitIdentity(unit, identity.length), "unitIdentity");
  }

  #addPath(index: number): void {
    const port = this.#ports[index];
    const unit = this.#units[port?.home.index ?? -1];
    if (port === undefined || unit === undefined) throw new Error("no such unit");
    const priority = this.#ports.filter((p) => p.home === port.home).indexOf(port) + 1;
    this.#paths[index] = this.#newPath(unit, port, priority);
  }

  #newPath(unit: number, port: EmulatedArray["ports"][number], priority: number): number {
    const { exports } = this.#core;
    const path = this.expect(exports.pathAdd(unit, 1, port.handle, priority, 1, 32), "pathAdd");
    this.#ground.books.pathAdded(path, port.handle);
    // Groups and relative ports start at 1 in SPC-4.
    const groups = BigInt(port.controller + 1) | (BigInt(port.targetPort + 1) << 16n);
    this.expect(exports.pathSet(path, PATH_SET_TARGET_PORT_GROUP, groups), "group");
    this.expect(exports.pathSet(path, PATH_SET_INITIATOR_PORT, BigInt(port.initiatorPort)), "initiator port");
    this.expect(exports.pathSet(path, PATH_SET_TARGET_PORT, BigInt(port.targetPort)), "target port");
    this.expect(exports.pathSet(path, PATH_SET_CONTROLLER, BigInt(port.controller)), "controller");
    return path;
  }

  #pathField(path: number, field: number): number {
    return this.#core.view.getUint32(this.#core.exports.pathTable() + path * PATH_BYTES + field, true);
  }

  /** Whether two paths exist and lead to the same unit. */
  sameUnit(a: number, b: number): boolean {
    return a >= 0 && b >= 0 && this.#pathField(a, PATH_UNIT) === this.#pathField(b, PATH_UNIT);
  }

  /** Whether another path of the unit has this priority. */
  priorityTaken(path: number, priority: number): boolean {
    const unit = this.#pathField(path, PATH_UNIT);
    return this.#priorities(unit, path).includes(priority);
  }

  #priorities(unit: number, but = -1): number[] {
    const { view } = this.#core;
    return Array.from({ length: this.#ground.paths }, (_, path) => path)
      .filter(
        (path) => path !== but && this.#pathField(path, PATH_FLAGS) !== 0 && this.#pathField(path, PATH_UNIT) === unit,
      )
      .map((path) => view.getUint16(this.#core.exports.pathTable() + path * PATH_BYTES + PATH_PRIORITY, true));
  }

  /** A priority that no path of the unit has; moved paths get consecutive ones. */
  #freePriority(unit: number): number {
    const taken = this.#priorities(unit);
    do this.#priority = this.#priority === PRIORITY_MAX ? MOVED_PRIORITY : this.#priority + 1;
    while (taken.includes(this.#priority));
    return this.#priority;
  }

  /** Whether every path record is in use. */
  get #full(): boolean {
    return Array.from({ length: this.#ground.paths }, (_, path) => path).every(
      (path) => this.#pathField(path, PATH_FLAGS) !== 0,
    );
  }

  /**
   * A path disappears and comes back under another number: to the core it is a new path that has to prove its identity.
   * Returns which one, or null when no record is free for it.
   */
  renumber(random: Random): string | null {
    const index = random.between(0, this.#paths.length - 1);
    const port = this.#ports[index];
    const unit = this.#units[port?.home.index ?? -1] ?? -1;
    if (port === undefined || unit < 0 || this.#full) return null;
    this.#removePath(this.#paths[index] ?? -1);
    this.#paths[index] = this.#newPath(unit, port, this.#freePriority(unit));
    return port.pathNumber;
  }

  #removePath(path: number): void {
    this.expect(this.#core.exports.pathRemove(path), "pathRemove");
    // Its record may be free at once, and so may the next one's.
    this.#ground.drain();
  }

  /** Assigns a path of another unit to this one: it must get no I/O. Returns its handle; -1 when there is no room for it. */
  addMisfit(random: Random): number {
    const port = random.pick(this.#ports);
    const unit = random.pick(this.#units);
    if (unit < 0 || this.#units.indexOf(unit) === port.home.index || this.#full) return -1;
    const path = this.#newPath(unit, port, this.#freePriority(unit));
    this.#misfits.add(path);
    return path;
  }

  removeMisfit(path: number): void {
    if (!this.#misfits.delete(path)) return;
    const ios = this.#core.view.getBigUint64(this.#core.exports.pathTable() + path * PATH_BYTES + PATH_IOS, true);
    if (ios !== 0n) this.#ground.violation(`path ${path} leads to another unit and has carried ${ios} I/Os out`);
    this.#removePath(path);
  }

  /** Starts removing a unit: its paths go first. */
  dismantle(index: number): void {
    const unit = this.#units[index] ?? -1;
    for (const misfit of this.#misfits) if (this.#pathField(misfit, PATH_UNIT) === unit) this.removeMisfit(misfit);
    this.#ports.forEach((port, at) => {
      if (port.home.index !== index) return;
      this.#removePath(this.#paths[at] ?? -1);
      this.#paths[at] = -1;
    });
    this.#leaving.set(unit, index);
    this.#units[index] = -1;
  }

  /** Whether the unit is gone: this takes until its last command has completed. */
  removeUnit(index: number): boolean {
    return this.#handlesLeaving(index).filter((unit) => !this.#remove(unit)).length === 0;
  }

  #remove(unit: number): boolean {
    const before = this.answers;
    const answer = this.#core.exports.unitRemove(unit);
    if (answer === -ERROR_BUSY) return false;
    this.expect(answer, "unitRemove");
    this.#leaving.delete(unit);
    const { good, bad } = this.answers;
    this.#pastAnswers = {
      good: this.#pastAnswers.good + before.good - good,
      bad: this.#pastAnswers.bad + before.bad - bad,
    };
    return true;
  }

  /** Adds the unit again, in whatever slots are free. */
  restore(index: number): void {
    this.#addUnit(index);
    this.#ports.forEach((port, at) => {
      if (port.home.index === index) this.#addPath(at);
    });
  }

  /** Requests answered without and with an error, as counted by the core, including those of removed units. */
  get answers(): { readonly good: number; readonly bad: number } {
    const { exports, view } = this.#core;
    let { good, bad } = this.#pastAnswers;
    for (const unit of [...this.#units, ...this.#leaving.keys()]) {
      if (unit < 0) continue;
      good += Number(view.getBigUint64(exports.unitTable() + unit * UNIT_BYTES + UNIT_ANSWERED, true));
      bad += Number(view.getBigUint64(exports.unitTable() + unit * UNIT_BYTES + UNIT_FAILED, true));
    }
    return { good, bad };
  }

  handleOf(unit: number): number {
    return this.#units[unit] ?? 0;
  }

  /**
   * Removes everything. Returns what prevents this: nothing may, once all connections are closed and nothing is in progress.
   */
  remove(): string[] {
    for (const misfit of this.#misfits) this.removeMisfit(misfit);
    this.#units.forEach((unit, index) => {
      if (unit >= 0) this.dismantle(index);
    });
    for (const unit of this.#leaving.keys()) this.#remove(unit);
    return [...this.#leaving.keys()].map((unit) => `unit ${unit} cannot be removed`);
  }

  /** What is not as expected after the faults are over and every client was answered; empty when all is well. */
  unsettled(): string[] {
    const { exports, view } = this.#core;
    const found: string[] = [];
    this.#paths.forEach((path, index) => {
      if (path < 0) return;
      const record = exports.pathTable() + path * PATH_BYTES;
      const flags = view.getUint32(record + PATH_FLAGS, true);
      const number = this.#ports[index]?.pathNumber;
      const bad = PATH_FLAG_FAILED | PATH_FLAG_WRONG_UNIT | PATH_FLAG_UNVERIFIED;
      const good = PATH_FLAG_PRESENT | PATH_FLAG_ENABLED;
      if ((flags & good) !== good || (flags & bad) !== 0) found.push(`path ${number}: flags ${flags}`);
      if (view.getUint32(record + PATH_ORPHANS, true) !== 0) found.push(`path ${number}: orphans left`);
      if (view.getUint8(record + PATH_ALUA) > 1)
        found.push(`path ${number}: ALUA ${view.getUint8(record + PATH_ALUA)}`);
    });
    for (const [index, unit] of this.#units.entries()) {
      if (this.#elsewhere.has(index)) continue;
      if (unit < 0) {
        found.push("a unit is being replaced");
        continue;
      }
      const record = exports.unitTable() + unit * UNIT_BYTES;
      if (view.getUint32(record + UNIT_REQUESTS, true) !== 0) found.push(`unit ${unit}: requests left`);
      if (view.getUint32(record + UNIT_ORPHANS, true) !== 0) found.push(`unit ${unit}: orphans left`);
      if (view.getUint32(record + UNIT_USABLE, true) === 0) found.push(`unit ${unit}: no path usable`);
    }
    return found;
  }
}
