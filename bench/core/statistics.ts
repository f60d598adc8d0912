// The statistics alone, compiled from the core's own module, for tests and benches.

import { STATISTICS_BYTES } from "../../assembly/abi";
import {
  statisticsError,
  statisticsHedge,
  statisticsHedgeWon,
  statisticsPercentileNs,
} from "../../assembly/memory/statistics";
import { statisticsRecord, statisticsReset, statisticsRetry } from "../../assembly/memory/statistics";

/** Address of a fresh record. */
export function recordNew(): u32 {
  const base = (__heap_base + 63) & ~63;
  const pages = <i32>((base + <usize>STATISTICS_BYTES + 65535) >> 16) - memory.size();
  if (pages > 0) assert(memory.grow(pages) >= 0);
  statisticsReset(base);
  return <u32>base;
}

export function record(base: u32, write: bool, bytes: u32, latencyNs: f64): void {
  statisticsRecord(base, write, bytes, <u64>latencyNs);
}

export function error(base: u32): void {
  statisticsError(base);
}

export function retry(base: u32): void {
  statisticsRetry(base);
}

export function hedge(base: u32, won: bool): void {
  statisticsHedge(base);
  if (won) statisticsHedgeWon(base);
}

export function percentileNs(base: u32, write: bool, parts: u32): f64 {
  return <f64>statisticsPercentileNs(base, write, parts);
}

/** Records `count` latencies spread over the buckets; returns the last, so that no work can be optimised away. */
export function recordMany(base: u32, count: u32): f64 {
  let latencyNs: u64 = 90000;
  for (let i: u32 = 0; i < count; i++) {
    latencyNs = (latencyNs * 1103515245 + 12345) & 0xfffff;
    statisticsRecord(base, (i & 3) === 0, 4096, latencyNs);
  }
  return <f64>latencyNs;
}

/** The same without recording: the cost of the loop itself, to be subtracted. */
export function drawMany(count: u32): f64 {
  let latencyNs: u64 = 90000;
  let writes: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    latencyNs = (latencyNs * 1103515245 + 12345) & 0xfffff;
    if ((i & 3) === 0) writes += latencyNs;
  }
  return <f64>(latencyNs + writes);
}
