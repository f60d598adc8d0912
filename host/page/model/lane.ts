// One lane of the simulator: the shipped core with one policy, an emulated array, and a client, on a clock that its user moves.

import * as abi from "../../abi.ts";
import { EmulatedArray } from "../../array/array.ts";
import type { Fault } from "../../array/faults/faults.ts";
import type { Medium } from "../../array/medium.ts";
import { decodePath } from "../../reactor/decode-records.ts";
import { instantiate, LaidOutCore } from "../../reactor/laid-out-core.ts";
import { BlockClient, DOOR } from "./block-client.ts";
import { Tally } from "./tally.ts";
import type { Mark } from "./tones.ts";

export const PATHS = 4;
const CONTROLLERS = 2;
const UNIT_BYTES = 64 * 1_048_576;
const BLOCK_BYTES = 512;
/** What a path can do when nothing slows it down: four commands at a time, a millisecond each on average. */
const SERVICE = { latencyUs: 1000, parallelism: 4, distribution: "exponential" } as const;

const LIMITS = {
  connections: 1,
  requests: 256,
  commands: 256,
  poolBytes: 4 * 1_048_576,
  units: 1,
  paths: 8,
  events: 1024,
  payloadBytes: 1_048_576,
};

/** Times of the daemon's defaults, but for the patrol's: a path that is repaired comes back within a second. */
const PATROL_MS = 500;
const MODES: readonly (readonly [number, number])[] = [
  [abi.MODE_FAILBACK, abi.FAILBACK_MODE_ACTIVE],
  [abi.MODE_PATROL, 3],
  [abi.MODE_PATROL_INTERVAL_MS, PATROL_MS],
  [abi.MODE_PATROL_THRESHOLD_MS, PATROL_MS],
  [abi.MODE_PATROL_TIMEOUT_MS, 2000],
];
const SETTINGS: readonly (readonly [number, number])[] = [
  [abi.UNIT_SET_BLOCK_BYTES, BLOCK_BYTES],
  [abi.UNIT_SET_BLOCKS, UNIT_BYTES / BLOCK_BYTES],
  [abi.UNIT_SET_IO_TIMEOUT_MS, 60_000],
  [abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 30_000],
  [abi.UNIT_SET_STALL_MIN_MS, 25],
  [abi.UNIT_SET_STALL_MAX_MS, 2000],
];

/** What can be wrong with a path, as a visitor chooses it. */
export const TROUBLES = {
  none: "works",
  sometimes: "fails now and then (1 of 20)",
  errors: "answers with errors",
  silent: "silent: no answer",
  gone: "gone: port down",
  flapping: "comes and goes",
} as const;
export type Trouble = keyof typeof TROUBLES;

const DID_ERROR = 7;
const FAULTS: Readonly<Record<Exclude<Trouble, "none" | "sometimes">, Fault>> = {
  errors: { kind: "error", hostStatus: DID_ERROR },
  silent: { kind: "no-answer" },
  gone: { kind: "port-down" },
  flapping: { kind: "flapping", upMs: 3000, downMs: 1500 },
};

/** A disk on which nothing stays: only times matter here. */
const nothing: Medium = {
  read: (memory, address, _low, _high, bytes) => {
    memory.fill(0, address, address + bytes);
    return 0;
  },
  write: () => 0,
  zero: () => 0,
};

/** How a path is seen by the core. */
export interface LanePath {
  readonly name: string;
  readonly mark: Mark;
  readonly ios: number;
}

const FLAGS: readonly (readonly [number, Mark])[] = [
  [abi.PATH_FLAG_FAILED, { tone: "bad", word: "failed" }],
  [abi.PATH_FLAG_STALLED, { tone: "warn", word: "stalled" }],
  [abi.PATH_FLAG_MARGINAL, { tone: "warn", word: "marginal" }],
  [abi.PATH_FLAG_SUSPECT, { tone: "warn", word: "suspect" }],
  [abi.PATH_FLAG_IN_USE, { tone: "good", word: "in use" }],
];

const HIGH = 2 ** 32;
/** Turns without time passing; a core that needs more does not come to rest. */
const TURNS_MAX = 100_000;

function accepted(answer: number, what: string): number {
  if (answer < 0) throw new Error(`the core refuses ${what}: ${answer}`);
  return answer;
}

export class Lane {
  readonly policy: number;
  readonly #core: LaidOutCore;
  readonly #array: EmulatedArray;
  readonly #client: BlockClient;
  readonly #tally: Tally;
  readonly #paths: number[] = [];
  readonly #slow = new Map<number, number>();
  readonly #trouble = new Map<number, number>();
  #nowNs = 1e9;

  constructor(module: WebAssembly.Module, policy: number, seed: number) {
    this.policy = policy;
    this.#core = new LaidOutCore(instantiate(module), {
      limits: LIMITS,
      door: DOOR,
      seed: BigInt(seed),
      nowNs: BigInt(this.#nowNs),
    });
    this.#array = new EmulatedArray(
      { units: 1, unitBytes: UNIT_BYTES, paths: PATHS, controllers: CONTROLLERS, initiatorPorts: 2, service: SERVICE },
      { medium: () => nothing, seed, powerOnAttention: false },
    );
    this.#array.attach(this.#core.bytes, this.#core.control);
    const unit = this.#configure();
    this.#tally = new Tally(this.#nowNs);
    this.#client = new BlockClient(this.#core, {
      unit,
      unitBytes: UNIT_BYTES,
      seed,
      answered: (latencyNs, isGood) => this.#tally.add(latencyNs, isGood),
    });
  }

  #configure(): number {
    const { exports } = this.#core;
    for (const [mode, value] of MODES) accepted(exports.modeSet(mode, BigInt(value)), `mode ${mode}`);
    const unit = accepted(exports.unitAdd(), "a unit");
    for (const [property, value] of [...SETTINGS, [abi.UNIT_SET_POLICY, this.policy] as const])
      accepted(exports.unitSet(unit, property, BigInt(value)), `setting ${property}`);
    for (const [at, port] of this.#array.ports.entries()) {
      const path = accepted(exports.pathAdd(unit, 1, port.handle, PATHS - at, 1, 64), "a path");
      const facts: readonly (readonly [number, number])[] = [
        [abi.PATH_SET_INITIATOR_PORT, port.initiatorPort + 1],
        [abi.PATH_SET_TARGET_PORT, port.targetPort + 1],
        [abi.PATH_SET_CONTROLLER, port.controller + 1],
      ];
      for (const [property, value] of facts)
        accepted(exports.pathSet(path, property, BigInt(value)), `fact ${property}`);
      this.#paths.push(path);
    }
    return unit;
  }

  get nowNs(): number {
    return this.#nowNs;
  }

  get tally(): Tally {
    return this.#tally;
  }

  set depth(depth: number) {
    this.#client.depth = depth;
  }

  /** @param factor how many times as long a command takes on this path */
  slow(path: number, factor: number): void {
    this.#lift(this.#slow, path);
    if (factor === 1) return;
    const where = { path: this.#array.ports[path]?.pathNumber ?? "" };
    this.#slow.set(path, this.#array.addFault({ fault: { kind: "slow", factor }, where }));
  }

  trouble(path: number, trouble: Trouble): void {
    this.#lift(this.#trouble, path);
    if (trouble === "none") return;
    const where = { path: this.#array.ports[path]?.pathNumber ?? "" };
    const isRare = trouble === "sometimes";
    const fault = isRare ? FAULTS.errors : FAULTS[trouble];
    this.#trouble.set(
      path,
      this.#array.addFault({ fault, where, ...(isRare ? { when: { commands: "io", probability: 0.05 } } : {}) }),
    );
  }

  #lift(faults: Map<number, number>, path: number): void {
    const fault = faults.get(path);
    if (fault !== undefined) this.#array.liftFault(fault);
    faults.delete(path);
  }

  /** Goes on to a time of the lane's own clock, from one thing that is due to the next. */
  advanceTo(targetNs: number): void {
    for (;;) {
      this.#settle();
      const dueNs = Math.min(this.#deadlineNs, this.#array.deadlineNs);
      if (dueNs > targetNs) break;
      this.#nowNs = Math.max(dueNs, this.#nowNs + 1);
      this.#tally.reach(this.#nowNs);
    }
    this.#nowNs = Math.max(this.#nowNs, targetNs);
    this.#tally.reach(this.#nowNs);
  }

  get #deadlineNs(): number {
    const { view, control } = this.#core;
    const high = view.getUint32(control + abi.CONTROL_DEADLINE_NS + 4, true);
    return high === HIGH - 1 ? Infinity : high * HIGH + view.getUint32(control + abi.CONTROL_DEADLINE_NS, true);
  }

  /** Core, array and client take turns until nothing more happens without time passing. */
  #settle(): void {
    const { view, control, exports } = this.#core;
    view.setUint32(control + abi.CONTROL_NOW_NS, this.#nowNs >>> 0, true);
    view.setUint32(control + abi.CONTROL_NOW_NS + 4, Math.floor(this.#nowNs / HIGH), true);
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const isBusy = this.#client.turn(this.#nowNs);
      exports.run();
      this.#forgetEvents();
      const posted = this.#array.turn();
      if (!isBusy && posted === 0 && !this.#array.backlog && !this.#hasCompletions) return;
    }
    throw new Error("the core does not come to rest");
  }

  get #hasCompletions(): boolean {
    const { view, control } = this.#core;
    const ring = control + abi.CONTROL_BLOCK_COMPLETIONS;
    return view.getUint32(ring + abi.RING_HEAD, true) !== view.getUint32(ring + abi.RING_TAIL, true);
  }

  /** What the core tells of is seen in its table of paths. */
  #forgetEvents(): void {
    const { view, control } = this.#core;
    const ring = control + abi.CONTROL_EVENT_QUEUE;
    view.setUint32(ring + abi.RING_HEAD, view.getUint32(ring + abi.RING_TAIL, true), true);
  }

  get paths(): LanePath[] {
    const { view, pathTable } = this.#core;
    return this.#paths.map((path, at) => {
      const record = decodePath(view, pathTable + path * abi.PATH_BYTES, path);
      const mark = FLAGS.find(([flag]) => (record.flags & flag) !== 0)?.[1] ?? { tone: "idle", word: "ready" };
      return { name: this.#array.ports[at]?.pathNumber ?? String(at), mark, ios: record.ios };
    });
  }
}
