// Histograms in short hold what the core's own hold: no command is lost or lands in another octave.

import test from "ava";
import fc from "fast-check";
import * as abi from "../../../host/abi.ts";
import { COARSE, COARSE_BOUNDS_NS, COARSE_VALUES, foldStatistics } from "../../../host/reactor/coarse-histograms.ts";
import { bucketRangeNs, decodeStatistics } from "../../../host/reactor/decode-statistics.ts";

interface Counted {
  readonly bucket: number;
  readonly count: number;
  readonly isWrite: boolean;
}

const counted = fc.array(
  fc.record<Counted>({
    bucket: fc.nat(abi.STATISTICS_BUCKETS - 1),
    count: fc.integer({ min: 1, max: 2 ** 40 }),
    isWrite: fc.boolean(),
  }),
  { maxLength: 40 },
);

/** A record as the core writes it, somewhere in memory. */
function recordOf(all: readonly Counted[], at: number): Uint8Array {
  const memory = new Uint8Array(at + abi.STATISTICS_BYTES);
  const view = new DataView(memory.buffer);
  const add = (field: number, value: number): void =>
    view.setBigUint64(at + field, view.getBigUint64(at + field, true) + BigInt(value), true);
  for (const { bucket, count, isWrite } of all) {
    add(isWrite ? abi.STATISTICS_WRITES : abi.STATISTICS_READS, count);
    add(isWrite ? abi.STATISTICS_LATENCY_SUM_WRITE_NS : abi.STATISTICS_LATENCY_SUM_READ_NS, count);
    add((isWrite ? abi.STATISTICS_HISTOGRAM_WRITE : abi.STATISTICS_HISTOGRAM_READ) + bucket * 8, count);
  }
  add(abi.STATISTICS_HEDGES, 7);
  add(abi.STATISTICS_HEDGES_WON, 3);
  return memory;
}

test("every bucket of the core is in the bucket of its octave", (t) => {
  fc.assert(
    fc.property(counted, (all) => {
      const memory = recordOf(all, 64);
      const core = { bytes: memory, words: new Int32Array(memory.buffer) };
      const values = foldStatistics(core, "units", Uint32Array.of(0, 64));
      const exact = decodeStatistics(memory, 64);
      t.is(values[0], NaN, "nothing is there");
      for (const [from, transfers] of [
        [COARSE_VALUES + COARSE.reads, exact.reads],
        [COARSE_VALUES + COARSE.writes, exact.writes],
      ] as const) {
        let seen = 0;
        for (const [index, boundNs] of COARSE_BOUNDS_NS.entries()) {
          seen += values[from + index] ?? NaN;
          const below = transfers.histogram.filter((_, bucket) => bucketRangeNs(bucket).toNs <= boundNs);
          t.is(
            seen,
            below.reduce((sum, count) => sum + count, 0),
          );
        }
        t.is(seen + (values[from + COARSE_BOUNDS_NS.length] ?? NaN), transfers.ios);
        t.is(values[from + COARSE.sum], transfers.latencySumNs);
      }
      t.is(values[COARSE_VALUES + COARSE.hedges], 7);
      t.is(values[COARSE_VALUES + COARSE.hedgesWon], 3);
    }),
  );
});
