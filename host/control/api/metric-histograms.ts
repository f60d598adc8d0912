// Latency histograms of units and paths. They are copied from the core a few at a time, so that no turn of the reactor is long; with
// very many units and paths they are left out, and a metric says so.

import {
  bucketRangeNs,
  decodeStatistics,
  type Statistics,
  type TransferStatistics,
} from "../../reactor/decode-statistics.ts";
import * as abi from "../../abi.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { labels, number, sample, type Family } from "../../liaison/exposition.ts";
import type { Tables } from "./metric-families.ts";

/** Histograms in one scrape. Each is 34 lines. */
const HISTOGRAMS_MAX = 1024;
/** Regions copied within one turn of the reactor: about 60 KB. */
const PORTION = 16;
/** How long a scrape waits for one portion. */
const WAIT_MS = 100;
/** The core's buckets are eighths of an octave; a scrape has one bound an octave, from 8 us to 64 s. */
const OCTAVE_FIRST = 13;
const OCTAVE_LAST = 36;

interface Bound {
  /** In the core's histogram: buckets below this index. */
  readonly buckets: number;
  readonly le: string;
}

const BOUNDS: readonly Bound[] = Array.from({ length: OCTAVE_LAST - OCTAVE_FIRST + 1 }, (_, index) => {
  const ns = 2 ** (OCTAVE_FIRST + index);
  let buckets = 0;
  while (buckets < abi.STATISTICS_BUCKETS && bucketRangeNs(buckets).toNs <= ns) buckets++;
  return { buckets, le: number(ns / 1e9) };
});

/** Of a unit or a path. */
interface Measured {
  readonly labels: string;
  readonly statistics: Statistics;
}

export interface Histograms {
  readonly units: readonly Measured[];
  readonly paths: readonly Measured[];
  /** Units and paths whose histograms were left out. */
  readonly omitted: number;
}

type Which = "units" | "paths";

async function ask(reactor: ReactorClient, which: Which, handles: readonly number[]) {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), WAIT_MS);
  });
  const answer = await Promise.race([reactor.statistics({ [which]: handles }).catch(() => null), limit]);
  clearTimeout(timer);
  return answer?.[which] ?? null;
}

export async function askHistograms(reactor: ReactorClient, { units, paths }: Tables): Promise<Histograms> {
  const found: Record<Which, Measured[]> = { units: [], paths: [] };
  let left = HISTOGRAMS_MAX;
  let omitted = 0;
  for (const [which, rows] of [
    ["units", units],
    ["paths", paths],
  ] as const) {
    const wanted = rows.flatMap(({ thing, labels: own }) =>
      thing.handle === null ? [] : [{ handle: thing.handle, own }],
    );
    // All or none of a kind: a part of them would be mistaken for all.
    if (wanted.length > left) {
      omitted += wanted.length;
      continue;
    }
    left -= wanted.length;
    for (let at = 0; at < wanted.length; at += PORTION) {
      const portion = wanted.slice(at, at + PORTION);
      const copies = await ask(
        reactor,
        which,
        portion.map(({ handle }) => handle),
      );
      if (copies === null) return { units: [], paths: [], omitted: units.length + paths.length };
      for (const { handle, own } of portion) {
        const copy = copies.get(handle);
        if (copy !== undefined) found[which].push({ labels: own, statistics: decodeStatistics(copy) });
      }
    }
  }
  return { ...found, omitted };
}

function* transferSamples(own: string, direction: string, transfers: TransferStatistics): Generator<string> {
  const label = `${own},${labels({ direction })}`;
  let seen = 0;
  let bucket = 0;
  for (const { buckets, le } of BOUNDS) {
    for (; bucket < buckets; bucket++) seen += transfers.histogram[bucket] ?? 0;
    yield `_bucket{${label},le="${le}"} ${seen}`;
  }
  for (; bucket < transfers.histogram.length; bucket++) seen += transfers.histogram[bucket] ?? 0;
  yield `_bucket{${label},le="+Inf"} ${seen}`;
  yield `_sum${sample(transfers.latencySumNs / 1e9, label)}`;
  yield `_count${sample(seen, label)}`;
}

function* histogramSamples(measured: readonly Measured[]): Generator<string> {
  for (const { labels: own, statistics } of measured) {
    yield* transferSamples(own, "read", statistics.reads);
    yield* transferSamples(own, "write", statistics.writes);
  }
}

function* counts(measured: readonly Measured[], value: (statistics: Statistics) => number): Generator<string> {
  for (const { labels: own, statistics } of measured) yield sample(value(statistics), own);
}

export function* histogramFamilies({ units, paths, omitted }: Histograms): Generator<Family> {
  yield {
    name: "pathmanager_histograms_omitted",
    type: "gauge",
    help: "Units and paths whose latency histograms this scrape leaves out, because there are too many.",
    samples: [sample(omitted)],
  };
  yield {
    name: "pathmanager_unit_request_duration_seconds",
    type: "histogram",
    help: "Time from a request's arrival to its answer.",
    unit: "seconds",
    samples: histogramSamples(units),
  };
  yield {
    name: "pathmanager_path_command_duration_seconds",
    type: "histogram",
    help: "Time from sending a command on the path to its answer.",
    unit: "seconds",
    samples: histogramSamples(paths),
  };
  yield {
    name: "pathmanager_unit_hedges",
    type: "counter",
    help: "Reads that were sent a second time on another path because the first was slow.",
    samples: counts(units, ({ hedges }) => hedges),
  };
  yield {
    name: "pathmanager_unit_hedges_won",
    type: "counter",
    help: "Of these, those whose second answer came first.",
    samples: counts(units, ({ hedgesWon }) => hedgesWon),
  };
}
