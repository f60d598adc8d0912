// Latencies and rates of the last minutes, from counters that only grow.

import test from "ava";
import { COLUMNS_MAX, percentileUs, RecentLatencies, sampleBetween } from "../../../host/page/model/recent.ts";
import type { StatisticsView } from "../../../host/control/schemas/status-schema.ts";

const boundsUs = [10, 100, 1000];
const path = (...counts: number[]) => ({ time: 0, boundsUs, paths: [{ number: "4:0:0:0", unit: 0, counts }] });

test("a column is what came since the last answer; the first one tells nothing of now", (t) => {
  const recent = new RecentLatencies();
  recent.add(path(1000, 0, 0, 0));
  t.deepEqual(recent.of("0 4:0:0:0"), []);
  recent.add(path(1000, 100, 0, 0));
  t.like(recent.of("0 4:0:0:0")[0], { counts: [0, 100, 0, 0], p50Us: 55 });
  recent.add(path(1000, 100, 0, 0));
  t.like(recent.of("0 4:0:0:0")[1], { p50Us: null, p99Us: null });
});

test("counters that begin anew are no negative counts, and old columns go", (t) => {
  const recent = new RecentLatencies();
  for (let answer = 0; answer < COLUMNS_MAX + 10; answer++) recent.add(path(answer, 0, 0, 0));
  recent.add(path(0, 3, 0, 0));
  const columns = recent.of("0 4:0:0:0");
  t.is(columns.length, COLUMNS_MAX);
  t.deepEqual(columns.at(-1)?.counts, [0, 3, 0, 0]);
});

test("percentiles stay within their class; what is longer than all classes is told", (t) => {
  t.is(percentileUs([0, 0, 0, 0], boundsUs, 0.5), null);
  t.is(percentileUs([100, 0, 0, 0], boundsUs, 0.5), 5);
  t.is(percentileUs([0, 0, 0, 1], boundsUs, 1), 2000);
});

const statistics = (runningMs: number, ios: number): StatisticsView => {
  const counters = { ios, bytesRead: ios * 10, bytesWritten: 0, errors: 0, retries: 0, inFlight: 3 };
  return {
    time: 0,
    runningMs,
    totals: counters,
    units: [
      {
        number: 0,
        name: "a",
        requests: 0,
        waiting: 2,
        answered: 0,
        failed: 0,
        latencyMaxUs: 0,
        p50Us: null,
        p99Us: null,
      },
    ],
    paths: [{ ...counters, number: "4:0:0:0", unit: 0, symbol: ">", serviceUs: 0, p50Us: null, p99Us: null }],
  };
};

test("rates are per second of the daemon's clock; after a restart they begin with zero", (t) => {
  const sample = sampleBetween(statistics(1000, 100), statistics(3000, 300));
  t.like(sample, { total: { iops: 100, readBytes: 1000 }, waiting: 2, inFlight: 3 });
  t.is(sample.ofPath("0 4:0:0:0")?.iops, 100);
  t.is(sampleBetween(statistics(5000, 900), statistics(1000, 300)).total.iops, 0);
  t.is(sampleBetween(null, statistics(1000, 300)).total.iops, 0);
});
