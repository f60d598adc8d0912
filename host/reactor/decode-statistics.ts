// Reads the statistics of a path or a unit from a copy of the core's memory (layout: STATISTICS_* in abi.ts).

import * as abi from "../abi.ts";
import { counted } from "../wording.ts";

/** Counters of reads or of writes: how many, how large, how long. */
export interface TransferStatistics {
  readonly ios: number;
  readonly bytes: number;
  /** Sum of the latencies in ns; over `ios` it is the mean. */
  readonly latencySumNs: number;
  /** Longest latency in ns since the counters were last reset. */
  readonly latencyMaxNs: number;
  /** Counts by bucket, STATISTICS_BUCKETS long. */
  readonly histogram: readonly number[];
}

export interface Statistics {
  readonly reads: TransferStatistics;
  readonly writes: TransferStatistics;
  readonly errors: number;
  readonly retries: number;
  readonly hedges: number;
  readonly hedgesWon: number;
}

/**
 * Decodes one record.
 * @param memory a copy of (or a view on) the core's memory, or a part of it
 * @param offset where in it the record begins
 * @throws RangeError when the record does not fit in
 */
export function decodeStatistics(memory: Uint8Array, offset = 0): Statistics {
  if (offset < 0 || offset + abi.STATISTICS_BYTES > memory.byteLength) {
    throw new RangeError(
      `offset: no room for a statistics record at ${offset} of ${counted(memory.byteLength, "byte")}`,
    );
  }
  const view = new DataView(memory.buffer, memory.byteOffset + offset, abi.STATISTICS_BYTES);
  const counter = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  const histogram = (at: number): number[] =>
    Array.from({ length: abi.STATISTICS_BUCKETS }, (_, bucket) => counter(at + bucket * 8));
  return {
    reads: {
      ios: counter(abi.STATISTICS_READS),
      bytes: counter(abi.STATISTICS_BYTES_READ),
      latencySumNs: counter(abi.STATISTICS_LATENCY_SUM_READ_NS),
      latencyMaxNs: counter(abi.STATISTICS_LATENCY_MAX_READ_NS),
      histogram: histogram(abi.STATISTICS_HISTOGRAM_READ),
    },
    writes: {
      ios: counter(abi.STATISTICS_WRITES),
      bytes: counter(abi.STATISTICS_BYTES_WRITTEN),
      latencySumNs: counter(abi.STATISTICS_LATENCY_SUM_WRITE_NS),
      latencyMaxNs: counter(abi.STATISTICS_LATENCY_MAX_WRITE_NS),
      histogram: histogram(abi.STATISTICS_HISTOGRAM_WRITE),
    },
    errors: counter(abi.STATISTICS_ERRORS),
    retries: counter(abi.STATISTICS_RETRIES),
    hedges: counter(abi.STATISTICS_HEDGES),
    hedgesWon: counter(abi.STATISTICS_HEDGES_WON),
  };
}

/** What happened between two readings of one record. The longest latency is that of the later reading. */
export function statisticsBetween(before: Statistics, after: Statistics): Statistics {
  return {
    reads: transfersBetween(before.reads, after.reads),
    writes: transfersBetween(before.writes, after.writes),
    errors: after.errors - before.errors,
    retries: after.retries - before.retries,
    hedges: after.hedges - before.hedges,
    hedgesWon: after.hedgesWon - before.hedgesWon,
  };
}

function transfersBetween(before: TransferStatistics, after: TransferStatistics): TransferStatistics {
  return {
    ios: after.ios - before.ios,
    bytes: after.bytes - before.bytes,
    latencySumNs: after.latencySumNs - before.latencySumNs,
    latencyMaxNs: after.latencyMaxNs,
    histogram: after.histogram.map((count, bucket) => count - (before.histogram[bucket] ?? 0)),
  };
}

/** Reads and writes together. */
export function allTransfers({ reads, writes }: Statistics): TransferStatistics {
  return {
    ios: reads.ios + writes.ios,
    bytes: reads.bytes + writes.bytes,
    latencySumNs: reads.latencySumNs + writes.latencySumNs,
    latencyMaxNs: Math.max(reads.latencyMaxNs, writes.latencyMaxNs),
    histogram: reads.histogram.map((count, bucket) => count + (writes.histogram[bucket] ?? 0)),
  };
}

/** Lower end of a bucket, counted from the first one (0), ns. */
function octaveBucketNs(place: number): number {
  const octave = Math.floor(place / abi.STATISTICS_BUCKETS_PER_OCTAVE) + abi.STATISTICS_OCTAVE_FIRST;
  return 2 ** octave * (1 + (place % abi.STATISTICS_BUCKETS_PER_OCTAVE) / abi.STATISTICS_BUCKETS_PER_OCTAVE);
}

/** Latencies of a bucket: from (inclusive) and to (exclusive), ns. The last bucket also holds everything longer. */
export function bucketRangeNs(bucket: number): { readonly fromNs: number; readonly toNs: number } {
  return { fromNs: bucket === 0 ? 0 : octaveBucketNs(bucket - 1), toNs: octaveBucketNs(bucket) };
}

/**
 * Latency in ns that this fraction of the transfers does not exceed, interpolated within its bucket; 0 without transfers.
 * @param part 0 < part <= 1: 0.5 is the median, 0.9999 p99.99
 * @throws RangeError when `part` is out of range
 */
export function percentileNs(transfers: TransferStatistics, part: number): number {
  if (!(part > 0 && part <= 1)) throw new RangeError(`part: ${part} is not above 0 and at most 1; p99.9 is 0.999`);
  const total = transfers.histogram.reduce((sum, count) => sum + count, 0);
  const rank = part * total;
  let seen = 0;
  for (const [bucket, count] of transfers.histogram.entries()) {
    if (count > 0 && seen + count >= rank) {
      const { fromNs, toNs } = bucketRangeNs(bucket);
      const within = fromNs + (toNs - fromNs) * ((rank - seen) / count);
      return Math.min(within, Math.max(transfers.latencyMaxNs, fromNs));
    }
    seen += count;
  }
  return 0;
}
