// Latency histograms as a scraper reads them: one bucket an octave. The core's own have eight, and are eight times as large: they
// are added up here, in the reactor, so that only what is asked for is copied and sent.

import * as abi from "../abi.ts";
import { addUpHistograms } from "../native/index.ts";
import type { LaidOutCore } from "./laid-out-core.ts";

/** The first bound is 2^13 ns (8 us), the last one 2^36 ns (69 s). */
const OCTAVE_FIRST = 13;
const OCTAVE_LAST = 36;

/** Upper bounds of the buckets in ns, ascending; one more bucket holds what is longer. */
export const COARSE_BOUNDS_NS: readonly number[] = Array.from(
  { length: OCTAVE_LAST - OCTAVE_FIRST + 1 },
  (_, index) => 2 ** (OCTAVE_FIRST + index),
);

/** Of reads, then of writes: a count for each bucket, and the sum of the latencies in ns. */
const DIRECTION_VALUES = COARSE_BOUNDS_NS.length + 2;
/** Of one unit or path: both directions, hedges, hedges won. */
export const COARSE_VALUES = 2 * DIRECTION_VALUES + 2;

/** Where the parts of a record begin. */
export const COARSE = {
  reads: 0,
  writes: DIRECTION_VALUES,
  sum: DIRECTION_VALUES - 1,
  hedges: 2 * DIRECTION_VALUES,
  hedgesWon: 2 * DIRECTION_VALUES + 1,
} as const;

/** Upper bounds of the buckets by size, in ns: the core's own. */
export const SIZE_BOUNDS_NS: readonly number[] = Array.from(
  { length: abi.STATISTICS_SIZE_BUCKETS - 1 },
  (_, bucket) => 2 ** (abi.STATISTICS_SIZE_OCTAVE_FIRST + 2 * bucket),
);
/** Reads by size class, then writes: buckets and sum of each. Then requests that waited, and how long. */
const SIZE_HISTOGRAMS = 2 * abi.STATISTICS_SIZE_CLASSES;
export const SIZE_CLASS_VALUES = abi.STATISTICS_SIZE_BUCKETS + 1;
export const WAITED = SIZE_HISTOGRAMS * SIZE_CLASS_VALUES;
export const WAIT_SUM = WAITED + 1;

/** What can be asked for, and how many values there are of each unit or path. */
export const VALUES_OF = { units: COARSE_VALUES, paths: COARSE_VALUES, sizes: WAIT_SUM + 1 } as const;
export type Which = keyof typeof VALUES_OF;

/** Buckets of the core below each bound, and at last all of them. */
const ENDS = Uint32Array.of(
  ...COARSE_BOUNDS_NS.map((_, index) => {
    return 1 + (OCTAVE_FIRST + index - abi.STATISTICS_OCTAVE_FIRST) * abi.STATISTICS_BUCKETS_PER_OCTAVE;
  }),
  abi.STATISTICS_BUCKETS,
);

/** Of each histogram: where the number of all is, and where the buckets begin. */
const HISTOGRAMS = Uint32Array.of(
  abi.STATISTICS_READS,
  abi.STATISTICS_HISTOGRAM_READ,
  abi.STATISTICS_WRITES,
  abi.STATISTICS_HISTOGRAM_WRITE,
);

/** Counters that are copied as they are, with their places. */
const COUNTERS = [
  [abi.STATISTICS_LATENCY_SUM_READ_NS, COARSE.reads + COARSE.sum],
  [abi.STATISTICS_LATENCY_SUM_WRITE_NS, COARSE.writes + COARSE.sum],
  [abi.STATISTICS_HEDGES, COARSE.hedges],
  [abi.STATISTICS_HEDGES_WON, COARSE.hedgesWon],
] as const;

const sizeClassAt = (index: number): number => abi.STATISTICS_SIZES + index * abi.STATISTICS_SIZE_BYTES;
const SIZES = Array.from({ length: SIZE_HISTOGRAMS }, (_, index) => sizeClassAt(index));
const SIZE_PLACES = Uint32Array.from(SIZES.flatMap((at) => [at, at + 16]));
/** Each of the core's buckets by itself. */
const SIZE_ENDS = Uint32Array.from({ length: abi.STATISTICS_SIZE_BUCKETS }, (_, bucket) => bucket + 1);
const SIZE_COUNTERS = [
  ...SIZES.map((at, index) => [at + 8, index * SIZE_CLASS_VALUES + abi.STATISTICS_SIZE_BUCKETS] as const),
  [abi.STATISTICS_WAITED, WAITED],
  [abi.STATISTICS_WAIT_SUM_NS, WAIT_SUM],
] as const;

const u64 = (words: Int32Array, at: number): number =>
  ((words[at >>> 2] ?? 0) >>> 0) + ((words[(at >>> 2) + 1] ?? 0) >>> 0) * 4_294_967_296;

/**
 * Adds up records of statistics.
 * @param addresses where they begin in the core's memory; 0 for one that is not there: its first value is NaN
 */
export function foldStatistics(
  { bytes, words }: Pick<LaidOutCore, "bytes" | "words">,
  which: Which,
  addresses: Uint32Array,
): Float64Array {
  const each = VALUES_OF[which];
  const values = new Float64Array(addresses.length * each);
  const bySize = which === "sizes";
  if (bySize) addUpHistograms(bytes, addresses, SIZE_PLACES, SIZE_ENDS, values, each, SIZE_CLASS_VALUES);
  else addUpHistograms(bytes, addresses, HISTOGRAMS, ENDS, values, each, DIRECTION_VALUES);
  for (const [index, from] of addresses.entries()) {
    const record = index * each;
    if (from === 0) values[record] = NaN;
    else for (const [offset, at] of bySize ? SIZE_COUNTERS : COUNTERS) values[record + at] = u64(words, from + offset);
  }
  return values;
}
