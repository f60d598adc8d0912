// A thread of the bench `scale`: a core with so many units and paths, the I/O goes to the last unit.

import { parentPort, workerData } from "node:worker_threads";
import * as abi from "../host/abi.ts";
import { Core } from "../host/reactor/core-loader.ts";
import { RingHost } from "./ring-host.ts";

/** Places in the shared words: rounds begun, for how long each runs in ms, whether this one is done, I/Os answered in it. */
export const GENERATION = 0;
export const RUNNING = 1;
export const DONE = 2;
export const ANSWERED = 3;
export const WORDS = 4;

export interface ScaleTask {
  readonly units: number;
  readonly paths: number;
  readonly shared: Int32Array<SharedArrayBuffer>;
}

const UNIT_BYTES = 64 << 20;
const LOAD = { write: false, depth: 16, bytes: 4096, unitBytes: UNIT_BYTES };
const WARM_IOS = 60_000;
/** I/Os between two looks at the clock. */
const CHUNK_IOS = 2000;
const TURN_NS = 5000;

function hostOf({ units, paths }: ScaleTask): { readonly core: Core; readonly host: RingHost } {
  const limits = { units: Math.max(16, units), paths: Math.max(64, units * paths) };
  const core = new Core({ seed: 1n, nowNs: 1_000_000_000n, limits });
  const { exports } = core;
  let port = 0;
  for (let index = 0; index < units; index++) {
    const unit = exports.unitAdd();
    exports.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, 512n);
    exports.unitSet(unit, abi.UNIT_SET_BLOCKS, BigInt(UNIT_BYTES / 512));
    exports.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ADAPTIVE));
    for (let path = 0; path < paths; path++) exports.pathAdd(unit, 1, port++, path + 1, 1, 64);
  }
  return { core, host: new RingHost(core, units - 1, LOAD, true) };
}

function run({ core, host }: ReturnType<typeof hostOf>, ios: number): void {
  const end = (host.answered + ios) | 0;
  while (((end - host.answered) | 0) > 0) {
    core.exports.run();
    host.tick(TURN_NS);
    host.turn();
  }
}

function serve(task: ScaleTask): never {
  const { shared } = task;
  const world = hostOf(task);
  run(world, WARM_IOS);
  parentPort?.postMessage("ready");
  for (let generation = 0; ; generation++) {
    Atomics.wait(shared, GENERATION, generation);
    const end = performance.now() + Atomics.load(shared, RUNNING);
    let answered = 0;
    for (; performance.now() < end; answered += CHUNK_IOS) run(world, CHUNK_IOS);
    Atomics.store(shared, ANSWERED, answered);
    Atomics.store(shared, DONE, 1);
    Atomics.notify(shared, DONE);
  }
}

if (parentPort !== null) serve(workerData as ScaleTask);
