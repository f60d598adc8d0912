// Latency histograms of units and paths. They are asked of the reactor a few at a time, so that none of its turns is long; with
// very many units and paths they are left out, and a metric says so.

import type { ReactorClient } from "../../reactor/reactor-client.ts";
import * as abi from "../../abi.ts";
import {
  COARSE,
  COARSE_BOUNDS_NS,
  COARSE_VALUES,
  SIZE_BOUNDS_NS,
  SIZE_CLASS_VALUES,
  VALUES_OF,
  WAIT_SUM,
  WAITED,
  type Which,
} from "../../reactor/coarse-histograms.ts";
import { boundText, labels, one, Texts, type Family, type Samples } from "./exposition.ts";
import type { Context } from "../devices/operation-context.ts";
import type { MetricsQuery } from "../schemas/status-schema.ts";
import type { Tables } from "./metric-tables.ts";

/** Histograms in a scrape that does not say which it wants. Each is 54 lines. */
const HISTOGRAMS_MAX = 1024;
/** Records added up within one turn of the reactor, which takes a small part of a millisecond. */
const PORTION = 128;
/** How long a scrape waits for one portion: a reactor that is silent for so long does not answer. */
const WAIT_MS = 1000;

/** Lines of a histogram: buckets, sum, count. */
const DIRECTION_LINES = COARSE_BOUNDS_NS.length + 3;

const linesOf = (boundsNs: readonly number[], own: Readonly<Record<string, string>>) => {
  const bounds = [...boundsNs, Infinity].map((ns) => labels({ ...own, le: boundText(ns / 1e9) }));
  const buckets = bounds.map((more) => ({ end: "_bucket", more }));
  return [...buckets, { end: "_sum", more: labels(own) }, { end: "_count", more: labels(own) }];
};

const DIRECTIONS = ["read", "write"] as const;
const LINES = DIRECTIONS.flatMap((direction) => linesOf(COARSE_BOUNDS_NS, { direction }));

/** Size classes of requests, as the core has them. */
const SIZES = ["4k", "64k", "512k", "more"] as const;
const SIZE_LINES = DIRECTIONS.flatMap((direction) =>
  SIZES.map((size) => linesOf(SIZE_BOUNDS_NS, { direction, size })),
).flat();
const SIZE_CLASS_LINES = SIZE_LINES.length / (2 * SIZES.length);
/** Units whose histograms by size are in a scrape that does not say which it wants. Each is 120 lines. */
const SIZES_MAX = 128;

/** Histograms of one kind: COARSE_VALUES for each row; NaN at the beginning of those that have none. */
interface Measured {
  readonly rows: Texts;
  readonly values: Float64Array;
}

export interface Histograms {
  readonly units: Measured;
  readonly paths: Measured;
  /** Of units, by size class; and how long requests waited. */
  readonly sizes: Measured;
  readonly withSizes: boolean;
  /** Units and paths whose histograms were left out. */
  readonly omitted: number;
}

type Choice = MetricsQuery["histograms"];

const NOTHING: Measured = { rows: Texts.of([]), values: new Float64Array(0) };

async function ask(reactor: ReactorClient, which: Which, handles: readonly number[]): Promise<Float64Array | null> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), WAIT_MS);
  });
  const answer = await Promise.race([reactor.coarseHistograms({ which, handles }).catch(() => null), limit]);
  clearTimeout(timer);
  return answer;
}

/** Null when the reactor does not answer in time. */
async function measure(
  reactor: ReactorClient,
  which: Which,
  { labels: rows, things }: Tables["units"] | Tables["paths"],
): Promise<Measured | null> {
  const each = VALUES_OF[which];
  const values = new Float64Array(things.length * each).fill(NaN);
  for (let from = 0; from < things.length; from += PORTION) {
    const places: number[] = [];
    const handles: number[] = [];
    for (const [at, { handle }] of things.slice(from, from + PORTION).entries()) {
      if (handle === null) continue;
      places.push(from + at);
      handles.push(handle);
    }
    const portion = await ask(reactor, which, handles);
    if (portion === null) return null;
    for (const [index, place] of places.entries()) {
      values.set(portion.subarray(index * each, (index + 1) * each), place * each);
    }
  }
  return { rows, values };
}

const countOf = ({ things }: Tables["units"] | Tables["paths"]): number =>
  things.reduce((sum, { handle }) => sum + (handle === null ? 0 : 1), 0);

/** Of which kinds there will be histograms. All or none of a kind: a part of them would be mistaken for all. */
function choose(units: number, paths: number, choice: Choice): Readonly<Record<Which, boolean>> {
  if (choice === "none") return { units: false, paths: false, sizes: false };
  if (choice === "units") return { units: true, paths: false, sizes: false };
  if (choice === "sizes") return { units: true, paths: false, sizes: true };
  if (choice === "paths") return { units: true, paths: true, sizes: false };
  const some = units > HISTOGRAMS_MAX ? 0 : units;
  return { units: units <= HISTOGRAMS_MAX, paths: some + paths <= HISTOGRAMS_MAX, sizes: units <= SIZES_MAX };
}

export async function askHistograms(
  { reactor, snapshots }: Context,
  tables: Pick<Tables, "units" | "paths">,
  choice: Choice,
): Promise<Histograms> {
  const there = { units: countOf(tables.units), paths: countOf(tables.paths) };
  const nothing = {
    units: NOTHING,
    paths: NOTHING,
    sizes: NOTHING,
    withSizes: false,
    omitted: there.units + there.paths,
  };
  if (!snapshots.isAnswering) return nothing;
  const chosen = choose(there.units, there.paths, choice);
  const units = chosen.units ? await measure(reactor, "units", tables.units) : NOTHING;
  const paths = chosen.paths && units !== null ? await measure(reactor, "paths", tables.paths) : NOTHING;
  const sizes = chosen.units && paths !== null ? await measure(reactor, "sizes", tables.units) : NOTHING;
  if (units === null || paths === null || sizes === null) return nothing;
  return {
    units,
    paths,
    sizes,
    withSizes: chosen.sizes,
    omitted: (chosen.units ? 0 : there.units) + (chosen.paths ? 0 : there.paths),
  };
}

function histogram({ rows, values }: Measured): Samples {
  const fill = (lines: Float64Array): void => {
    for (let row = 0; row < rows.length; row++) {
      const record = row * COARSE_VALUES;
      if (Number.isNaN(values[record])) continue;
      addUp(values, record + COARSE.reads, COARSE.sum, lines, row * LINES.length);
      addUp(values, record + COARSE.writes, COARSE.sum, lines, row * LINES.length + DIRECTION_LINES);
    }
  };
  return { rows, lines: LINES, fill };
}

/** Each bucket of a histogram in this format also counts what is in those before it. */
function addUp(values: Float64Array, from: number, buckets: number, lines: Float64Array, to: number): void {
  let seen = 0;
  for (let bucket = 0; bucket < buckets; bucket++) {
    seen += values[from + bucket] ?? 0;
    lines[to + bucket] = seen;
  }
  lines[to + buckets] = (values[from + buckets] ?? 0) / 1e9;
  lines[to + buckets + 1] = seen;
}

/** The same for each size class. */
function sizeHistogram({ rows, values }: Measured): Samples {
  const fill = (lines: Float64Array): void => {
    for (let row = 0; row < rows.length; row++) {
      const record = row * VALUES_OF.sizes;
      if (Number.isNaN(values[record])) continue;
      for (let size = 0; size < 2 * SIZES.length; size++) {
        const to = row * SIZE_LINES.length + size * SIZE_CLASS_LINES;
        addUp(values, record + size * SIZE_CLASS_VALUES, abi.STATISTICS_SIZE_BUCKETS, lines, to);
      }
    }
  };
  return { rows, lines: SIZE_LINES, fill };
}

/** One value of each. */
function counts({ rows, values }: Measured, which: Which, at: number, unit = 1): Samples {
  const fill = (made: Float64Array): void => {
    for (let row = 0; row < made.length; row++) {
      const record = row * VALUES_OF[which];
      if (!Number.isNaN(values[record])) made[row] = (values[record + at] ?? 0) / unit;
    }
  };
  return { rows, fill };
}

export function* histogramFamilies({ units, paths, sizes, withSizes, omitted }: Histograms): Generator<Family> {
  yield {
    name: "pathmanager_histograms_omitted",
    type: "gauge",
    help: "Units and paths whose latency histograms this scrape leaves out.",
    samples: one(omitted),
  };
  yield {
    name: "pathmanager_unit_request_duration_seconds",
    type: "histogram",
    help: "Time from a request's arrival to its answer.",
    unit: "seconds",
    samples: histogram(units),
  };
  yield {
    name: "pathmanager_path_command_duration_seconds",
    type: "histogram",
    help: "Time from sending a command on the path to its answer.",
    unit: "seconds",
    samples: histogram(paths),
  };
  yield {
    name: "pathmanager_unit_hedges",
    type: "counter",
    help: "Reads that were sent a second time on another path because the first was slow.",
    samples: counts(units, "units", COARSE.hedges),
  };
  yield {
    name: "pathmanager_unit_hedges_won",
    type: "counter",
    help: "Of these, those whose second answer came first.",
    samples: counts(units, "units", COARSE.hedgesWon),
  };
  yield {
    name: "pathmanager_unit_request_size_duration_seconds",
    type: "histogram",
    help: "Time from a request's arrival to its answer, by the request's size: up to 4, 64, 512 KiB, more.",
    unit: "seconds",
    samples: sizeHistogram(withSizes ? sizes : NOTHING),
  };
  yield {
    name: "pathmanager_unit_requests_waited",
    type: "counter",
    help: "Requests that waited in the unit's queue, for a path, for room, or for another request.",
    samples: counts(sizes, "sizes", WAITED),
  };
  yield {
    name: "pathmanager_unit_request_wait_seconds",
    type: "counter",
    help: "How long requests waited in the unit's queue until their last command was made, all together.",
    unit: "seconds",
    samples: counts(sizes, "sizes", WAIT_SUM, 1e9),
  };
}
