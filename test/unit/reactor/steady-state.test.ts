// In steady state an I/O costs no JavaScript heap, and the core's memory never grows. The real loop: core, native ring and
// emulated array, with a real NBD client at the other end of a socket.

import { getHeapStatistics } from "node:v8";
import { Worker } from "node:worker_threads";
import test from "ava";
import { EmulatedArray, type EmulatedArrayOptions } from "../../../host/array/array.ts";
import type { ArrayTopology } from "../../../host/array/array-topology.ts";
import { clockNs, Ring, socketPair } from "../../../host/native/index.ts";
import {
  UNIT_ANSWERED,
  UNIT_BYTES as UNIT_RECORD_STRIDE,
  UNIT_SET_BLOCK_BYTES,
  UNIT_SET_BLOCKS,
} from "../../../host/abi.ts";
import { Core } from "../../../host/reactor/core-loader.ts";
import { runTurns } from "../../../host/reactor/loop.ts";
import { NativeMedium } from "../../../host/reactor/native-medium.ts";

const UNIT_BYTES = 1 << 24;
/** The heap is looked at each time after so many I/Os. */
const WINDOW_IOS = 5000;
/** V8 compiles anew now and then until it has settled, later on a busy machine. Steady is: so many quiet windows in a row, */
const QUIET_WINDOWS = 6;
/** in each of which the heap grew by less than this. One boxed number per I/O would be 12 bytes x 5000. */
const QUIET_BYTES = 500;
/** A heap that shrinks by more was collected: the window tells nothing. */
const COLLECTED = 1024;
const IOS_MAX = 600_000;
const DEPTH = 16;

interface Measured {
  /** Growth of the heap in each window, bytes, until the loop was steady; negative where a collection came in between. */
  readonly growth: readonly number[];
  readonly steady: boolean;
  readonly memoryGrew: boolean;
}

/** Bytes that looking at the heap costs itself. */
function costOfLooking(): number {
  let cost = Infinity;
  for (let i = 0; i < 10; i++) {
    const first = getHeapStatistics().used_heap_size;
    const again = getHeapStatistics().used_heap_size;
    if (again >= first) cost = Math.min(cost, again - first);
  }
  return cost;
}

/** Runs the reactor's loop with a client until it is steady, or the client has all its answers. */
function measure(topology: ArrayTopology): Measured {
  const options: EmulatedArrayOptions = {
    medium: (_, __, bytes) => new NativeMedium(bytes, { shared: null, name: "" }),
  };
  const core = new Core({ seed: 1n, nowNs: clockNs() });
  const ring = new Ring(core.bytes, core.control, { backend: "auto" });
  const array = new EmulatedArray(topology, options);
  array.attach(core.bytes, core.control);
  const unit = core.exports.unitAdd();
  core.exports.unitSet(unit, UNIT_SET_BLOCK_BYTES, 512n);
  core.exports.unitSet(unit, UNIT_SET_BLOCKS, BigInt(UNIT_BYTES / 512));
  for (const port of array.ports) core.exports.pathAdd(unit, 1, port.handle, port.handle + 1, 1, 64);
  const [ours, theirs] = socketPair("stream");
  if (ours === undefined || theirs === undefined) throw new Error("no socket pair");
  core.exports.connectionAdd(ring.addSocket(ours), unit, 0, 0);
  const client = new Worker(new URL("./load-worker.ts", import.meta.url), {
    workerData: { fd: theirs, depth: DEPTH, ios: IOS_MAX, bytes: UNIT_BYTES },
  });
  const answered = (core.unitTable + unit * UNIT_RECORD_STRIDE + UNIT_ANSWERED) >>> 2;
  const before = core.exports.memory.buffer.byteLength;
  const cost = costOfLooking();
  const growth: number[] = [];
  let quiet = 0;
  let used = 0;
  let look = WINDOW_IOS;
  while (quiet < QUIET_WINDOWS && look <= IOS_MAX) {
    ring.enter(runTurns(core, array));
    if ((core.words[answered] ?? 0) < look) continue;
    look += WINDOW_IOS;
    const grown = getHeapStatistics().used_heap_size - used - cost;
    used = getHeapStatistics().used_heap_size;
    growth.push(grown);
    if (grown > QUIET_BYTES) quiet = 0;
    else if (grown > -COLLECTED) quiet++;
  }
  void client.terminate();
  ring.close();
  return {
    growth,
    steady: quiet === QUIET_WINDOWS,
    memoryGrew: core.exports.memory.buffer.byteLength !== before,
  };
}

for (const [name, topology] of [
  ["an instant array", { units: 1, unitBytes: UNIT_BYTES }],
  ["an array with service times", { units: 1, unitBytes: UNIT_BYTES, service: { latencyUs: 50, parallelism: 8 } }],
] as const) {
  test(`${name}: no heap per I/O, no growth of the core's memory`, (t) => {
    const { growth, steady, memoryGrew } = measure(topology);
    t.false(memoryGrew);
    t.true(steady, `bytes in ${WINDOW_IOS} I/Os each: ${growth.join(" ")}`);
  });
}
