// One host of a cluster: the shipped core with a client of its block door, a model of control, and what is checked of both.

import * as abi from "../../../host/abi.ts";
import type { EmulatedArray } from "../../../host/array/array.ts";
import type { VirtualClock } from "../clock.ts";
import { type CoreEvent, SimulatedCore } from "../core.ts";
import type { Random } from "../random.ts";
import { ClusterControl } from "./cluster-control.ts";
import { BLOCKS, type ClusterPlan } from "./cluster-plan.ts";
import { type Came, ClusterTap, type Sent } from "./cluster-tap.ts";

const NS_PER_MS = 1_000_000;
const BLOCK_BYTES = 512;
const LIMITS = {
  connections: 1,
  requests: 512,
  commands: 512,
  poolBytes: 4 << 20,
  payloadBytes: 4096,
  units: 1,
  paths: 24,
  events: 4096,
};
const SETTINGS: readonly (readonly [number, number])[] = [
  [abi.UNIT_SET_BLOCK_BYTES, BLOCK_BYTES],
  [abi.UNIT_SET_BLOCKS, BLOCKS],
  [abi.UNIT_SET_IO_TIMEOUT_MS, 10_000],
  [abi.UNIT_SET_STALL_MIN_MS, 20],
  [abi.UNIT_SET_STALL_MAX_MS, 200],
  [abi.UNIT_SET_LOST_RESET_MS, 300],
  [abi.UNIT_SET_ORPHAN_RESET_MS, 1500],
  [abi.UNIT_SET_COMMAND_TIMEOUT_MS, 1000],
  [abi.UNIT_SET_SHARED, 1],
  [abi.UNIT_SET_REGISTRATION, 1],
];
const CONFLICT = 0x18;
const CHECK_CONDITION = 0x02;
const EPERM = 1;
const EIO = 5;
/** How often control asks whether a killed daemon's commands have ended, ms. */
const LEFTOVERS_MS = 20;
/** A path in one of these states has to wait with its registration. */
const UNREADY = abi.PATH_FLAG_FAILED | abi.PATH_FLAG_UNVERIFIED | abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_REMOVING;

interface Open {
  readonly stamp: number;
  readonly isWrite: boolean;
  /** How many conflicts the host had met before. */
  readonly conflicts: number;
  readonly preemptions: number;
}

/** What the hosts of a world share. */
export interface ClusterAround {
  readonly plan: ClusterPlan;
  readonly array: EmulatedArray;
  readonly clock: VirtualClock;
  readonly module: WebAssembly.Module;
  readonly violation: (text: string) => void;
  readonly nextStamp: (host: number) => number;
  /** Whether the medium has ever got it. */
  readonly hasLanded: (stamp: number) => boolean;
}

/** What a unit attention says of the registration. */
function doubts({ status, hostStatus, sense: [key = 0, asc = 0, ascq = 0] }: Came): boolean {
  if (status !== CHECK_CONDITION || hostStatus !== 0 || key !== 6) return false;
  return asc === 0x29 || (asc === 0x2a && ascq >= 3 && ascq <= 5);
}

export class ClusterHost {
  readonly number: number;
  readonly core: SimulatedCore;
  readonly control: ClusterControl;
  readonly #around: ClusterAround;
  readonly #random: Random;
  readonly #tap: ClusterTap;
  readonly #ports: readonly number[];
  /** Port of each path, and the flags that control was told. */
  readonly #paths = new Map<number, { readonly port: number; flags: number }>();
  readonly #open = new Map<number, Open>();
  readonly #free: number[];
  readonly #unit: number;
  readonly #client: number;
  readonly #region: number;
  /** Stamps of writes that met a conflict while no other command for them was under way: a reservation may cover one path and not another. */
  readonly #refused = new Set<number>();
  /** How many commands are under way for each write. */
  readonly #flying = new Map<number, number>();
  /** Conflicts met by path, and those that control was told of. */
  readonly #met = new Map<number, number>();
  readonly #told = new Map<number, number>();
  /** Paths whose registration the last completions call into question: the core hears of it in its next turn. */
  #doubted: number[] = [];
  /** A completion calls into question whose the reservation is. */
  #isUnknown = false;
  /** The same of a check, which the core may have given up, so that it does not hear the answer. */
  #mayBeUnknown = false;
  #conflicts = 0;
  #preemptions = 0;
  #priority = 1;
  #isDead = false;
  ios = 0;
  errors = 0;

  constructor(number: number, around: ClusterAround, random: Random) {
    this.number = number;
    this.#around = around;
    this.#random = random;
    const { array, clock, module, plan } = around;
    this.#ports = array.ports
      .filter(({ home, initiatorPort }) => home.index === 0 && initiatorPort % 2 === number)
      .map(({ handle }) => handle);
    this.core = new SimulatedCore(module, LIMITS, random.uint32());
    this.core.nowNs = clock.nowNs;
    array.attach(this.core.memory, this.core.control, "under-way", number);
    this.#tap = new ClusterTap(this.core, LIMITS.commands);
    const { exports } = this.core;
    this.#must(exports.modeSet(abi.MODE_CLUSTER, plan.isClusterMode ? 1n : 0n));
    this.#unit = this.#must(exports.unitAdd());
    this.control = new ClusterControl(0xa0 + number, {
      plan,
      array,
      core: this.core,
      clock,
      random: random.fork(),
      violation: (text) => this.#violation(text),
      portOf: (path) => this.#paths.get(path)?.port,
      pathOf: (port) => this.#pathOf(port),
      ports: this.#ports,
      unit: this.#unit,
      onPreempted: () => this.#onPreempted(),
      onAttention: (port) => this.#onAttention(port),
    });
    for (const [property, value] of SETTINGS) this.#must(exports.unitSet(this.#unit, property, BigInt(value)));
    if (!plan.isClusterMode) this.#must(exports.unitSet(this.#unit, abi.UNIT_SET_POLICY, BigInt(plan.policy)));
    this.#must(exports.unitSet(this.#unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, BigInt(plan.noPathMs)));
    this.#must(exports.modeSet(abi.MODE_PATROL_INTERVAL_MS, 500n));
    this.#must(exports.modeSet(abi.MODE_PATROL_THRESHOLD_MS, 300n));
    this.#must(exports.modeSet(abi.MODE_PATROL_TIMEOUT_MS, 700n));
    this.#must(exports.modeSet(abi.MODE_MARGINAL, 0n));
    const identity = [3, 1, ...(array.units[0]?.designator ?? [])];
    this.core.memory.set(identity, exports.scratch());
    this.#must(exports.unitIdentity(this.#unit, identity.length));
    this.#leftovers();
    for (const port of this.#ports) this.#add(port);
    this.#client = this.#must(exports.blockOpen(this.#unit, 0));
    this.#region = exports.blockRegion();
    this.#free = Array.from({ length: plan.depth }, (_, tag) => tag);
  }

  #must(answer: number): number {
    if (answer < 0) throw new Error(`host ${this.number}: the core answered ${answer}`);
    return answer;
  }

  #violation(text: string): void {
    this.#around.violation(`host ${this.number}: ${text}`);
  }

  #add(port: number): void {
    const path = this.#must(this.core.exports.pathAdd(this.#unit, 1, port, this.#priority++, 1, 32));
    this.#paths.set(path, { port, flags: 0 });
  }

  // ---- Restarts ----

  /** Tells the core whether a killed daemon has left commands, until there are none. */
  #leftovers(): void {
    const { array, clock } = this.#around;
    const [unit] = array.units;
    const isLeft = unit !== undefined && array.hasLeftovers(unit, this.number);
    this.#must(this.core.exports.unitSet(this.#unit, abi.UNIT_SET_LEFTOVERS, isLeft ? 1n : 0n));
    if (!isLeft) return;
    clock.after(LEFTOVERS_MS * NS_PER_MS, () => {
      if (!this.#isDead) this.#leftovers();
    });
  }

  /** kill -9: what it has sent goes on, and nobody hears of it. */
  die(): void {
    this.#isDead = true;
    this.control.die();
  }

  // ---- Load ----

  /** Sends requests until `untilNs`, as many at a time as the plan says. */
  load(untilNs: number): void {
    const { clock } = this.#around;
    if (clock.nowNs >= untilNs || this.#isDead) return;
    this.send(this.#random.chance(0.7));
    clock.after(this.#random.exponential(2 * NS_PER_MS), () => this.load(untilNs));
  }

  /** Sends a request, if there is room for one. */
  send(isWrite: boolean): void {
    const tag = this.#free.pop();
    if (tag === undefined) return;
    const { view, control, memory } = this.core;
    const buffer = this.#region + tag * abi.BUFFER_PAGE_BYTES;
    const stamp = isWrite ? this.#around.nextStamp(this.number) : 0;
    if (isWrite) {
      memory.fill(this.number + 1, buffer, buffer + BLOCK_BYTES);
      view.setUint32(buffer, stamp, true);
    }
    this.#open.set(tag, { stamp, isWrite, conflicts: this.#conflicts, preemptions: this.#preemptions });
    const ring = control + abi.CONTROL_BLOCK_ENTRIES;
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    const mask = view.getUint32(ring + abi.RING_CAPACITY, true) - 1;
    const entry = view.getUint32(ring + abi.RING_BASE, true) + (tail & mask) * abi.BLOCK_ENTRY_BYTES;
    memory.fill(0, entry, entry + abi.BLOCK_ENTRY_BYTES);
    view.setUint8(entry + abi.BLOCK_ENTRY_OPERATION, isWrite ? abi.OPERATION_WRITE : abi.OPERATION_READ);
    view.setUint32(entry + abi.BLOCK_ENTRY_TAG, tag, true);
    view.setUint32(entry + abi.BLOCK_ENTRY_CLIENT, this.#client, true);
    view.setUint32(entry + abi.BLOCK_ENTRY_BUFFER, buffer, true);
    const block = this.#random.between(0, BLOCKS - 1);
    view.setUint32(entry + abi.BLOCK_ENTRY_OFFSET, block * BLOCK_BYTES, true);
    view.setUint32(entry + abi.BLOCK_ENTRY_LENGTH, BLOCK_BYTES, true);
    view.setUint32(ring + abi.RING_TAIL, (tail + 1) >>> 0, true);
  }

  /** A path is removed, and its port added again. */
  renew(): void {
    const [path] = this.#random.pick([...this.#paths]);
    this.#must(this.core.exports.pathRemove(path));
  }

  // ---- Turns ----

  /** Before the array takes the submissions. */
  submitted(): void {
    this.#tap.submitted(
      (command) => this.#checkSent(command),
      (port) => {
        if (this.control.isPreempted) this.#violation(`a reset by port ${port} although the unit is another host's`);
      },
    );
    for (const path of this.#doubted.splice(0)) this.control.granted.delete(path);
    if (this.#isUnknown) this.control.mayBalance = false;
    this.#checkPolicy();
    this.#isUnknown = this.#mayBeUnknown = false;
  }

  /** Cluster mode keeps to one path unless the reservation is known to be for registrants. */
  #checkPolicy(): void {
    const { isClusterMode, policy } = this.#around.plan;
    if (!isClusterMode) return;
    const { view, exports } = this.core;
    const inForce = view.getUint32(exports.unitTable() + this.#unit * abi.UNIT_BYTES + abi.UNIT_POLICY, true);
    if (this.#mayBeUnknown && inForce === abi.POLICY_STATIC) this.control.mayBalance = false;
    const expected = this.control.mayBalance ? policy : abi.POLICY_STATIC;
    if (inForce !== expected) this.#violation(`the policy is ${inForce}, not ${expected}, in cluster mode`);
  }

  #pathOf(port: number): number {
    for (const [path, place] of this.#paths) if (place.port === port) return path;
    return -1;
  }

  #checkSent({ port, isCheck, stamp }: Sent): void {
    if (isCheck) return;
    if (stamp !== 0) this.#flying.set(stamp, (this.#flying.get(stamp) ?? 0) + 1);
    const path = this.#pathOf(port);
    if (this.control.isPreempted) this.#violation(`I/O on path ${path} although the unit is another host's`);
    else if (!this.control.granted.has(path)) this.#violation(`I/O on path ${path}, which may not be registered`);
    if (stamp !== 0 && this.#refused.has(stamp)) this.#violation(`write ${stamp} is sent again after a conflict`);
  }

  /** Before the core takes the completions. */
  completed(): void {
    this.#tap.completed((came) => {
      const path = this.#pathOf(came.port);
      const others = (this.#flying.get(came.stamp) ?? 1) - 1;
      if (others === 0) this.#flying.delete(came.stamp);
      else this.#flying.set(came.stamp, others);
      if (doubts(came)) this.#doubted.push(path);
      if (doubts(came) || (came.status === CONFLICT && came.hostStatus === 0)) {
        if (came.isCheck) this.#mayBeUnknown = true;
        else this.#isUnknown = true;
      }
      if (came.status !== CONFLICT || came.hostStatus !== 0) return;
      this.#conflicts++;
      this.#met.set(path, (this.#met.get(path) ?? 0) + 1);
      if (came.stamp !== 0 && others === 0) this.#refused.add(came.stamp);
    });
  }

  turn(): void {
    this.core.exports.run();
    this.drain();
  }

  drain(): void {
    this.core.events((event) => this.#event(event));
    for (const [path, met] of this.#met) {
      const told = this.#told.get(path) ?? 0;
      if (told === 0 || told > met) this.#violation(`path ${path}: ${told} of ${met} conflicts are told`);
    }
    this.#answers();
  }

  #event(event: CoreEvent): void {
    const { kind, path, arg0, arg1 } = event;
    const place = this.#paths.get(path);
    if (kind === abi.EVENT_PATH_STATE && place !== undefined) {
      place.flags = arg1;
      if ((arg1 & abi.PATH_FLAG_FAILED) !== 0) {
        this.control.failed(path);
        if (this.#around.plan.isCalm) this.#violation(`path ${path} has failed although nothing is wrong with it`);
      }
      if (arg1 === 0) this.#gone(path, place.port);
    } else if (kind === abi.EVENT_REGISTRATION_ASKED) {
      const flags = place?.flags ?? abi.PATH_FLAG_REMOVING;
      if ((flags & UNREADY) !== 0) this.#violation(`path ${path} asks for its registration in state ${flags}`);
      this.control.asked(event);
    } else if (kind === abi.EVENT_RESERVATION_CONFLICT) {
      this.#told.set(path, (this.#told.get(path) ?? 0) + arg0);
    }
  }

  #gone(path: number, port: number): void {
    this.#paths.delete(path);
    this.#met.delete(path);
    this.#told.delete(path);
    this.control.gone(path);
    this.#add(port);
  }

  #answers(): void {
    const { view, control } = this.core;
    const ring = control + abi.CONTROL_BLOCK_COMPLETIONS;
    const mask = view.getUint32(ring + abi.RING_CAPACITY, true) - 1;
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    let head = view.getUint32(ring + abi.RING_HEAD, true);
    for (; head !== tail; head = (head + 1) >>> 0) {
      const entry = view.getUint32(ring + abi.RING_BASE, true) + (head & mask) * abi.BLOCK_COMPLETION_BYTES;
      const tag = view.getUint32(entry + abi.BLOCK_COMPLETION_TAG, true);
      const kind = view.getUint8(entry + abi.BLOCK_COMPLETION_KIND);
      const flags = view.getUint8(entry + abi.BLOCK_COMPLETION_FLAGS);
      if (kind === abi.BLOCK_ANSWER) this.#answer(tag, view.getUint32(entry + abi.BLOCK_COMPLETION_ERROR, true));
      if ((flags & abi.BLOCK_LENT) !== 0) this.#release(tag);
      if (kind === abi.BLOCK_REFUSED) this.#violation(`the entry of tag ${tag} is refused`);
      // A buffer that is held comes back later.
      if ((flags & abi.BLOCK_HELD) === 0) this.#free.push(tag);
    }
    view.setUint32(ring + abi.RING_HEAD, head, true);
  }

  #release(tag: number): void {
    const { view, control, memory } = this.core;
    const ring = control + abi.CONTROL_BLOCK_ENTRIES;
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    const mask = view.getUint32(ring + abi.RING_CAPACITY, true) - 1;
    const entry = view.getUint32(ring + abi.RING_BASE, true) + (tail & mask) * abi.BLOCK_ENTRY_BYTES;
    memory.fill(0, entry, entry + abi.BLOCK_ENTRY_BYTES);
    view.setUint8(entry + abi.BLOCK_ENTRY_OPERATION, abi.BLOCK_RELEASE);
    view.setUint32(entry + abi.BLOCK_ENTRY_TAG, tag, true);
    view.setUint32(entry + abi.BLOCK_ENTRY_CLIENT, this.#client, true);
    view.setUint32(ring + abi.RING_TAIL, (tail + 1) >>> 0, true);
  }

  #answer(tag: number, error: number): void {
    const request = this.#open.get(tag);
    if (request === undefined) return this.#violation(`an answer to tag ${tag}, which is not in use`);
    this.#open.delete(tag);
    this.ios++;
    if (error !== 0) this.errors++;
    const { stamp, isWrite } = request;
    const hasReason = this.#conflicts > request.conflicts || this.#preemptions > request.preemptions;
    if (error === 0) {
      if (isWrite && !this.#around.hasLanded(stamp)) this.#violation(`write ${stamp} is answered but on no medium`);
    } else if (error === EPERM) {
      if (!hasReason && !this.control.isPreempted) this.#violation("EPERM without a conflict or a preemption");
    } else if (error !== EIO || this.#around.plan.isCalm) this.#violation(`a request is answered with ${error}`);
    if (this.#refused.has(stamp) && isWrite && error !== EPERM && !this.#around.hasLanded(stamp)) {
      this.#violation(`write ${stamp} met a conflict and is answered with ${error}`);
    }
  }

  // ---- Preemption ----

  #onPreempted(): void {
    this.#preemptions++;
    this.core.nowNs = this.#around.clock.nowNs;
    this.turn();
    if (this.#open.size > 0) this.#violation(`${this.#open.size} requests are not answered when the unit is preempted`);
  }

  #onAttention(port: number): void {
    const path = this.#pathOf(port);
    if (path < 0) return;
    this.#must(this.core.exports.pathSet(path, abi.PATH_SET_UNVERIFIED, 1n));
    this.control.mayBalance = false;
    this.#must(this.core.exports.unitSet(this.#unit, abi.UNIT_SET_REGISTRANTS, 0n));
    this.control.attended(path);
    if (!this.control.granted.delete(path)) return;
    this.#must(this.core.exports.pathSet(path, abi.PATH_SET_REGISTERED, 0n));
  }

  // ---- The end ----

  get open(): number {
    return this.#open.size;
  }

  /** What is not as expected when all faults are over; empty when all is well. */
  unsettled(): string[] {
    const texts: string[] = [];
    if (this.#open.size > 0) texts.push(`host ${this.number}: ${this.#open.size} requests are not answered`);
    for (const [path, { flags }] of this.#paths) {
      if (this.control.granted.has(path) && (flags & (UNREADY | abi.PATH_FLAG_UNREGISTERED)) === 0) continue;
      if (this.control.isStanding(path) && (flags & UNREADY) === 0) continue;
      texts.push(`host ${this.number}: path ${path} is not used again, flags ${flags}`);
    }
    return texts;
  }

  /** In a calm world no path has an error. */
  account(): void {
    if (!this.#around.plan.isCalm) return;
    const { view, exports } = this.core;
    for (const path of this.#paths.keys()) {
      const errors = view.getBigUint64(exports.pathTable() + path * abi.PATH_BYTES + abi.PATH_ERRORS, true);
      if (errors !== 0n) this.#violation(`path ${path} has ${errors} errors although nothing is wrong with it`);
    }
  }
}
