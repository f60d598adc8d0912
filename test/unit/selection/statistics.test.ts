// What is recorded is what is read back: counts exactly, latencies to the width of a bucket.

import { readFileSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import { instantiate } from "../../../bench/policies.ts";
import { STATISTICS_BUCKETS, STATISTICS_BYTES } from "../../../host/abi.ts";
import {
  allTransfers,
  bucketRangeNs,
  decodeStatistics,
  percentileNs,
  statisticsBetween,
  type Statistics,
} from "../../../host/reactor/decode-statistics.ts";

interface StatisticsModule {
  readonly memory: WebAssembly.Memory;
  recordNew(): number;
  record(base: number, write: number, bytes: number, latencyNs: number): void;
  error(base: number): void;
  retry(base: number): void;
  hedge(base: number, won: number): void;
  percentileNs(base: number, write: number, parts: number): number;
}

const compiled = new WebAssembly.Module(readFileSync("build/bench/statistics.wasm"));

class Record {
  readonly core = instantiate<StatisticsModule>(compiled);
  readonly base = this.core.recordNew();

  read(): Statistics {
    return decodeStatistics(new Uint8Array(this.core.memory.buffer), this.base);
  }
}

const io = fc.record({
  write: fc.constantFrom(0, 1),
  bytes: fc.integer({ min: 0, max: 1048576 }),
  latencyNs: fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 2 ** 40 })),
});

test("counts, bytes, sums and longest latencies are exact", (t) => {
  fc.assert(
    fc.property(fc.array(io, { maxLength: 200 }), (ios) => {
      const record = new Record();
      for (const { write, bytes, latencyNs } of ios) record.core.record(record.base, write, bytes, latencyNs);
      const { reads, writes } = record.read();
      for (const [transfers, write] of [
        [reads, 0],
        [writes, 1],
      ] as const) {
        const mine = ios.filter((one) => one.write === write);
        t.is(transfers.ios, mine.length);
        t.is(
          transfers.bytes,
          mine.reduce((sum, one) => sum + one.bytes, 0),
        );
        t.is(
          transfers.latencySumNs,
          mine.reduce((sum, one) => sum + one.latencyNs, 0),
        );
        t.is(transfers.latencyMaxNs, Math.max(0, ...mine.map((one) => one.latencyNs)));
        t.is(
          transfers.histogram.reduce((sum, count) => sum + count, 0),
          mine.length,
        );
      }
    }),
    { numRuns: 50 },
  );
});

test("every latency lands in the bucket that holds it, and a bucket is an eighth of its octave wide", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 37 }), (latencyNs) => {
      const record = new Record();
      record.core.record(record.base, 0, 0, latencyNs);
      const bucket = record.read().reads.histogram.indexOf(1);
      const { fromNs, toNs } = bucketRangeNs(bucket);
      return latencyNs >= fromNs && latencyNs < toNs && (bucket === 0 || toNs - fromNs <= fromNs / 8);
    }),
  );
  const record = new Record();
  record.core.record(record.base, 1, 0, 2 ** 50);
  t.is(record.read().writes.histogram[STATISTICS_BUCKETS - 1], 1);
});

test("percentiles are those of the latencies, to the width of a bucket, in the host and in the core", (t) => {
  const latency = fc.integer({ min: 1024, max: 2 ** 36 });
  const part = fc.constantFrom(0.5, 0.9, 0.99, 0.999, 0.9999, 1);
  const kind = fc.constantFrom(0, 1);
  fc.assert(
    fc.property(fc.array(latency, { minLength: 1, maxLength: 300 }), part, kind, (latencies, wanted, write) => {
      const record = new Record();
      for (const latencyNs of latencies) {
        record.core.record(record.base, write, 512, latencyNs);
        record.core.record(record.base, 1 - write, 512, 1);
      }
      const sorted = latencies.toSorted((a, b) => a - b);
      const exact = sorted[Math.ceil(wanted * sorted.length - 1e-9) - 1] ?? 0;
      const { reads, writes } = record.read();
      const host = percentileNs(write === 1 ? writes : reads, wanted);
      const core = record.core.percentileNs(record.base, write, Math.round(wanted * 1e6));
      return Math.abs(host - exact) <= exact / 7 && core > exact && core <= exact * 1.126;
    }),
  );
  t.is(percentileNs(new Record().read().reads, 0.99), 0);
  const none = new Record();
  for (const write of [0, 1]) t.is(none.core.percentileNs(none.base, write, 990_000), 0);
  t.throws(() => percentileNs(new Record().read().reads, 0), { instanceOf: RangeError, message: /^part: 0 / });
  t.throws(() => percentileNs(new Record().read().reads, 99), { instanceOf: RangeError });
});

test("two readings give what happened between them; reads and writes add up", (t) => {
  const record = new Record();
  record.core.record(record.base, 0, 4096, 10_000);
  const before = record.read();
  record.core.record(record.base, 0, 512, 20_000);
  record.core.record(record.base, 1, 512, 30_000);
  record.core.error(record.base);
  record.core.retry(record.base);
  record.core.hedge(record.base, 1);
  record.core.hedge(record.base, 0);
  const between = statisticsBetween(before, record.read());
  t.like(between, { errors: 1, retries: 1, hedges: 2, hedgesWon: 1, reads: { ios: 1, bytes: 512 } });
  const all = allTransfers(between);
  t.like(all, { ios: 2, bytes: 1024, latencySumNs: 50_000, latencyMaxNs: 30_000 });
  t.is(
    all.histogram.reduce((sum, count) => sum + count, 0),
    2,
  );
});

test("a region too small for a record is refused", (t) => {
  t.throws(() => decodeStatistics(new Uint8Array(STATISTICS_BYTES - 1)), {
    instanceOf: RangeError,
    message: /^offset:/,
  });
  t.throws(() => decodeStatistics(new Uint8Array(STATISTICS_BYTES), 1), { instanceOf: RangeError });
});
