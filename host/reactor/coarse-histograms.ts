// Latency histograms as a scraper reads them: one bucket an octave. The core's own have eight, and are eight times as large: they
// are added up here, in the reactor, so that only what is asked for is copied and sent.

import * as abi from "../abi.ts";

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

/** Buckets of the core below each bound, and at last all of them. */
const ENDS: readonly number[] = [
  ...COARSE_BOUNDS_NS.map((_, index) => {
    return 1 + (OCTAVE_FIRST + index - abi.STATISTICS_OCTAVE_FIRST) * abi.STATISTICS_BUCKETS_PER_OCTAVE;
  }),
  abi.STATISTICS_BUCKETS,
];

const u64 = (words: Int32Array, at: number): number =>
  ((words[at >>> 2] ?? 0) >>> 0) + ((words[(at >>> 2) + 1] ?? 0) >>> 0) * 4_294_967_296;

function fold(words: Int32Array, histogram: number, into: Float64Array, at: number): void {
  let bucket = 0;
  for (let coarse = 0; coarse < ENDS.length; coarse++) {
    const end = ENDS[coarse] ?? 0;
    let count = 0;
    for (; bucket < end; bucket++) count += u64(words, histogram + bucket * 8);
    into[at + coarse] = count;
  }
}

/**
 * Adds up one record of statistics.
 * @param words the core's memory
 * @param from address of the record
 * @param at where in `into` its COARSE_VALUES begin
 */
export function foldStatistics(words: Int32Array, from: number, into: Float64Array, at: number): void {
  if (u64(words, from + abi.STATISTICS_READS) > 0) {
    fold(words, from + abi.STATISTICS_HISTOGRAM_READ, into, at + COARSE.reads);
    into[at + COARSE.reads + COARSE.sum] = u64(words, from + abi.STATISTICS_LATENCY_SUM_READ_NS);
  }
  if (u64(words, from + abi.STATISTICS_WRITES) > 0) {
    fold(words, from + abi.STATISTICS_HISTOGRAM_WRITE, into, at + COARSE.writes);
    into[at + COARSE.writes + COARSE.sum] = u64(words, from + abi.STATISTICS_LATENCY_SUM_WRITE_NS);
  }
  into[at + COARSE.hedges] = u64(words, from + abi.STATISTICS_HEDGES);
  into[at + COARSE.hedgesWon] = u64(words, from + abi.STATISTICS_HEDGES_WON);
}
