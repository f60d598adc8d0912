// Two hosts with a daemon's core each, side by side at one array, each with clients of its own: what they do to each other is counted.

import { EmulatedArray } from "../../../host/array/array.ts";
import { setGroupState } from "../../../host/array/array-groups.ts";
import type { ArrayTopology } from "../../../host/array/array-topology.ts";
import * as abi from "../../../host/abi.ts";
import { VirtualClock } from "../clock.ts";
import { type CoreEvent, SimulatedCore } from "../core.ts";
import { Random } from "../random.ts";
import { ClusterTap } from "./cluster-tap.ts";

const NS_PER_MS = 1_000_000;
const START_NS = 1_000_000_000;
const BLOCKS = 64;
const BLOCK_BYTES = 512;
const TAGS = 64;
const HOSTS = 2;
const CHECK_CONDITION = 2;
const UNIT_ATTENTION = 6;
const ASC_RESET = 0x29;
/** ASCQ of a path that has not been used before. */
const POWERED_ON = 0;
const COMMANDS = 512;
const LIMITS = {
  connections: 1,
  requests: 512,
  commands: COMMANDS,
  poolBytes: 4 << 20,
  payloadBytes: 4096,
  units: 1,
  paths: 24,
  events: 4096,
};

export interface PairOptions {
  readonly seed: number;
  readonly module: WebAssembly.Module;
  readonly topology: ArrayTopology;
  /** UNIT_SET_* and their values, for both hosts. */
  readonly settings?: readonly (readonly [number, number])[];
  readonly modes?: readonly (readonly [number, number])[];
}

export class PairHost {
  readonly core: SimulatedCore;
  readonly unit: number;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #tap: ClusterTap;
  readonly #client: number;
  readonly #free = Array.from({ length: TAGS }, (_, tag) => tag);
  readonly paths: readonly { readonly path: number; readonly port: number }[];
  /** When it set a port group, reset the unit, and checked a port, ms. */
  readonly setsMs: number[] = [];
  readonly resetsMs: number[] = [];
  readonly checks: { readonly port: number; readonly ms: number }[] = [];
  /** Commands whose answer was that the unit has been reset. */
  resetsHeard = 0;
  answers = 0;
  errors = 0;

  constructor(number: number, options: PairOptions, array: EmulatedArray, clock: VirtualClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.core = new SimulatedCore(options.module, LIMITS, random.uint32());
    this.core.nowNs = clock.nowNs;
    array.attach(this.core.memory, this.core.control, "forgotten", number);
    this.#tap = new ClusterTap(this.core, COMMANDS);
    const { exports } = this.core;
    this.unit = this.must(exports.unitAdd());
    const settings = [
      [abi.UNIT_SET_BLOCK_BYTES, BLOCK_BYTES],
      [abi.UNIT_SET_BLOCKS, BLOCKS],
      [abi.UNIT_SET_CAPABILITIES, abi.UNIT_CAN_ALUA],
      ...(options.settings ?? []),
    ] as const;
    for (const [property, value] of settings) this.must(exports.unitSet(this.unit, property, BigInt(value)));
    for (const [mode, value] of options.modes ?? []) this.must(exports.modeSet(mode, BigInt(value)));
    const identity = [3, 1, ...(array.units[0]?.designator ?? [])];
    this.core.memory.set(identity, exports.scratch());
    this.must(exports.unitIdentity(this.unit, identity.length));
    this.paths = array.ports
      .filter(({ initiatorPort }) => initiatorPort % HOSTS === number)
      .map(({ handle, controller }, index) => ({ path: this.#add(handle, controller, index), port: handle }));
    this.#client = this.must(exports.blockOpen(this.unit, 0));
  }

  must(answer: number): number {
    if (answer < 0) throw new Error(`the core answered ${answer}`);
    return answer;
  }

  #add(handle: number, controller: number, index: number): number {
    const { exports } = this.core;
    const path = this.must(exports.pathAdd(this.unit, 1, handle, index + 1, 1, 32));
    this.must(exports.pathSet(path, abi.PATH_SET_TARGET_PORT_GROUP, BigInt(controller + 1)));
    return path;
  }

  get #nowMs(): number {
    return (this.#clock.nowNs - START_NS) / NS_PER_MS;
  }

  turn(): void {
    this.core.exports.run();
    this.core.events((event) => this.#event(event));
    this.#take();
    this.#tap.submitted(
      ({ port, isCheck }) => {
        if (isCheck) this.checks.push({ port, ms: this.#nowMs });
      },
      () => this.resetsMs.push(this.#nowMs),
    );
  }

  completed(): void {
    this.#tap.completed(({ hostStatus, status, sense: [key, asc, ascq] }) => {
      const isAttention = hostStatus === 0 && status === CHECK_CONDITION && key === UNIT_ATTENTION;
      if (isAttention && asc === ASC_RESET && ascq !== POWERED_ON) this.resetsHeard++;
    });
  }

  #event({ kind, arg1 }: CoreEvent): void {
    if (kind === abi.EVENT_ALUA_SET && arg1 === 1) this.setsMs.push(this.#nowMs);
  }

  /** Reads or writes every `everyMs`, on average. */
  load(everyMs: number): void {
    this.#send();
    this.#clock.after(this.#random.exponential(everyMs * NS_PER_MS), () => this.load(everyMs));
  }

  #send(): void {
    const tag = this.#free.pop();
    if (tag === undefined) return;
    const { view, exports } = this.core;
    const isWrite = this.#random.chance(0.5);
    this.#enter(tag, (entry) => {
      view.setUint8(entry + abi.BLOCK_ENTRY_OPERATION, isWrite ? abi.OPERATION_WRITE : abi.OPERATION_READ);
      view.setUint32(entry + abi.BLOCK_ENTRY_BUFFER, exports.blockRegion() + tag * abi.BUFFER_PAGE_BYTES, true);
      view.setUint32(entry + abi.BLOCK_ENTRY_OFFSET, this.#random.between(0, BLOCKS - 1) * BLOCK_BYTES, true);
      view.setUint32(entry + abi.BLOCK_ENTRY_LENGTH, BLOCK_BYTES, true);
    });
  }

  #enter(tag: number, fill: (entry: number) => void): void {
    const { view, control, memory } = this.core;
    const ring = control + abi.CONTROL_BLOCK_ENTRIES;
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    const mask = view.getUint32(ring + abi.RING_CAPACITY, true) - 1;
    const entry = view.getUint32(ring + abi.RING_BASE, true) + (tail & mask) * abi.BLOCK_ENTRY_BYTES;
    memory.fill(0, entry, entry + abi.BLOCK_ENTRY_BYTES);
    view.setUint32(entry + abi.BLOCK_ENTRY_TAG, tag, true);
    view.setUint32(entry + abi.BLOCK_ENTRY_CLIENT, this.#client, true);
    fill(entry);
    view.setUint32(ring + abi.RING_TAIL, (tail + 1) >>> 0, true);
  }

  /** Takes what the block door has answered. */
  #take(): void {
    const { view, control } = this.core;
    const ring = control + abi.CONTROL_BLOCK_COMPLETIONS;
    const mask = view.getUint32(ring + abi.RING_CAPACITY, true) - 1;
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    let head = view.getUint32(ring + abi.RING_HEAD, true);
    for (; head !== tail; head = (head + 1) >>> 0) {
      const entry = view.getUint32(ring + abi.RING_BASE, true) + (head & mask) * abi.BLOCK_COMPLETION_BYTES;
      const tag = view.getUint32(entry + abi.BLOCK_COMPLETION_TAG, true);
      const flags = view.getUint8(entry + abi.BLOCK_COMPLETION_FLAGS);
      if (view.getUint8(entry + abi.BLOCK_COMPLETION_KIND) === abi.BLOCK_ANSWER) {
        this.answers++;
        if (view.getUint32(entry + abi.BLOCK_COMPLETION_ERROR, true) !== 0) this.errors++;
      }
      // A buffer that is held comes back later.
      if ((flags & abi.BLOCK_HELD) === 0) this.#free.push(tag);
    }
    view.setUint32(ring + abi.RING_HEAD, head, true);
  }
}

export class Pair {
  readonly clock = new VirtualClock();
  readonly array: EmulatedArray;
  readonly hosts: readonly [PairHost, PairHost];
  /** Of an array with one optimized group at a time: which. */
  #optimized = -1;

  constructor(options: PairOptions) {
    const random = new Random(options.seed);
    this.clock.nowNs = START_NS;
    this.array = new EmulatedArray(options.topology, { seed: options.seed });
    const host = (number: number): PairHost => new PairHost(number, options, this.array, this.clock, random.fork());
    this.hosts = [host(0), host(1)];
  }

  /** From now on the array has one optimized group at a time, as if the unit were owned by one controller. */
  ownedByOne(group: number): void {
    this.#optimized = group;
    this.#own();
  }

  #own(): void {
    const unit = this.array.units[0];
    if (unit === undefined || this.#optimized < 0) return;
    const wanted = unit.groupStates.findIndex((state, group) => state === 0 && group !== this.#optimized);
    if (wanted >= 0) this.#optimized = wanted;
    for (const group of unit.groupStates.keys()) setGroupState(unit, group, group === this.#optimized ? 0 : 1, null);
  }

  advance(ms: number): void {
    const endNs = this.clock.nowNs + ms * NS_PER_MS;
    for (;;) {
      for (const { core } of this.hosts) core.nowNs = this.clock.nowNs;
      const ran = this.clock.runDue();
      for (const host of this.hosts) host.turn();
      const answered = this.array.turn() > 0;
      this.#own();
      for (const host of this.hosts) host.completed();
      if (ran || answered) continue;
      if (this.clock.nowNs >= endNs) return;
      let next = Math.min(this.clock.nextNs, Math.ceil(this.array.deadlineNs), endNs);
      for (const { core } of this.hosts) next = Math.min(next, core.deadlineNs);
      this.clock.nowNs = Math.max(next, this.clock.nowNs + 1);
    }
  }
}
