// In steady state an I/O costs no JavaScript heap, and the core's memory never grows. The real loop: core, native ring and
// emulated array, with a real NBD client at the other end of a socket.

import { getHeapStatistics } from "node:v8";
import { Worker } from "node:worker_threads";
import test from "ava";
import { EmulatedArray, type EmulatedArrayOptions } from "../../../host/array/array.ts";
import type { ArrayTopology } from "../../../host/array/topology.ts";
import { clockNs, Ring, socketPair } from "../../../host/native/index.ts";
import {
  UNIT_ANSWERED,
  UNIT_BYTES as UNIT_RECORD_STRIDE,
  UNIT_SET_BLOCK_BYTES,
  UNIT_SET_BLOCKS,
} from "../../../host/reactor/abi.ts";
import { Core } from "../../../host/reactor/core.ts";
import { runTurns } from "../../../host/reactor/loop.ts";
import { NativeMedium } from "../../../host/reactor/native-medium.ts";

const UNIT_BYTES = 1 << 24;
const WARM_IOS = 100_000;
/** The heap is looked at this many times, each time after so many I/Os. */
const WINDOWS = 12;
const WINDOW_IOS = 5000;
const IOS = WARM_IOS + (WINDOWS + 1) * WINDOW_IOS;
const DEPTH = 16;
/** A heap that shrinks by more was collected. */
const COLLECTED = 1024;

interface Measured {
  /** Growth of the heap in each window, bytes; negative where a collection came in between. */
  readonly growth: number[];
  readonly answered: number;
  readonly memoryGrew: boolean;
}

/** Bytes that looking at the heap costs itself. */
function costOfLooking(): number {
  const first = getHeapStatistics().used_heap_size;
  return getHeapStatistics().used_heap_size - first;
}

/** Runs the reactor's loop until the client has all its answers, looking at the heap now and then. */
function measure(topology: ArrayTopology): Measured {
  const options: EmulatedArrayOptions = { medium: (_, __, bytes) => new NativeMedium(bytes) };
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
    workerData: { fd: theirs, depth: DEPTH, ios: IOS, bytes: UNIT_BYTES },
  });
  const answered = (core.unitTable + unit * UNIT_RECORD_STRIDE + UNIT_ANSWERED) >>> 2;
  const before = core.exports.memory.buffer.byteLength;
  const used = new Float64Array(WINDOWS + 1);
  let window = 0;
  const endNs = clockNs() + 90_000_000_000n;
  for (let turn = 1; (core.words[answered] ?? 0) < IOS; turn++) {
    ring.enter(runTurns(core, array));
    if (window <= WINDOWS && (core.words[answered] ?? 0) >= WARM_IOS + window * WINDOW_IOS) {
      used[window++] = getHeapStatistics().used_heap_size;
    }
    if ((turn & 0xffff) === 0 && clockNs() > endNs) break;
  }
  void client.terminate();
  ring.close();
  const cost = costOfLooking();
  return {
    growth: Array.from({ length: WINDOWS }, (_, i) => (used[i + 1] ?? 0) - (used[i] ?? 0) - cost),
    answered: core.words[answered] ?? 0,
    memoryGrew: core.exports.memory.buffer.byteLength !== before,
  };
}

for (const [name, topology] of [
  ["an instant array", { units: 1, unitBytes: UNIT_BYTES }],
  ["an array with service times", { units: 1, unitBytes: UNIT_BYTES, service: { latencyUs: 50, parallelism: 8 } }],
] as const) {
  test(`${name}: no heap per I/O, no growth of the core's memory`, (t) => {
    const { growth, answered, memoryGrew } = measure(topology);
    t.is(answered, IOS);
    t.false(memoryGrew);
    // Windows with a collection tell nothing; what V8 keeps books with (compiling anew, say) falls into single windows.
    const valid = growth.filter((bytes) => bytes > -COLLECTED).toSorted((a, b) => a - b);
    t.true(valid.length >= WINDOWS / 2, `only ${valid.length} windows without a collection: ${growth.join(" ")}`);
    const median = valid[valid.length >> 1] ?? Infinity;
    // One boxed number per I/O would be 12 bytes or more.
    t.true(median / WINDOW_IOS < 0.1, `${median} bytes in ${WINDOW_IOS} I/Os; windows: ${growth.join(" ")}`);
  });
}
