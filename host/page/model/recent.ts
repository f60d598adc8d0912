// Latencies and rates of the last minutes, from counters that only grow: each answer of the daemon makes one column of a heat map.

import type { LatenciesView, StatisticsView } from "../../control/schemas/status-schema.ts";

/** Columns that are kept. */
export const COLUMNS_MAX = 60;

export interface LatencyColumn {
  readonly counts: readonly number[];
  readonly p50Us: number | null;
  readonly p99Us: number | null;
}

/** The latency that this part of the commands does not exceed: the upper end of its class, as it is all that is known. */
export function percentileUs(counts: readonly number[], boundsUs: readonly number[], part: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  for (const [at, count] of counts.entries()) {
    if (count > 0 && seen + count >= part * total) {
      const to = boundsUs[at] ?? (boundsUs.at(-1) ?? 0) * 2;
      const from = at === 0 ? 0 : (boundsUs[at - 1] ?? 0);
      return from + (to - from) * ((part * total - seen) / count);
    }
    seen += count;
  }
  return null;
}

/** What came since the last answer. Counters that went back began anew. */
const since = (before: readonly number[] | undefined, now: readonly number[]): number[] => {
  const isReset = before === undefined || now.some((count, at) => count < (before[at] ?? 0));
  return now.map((count, at) => count - (isReset ? 0 : (before[at] ?? 0)));
};

/** The key of a path; a number that wanders to another unit begins anew. */
export const keyOf = ({ unit, number }: { readonly unit: number; readonly number: string }): string =>
  `${unit} ${number}`;

export class RecentLatencies {
  boundsUs: readonly number[] = [];
  readonly #last = new Map<string, readonly number[]>();
  readonly #columns = new Map<string, LatencyColumn[]>();

  add({ boundsUs, paths }: LatenciesView): void {
    this.boundsUs = boundsUs;
    for (const path of paths) {
      const key = keyOf(path);
      const before = this.#last.get(key);
      this.#last.set(key, path.counts);
      // The first answer tells of all the time before.
      if (before === undefined) continue;
      const counts = since(before, path.counts);
      const columns = this.#columns.get(key) ?? [];
      this.#columns.set(key, columns);
      columns.push({
        counts,
        p50Us: percentileUs(counts, boundsUs, 0.5),
        p99Us: percentileUs(counts, boundsUs, 0.99),
      });
      if (columns.length > COLUMNS_MAX) columns.shift();
    }
  }

  of(key: string): readonly LatencyColumn[] {
    return this.#columns.get(key) ?? [];
  }
}

interface Rates {
  readonly iops: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly errors: number;
}

const COUNTERS = { iops: "ios", readBytes: "bytesRead", writtenBytes: "bytesWritten", errors: "errors" } as const;
type Counted = StatisticsView["totals"];

function rates(before: Counted | undefined, after: Counted, seconds: number): Rates {
  const rate = (name: keyof Counted): number => {
    const then = before?.[name] ?? 0;
    return before === undefined ? 0 : (after[name] - (then > after[name] ? 0 : then)) / seconds;
  };
  return {
    iops: rate(COUNTERS.iops),
    readBytes: rate(COUNTERS.readBytes),
    writtenBytes: rate(COUNTERS.writtenBytes),
    errors: rate(COUNTERS.errors),
  };
}

export interface Sample {
  readonly total: Rates;
  readonly inFlight: number;
  readonly waiting: number;
  readonly failed: number;
  readonly ofPath: (key: string) => Rates | undefined;
}

/** The rates between two answers; null when there is no time between them. */
export function sampleBetween(before: StatisticsView | null, after: StatisticsView): Sample {
  const isSame = before !== null && after.runningMs > before.runningMs;
  const seconds = isSame ? (after.runningMs - before.runningMs) / 1000 : 1;
  const earlier = new Map(isSame ? before.paths.map((path) => [keyOf(path), path]) : []);
  const found = new Map(after.paths.map((path) => [keyOf(path), rates(earlier.get(keyOf(path)), path, seconds)]));
  const sum = (name: "waiting" | "failed"): number => after.units.reduce((total, unit) => total + unit[name], 0);
  return {
    total: rates(isSame ? before.totals : undefined, after.totals, seconds),
    inFlight: after.totals.inFlight,
    waiting: sum("waiting"),
    failed: sum("failed"),
    ofPath: (key) => found.get(key),
  };
}
