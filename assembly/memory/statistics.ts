// Statistics of a path or a unit: counters and latency histograms, one for reads and one for writes.
//
// The histograms are log-linear: each octave of nanoseconds has STATISTICS_BUCKETS_PER_OCTAVE buckets of equal width, so a
// percentile is exact to an eighth of its value everywhere. Recording touches one bucket and five counters. Counters are 64 bits
// wide: they never wrap.
//
// The record is written by the core and read by the host (`host/reactor/decode-statistics.ts`).

import {
  STATISTICS_BUCKETS,
  STATISTICS_BUCKETS_PER_OCTAVE,
  STATISTICS_BYTES,
  STATISTICS_HISTOGRAM_READ,
  STATISTICS_HISTOGRAM_WRITE,
  STATISTICS_OCTAVE_FIRST,
  STATISTICS_READS,
  STATISTICS_SIZES,
  STATISTICS_SIZE_BUCKETS,
  STATISTICS_SIZE_BYTES,
  STATISTICS_SIZE_CLASSES,
  STATISTICS_SIZE_OCTAVE_FIRST,
  STATISTICS_WAITED,
  STATISTICS_WAIT_SUM_NS,
  STATISTICS_WRITES,
} from "../abi";

/** The counters in front of the histograms, as STATISTICS_* in `abi.ts` lays them out. */
@unmanaged
class Statistics {
  reads: u64;
  writes: u64;
  bytesRead: u64;
  bytesWritten: u64;
  latencySumNsRead: u64;
  latencySumNsWrite: u64;
  latencyMaxNsRead: u64;
  latencyMaxNsWrite: u64;
  errors: u64;
  retries: u64;
  hedges: u64;
  hedgesWon: u64;
}

/**
 * Resets a record to 0. Only words that are not 0 are written: an untouched page takes no memory, and thousands of paths have
 * pages that stay untouched.
 * @param base address, a multiple of 8, of so many bytes
 */
export function statisticsReset(base: usize, bytes: u32 = STATISTICS_BYTES): void {
  assert((base & 7) === 0);
  for (let at = base; at < base + bytes; at += 8) if (load<u64>(at) !== 0) store<u64>(at, 0);
}

/**
 * A command or request was completed.
 * @param base address of the record
 * @param bytes bytes it transferred
 * @param latencyNs how long it took
 */
export function statisticsRecord(base: usize, write: bool, bytes: u32, latencyNs: u64): void {
  const counters = changetype<Statistics>(base);
  let histogram = base;
  if (write) {
    counters.writes += 1;
    counters.bytesWritten += bytes;
    counters.latencySumNsWrite += latencyNs;
    if (latencyNs > counters.latencyMaxNsWrite) counters.latencyMaxNsWrite = latencyNs;
    histogram += STATISTICS_HISTOGRAM_WRITE;
  } else {
    counters.reads += 1;
    counters.bytesRead += bytes;
    counters.latencySumNsRead += latencyNs;
    if (latencyNs > counters.latencyMaxNsRead) counters.latencyMaxNsRead = latencyNs;
    histogram += STATISTICS_HISTOGRAM_READ;
  }
  const at = histogram + ((<usize>bucketOf(latencyNs)) << 3);
  store<u64>(at, load<u64>(at) + 1);
}

/** A request of a unit was completed: counted by its size as well. */
export function statisticsBySize(base: usize, write: bool, bytes: u32, latencyNs: u64): void {
  const size =
    <u32>(bytes > 4096) + <u32>(bytes > 65536) + <u32>(bytes > 524288) + (write ? STATISTICS_SIZE_CLASSES : 0);
  const at = base + STATISTICS_SIZES + size * STATISTICS_SIZE_BYTES;
  add(at, 1);
  add(at + 8, latencyNs);
  const octave: u32 = 63 - <u32>clz(latencyNs | 1);
  const first = STATISTICS_SIZE_OCTAVE_FIRST;
  const bucket = octave < first ? 0 : min((octave - first + 2) >> 1, STATISTICS_SIZE_BUCKETS - 1);
  add(at + 16 + (bucket << 3), 1);
}

/** A request of a unit has waited before its last command was made. */
export function statisticsWaited(base: usize, waitNs: u64): void {
  add(base + STATISTICS_WAITED, 1);
  add(base + STATISTICS_WAIT_SUM_NS, waitNs);
}

function add(at: usize, value: u64): void {
  store<u64>(at, load<u64>(at) + value);
}

/** A command failed because of the path (path record), or a request was answered with an error (unit record). */
export function statisticsError(base: usize): void {
  changetype<Statistics>(base).errors += 1;
}

/** A command was retried on the same path. */
export function statisticsRetry(base: usize): void {
  changetype<Statistics>(base).retries += 1;
}

/** A read was sent a second time; `statisticsHedgeWon`: the second answer came first. */
export function statisticsHedge(base: usize): void {
  changetype<Statistics>(base).hedges += 1;
}

export function statisticsHedgeWon(base: usize): void {
  changetype<Statistics>(base).hedgesWon += 1;
}

/** Bucket of a latency: 0 below the first octave, then a fixed number per octave; the last one takes everything longer. */
function bucketOf(latencyNs: u64): u32 {
  const octave: u32 = 63 - <u32>clz(latencyNs | 1);
  if (octave < STATISTICS_OCTAVE_FIRST) return 0;
  const width = <u64>(octave - SUB_BITS);
  const sub = (<u32>(latencyNs >> width)) & (STATISTICS_BUCKETS_PER_OCTAVE - 1);
  return min((octave - STATISTICS_OCTAVE_FIRST) * STATISTICS_BUCKETS_PER_OCTAVE + sub + 1, STATISTICS_BUCKETS - 1);
}

/** log2 of STATISTICS_BUCKETS_PER_OCTAVE. */
const SUB_BITS: u32 = 3;

/** Smallest latency (ns) above a bucket. */
function bucketEnd(bucket: u32): u64 {
  const one: u64 = 1;
  const octave = <u64>(bucket / STATISTICS_BUCKETS_PER_OCTAVE + STATISTICS_OCTAVE_FIRST);
  const sub = <u64>(bucket % STATISTICS_BUCKETS_PER_OCTAVE);
  return (one << octave) + (sub << (octave - SUB_BITS));
}

/**
 * Latency (ns) that `parts` of a million commands do not exceed, rounded up to the end of its bucket; 0 without any.
 * @param parts 1..1000000: 500000 is the median, 999900 p99.99
 */
export function statisticsPercentileNs(base: usize, write: bool, parts: u32): u64 {
  const total = load<u64>(base + (write ? STATISTICS_WRITES : STATISTICS_READS));
  if (total === 0) return 0;
  const histogram = base + (write ? STATISTICS_HISTOGRAM_WRITE : STATISTICS_HISTOGRAM_READ);
  const rank = (total * <u64>parts + 999999) / 1000000;
  let seen: u64 = 0;
  for (let bucket: u32 = 0; bucket < STATISTICS_BUCKETS; bucket++) {
    seen += load<u64>(histogram + ((<usize>bucket) << 3));
    if (seen >= rank) return bucketEnd(bucket);
  }
  return bucketEnd(STATISTICS_BUCKETS - 1);
}
