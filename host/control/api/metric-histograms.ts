// Latency histograms of units and paths. They are asked of the reactor a few at a time, so that none of its turns is long; with
// very many units and paths they are left out, and a metric says so.

import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { COARSE, COARSE_BOUNDS_NS, COARSE_VALUES } from "../../reactor/coarse-histograms.ts";
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

const linesOf = (direction: "read" | "write") => {
  const bounds = [...COARSE_BOUNDS_NS, Infinity].map((ns) => labels({ direction, le: boundText(ns / 1e9) }));
  const buckets = bounds.map((more) => ({ end: "_bucket", more }));
  return [...buckets, { end: "_sum", more: labels({ direction }) }, { end: "_count", more: labels({ direction }) }];
};

const LINES = [...linesOf("read"), ...linesOf("write")];

/** Histograms of one kind: COARSE_VALUES for each row; NaN at the beginning of those that have none. */
interface Measured {
  readonly rows: Texts;
  readonly values: Float64Array;
}

export interface Histograms {
  readonly units: Measured;
  readonly paths: Measured;
  /** Units and paths whose histograms were left out. */
  readonly omitted: number;
}

type Which = "units" | "paths";
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
  { labels: rows, things }: Tables[Which],
): Promise<Measured | null> {
  const values = new Float64Array(things.length * COARSE_VALUES).fill(NaN);
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
      values.set(portion.subarray(index * COARSE_VALUES, (index + 1) * COARSE_VALUES), place * COARSE_VALUES);
    }
  }
  return { rows, values };
}

const countOf = ({ things }: Tables[Which]): number =>
  things.reduce((sum, { handle }) => sum + (handle === null ? 0 : 1), 0);

/** Of which kinds there will be histograms. All or none of a kind: a part of them would be mistaken for all. */
function choose(units: number, paths: number, choice: Choice): Readonly<Record<Which, boolean>> {
  if (choice === "none") return { units: false, paths: false };
  if (choice === "units") return { units: true, paths: false };
  if (choice === "paths") return { units: true, paths: true };
  const some = units > HISTOGRAMS_MAX ? 0 : units;
  return { units: units <= HISTOGRAMS_MAX, paths: some + paths <= HISTOGRAMS_MAX };
}

export async function askHistograms(
  { reactor, snapshots }: Context,
  tables: Pick<Tables, Which>,
  choice: Choice,
): Promise<Histograms> {
  const there = { units: countOf(tables.units), paths: countOf(tables.paths) };
  const nothing = { units: NOTHING, paths: NOTHING, omitted: there.units + there.paths };
  if (!snapshots.isAnswering) return nothing;
  const chosen = choose(there.units, there.paths, choice);
  const units = chosen.units ? await measure(reactor, "units", tables.units) : NOTHING;
  const paths = chosen.paths && units !== null ? await measure(reactor, "paths", tables.paths) : NOTHING;
  if (units === null || paths === null) return nothing;
  return { units, paths, omitted: (chosen.units ? 0 : there.units) + (chosen.paths ? 0 : there.paths) };
}

function histogram({ rows, values }: Measured): Samples {
  const fill = (lines: Float64Array): void => {
    for (let row = 0; row < rows.length; row++) {
      const record = row * COARSE_VALUES;
      if (Number.isNaN(values[record])) continue;
      addUp(values, record + COARSE.reads, lines, row * LINES.length);
      addUp(values, record + COARSE.writes, lines, row * LINES.length + DIRECTION_LINES);
    }
  };
  return { rows, lines: LINES, fill };
}

/** Each bucket of a histogram in this format also counts what is in those before it. */
function addUp(values: Float64Array, from: number, lines: Float64Array, to: number): void {
  let seen = 0;
  for (let bucket = 0; bucket < COARSE.sum; bucket++) {
    seen += values[from + bucket] ?? 0;
    lines[to + bucket] = seen;
  }
  lines[to + COARSE.sum] = (values[from + COARSE.sum] ?? 0) / 1e9;
  lines[to + COARSE.sum + 1] = seen;
}

/** One value of each. */
function counts({ rows, values }: Measured, at: number): Samples {
  const fill = (made: Float64Array): void => {
    for (let row = 0; row < made.length; row++) {
      const record = row * COARSE_VALUES;
      if (!Number.isNaN(values[record])) made[row] = values[record + at] ?? 0;
    }
  };
  return { rows, fill };
}

export function* histogramFamilies({ units, paths, omitted }: Histograms): Generator<Family> {
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
    samples: counts(units, COARSE.hedges),
  };
  yield {
    name: "pathmanager_unit_hedges_won",
    type: "counter",
    help: "Of these, those whose second answer came first.",
    samples: counts(units, COARSE.hedgesWon),
  };
}
