// Latency histograms of units and paths. They are asked of the reactor a few at a time, so that none of its turns is long; with
// very many units and paths they are left out, and a metric says so.

import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { COARSE, COARSE_BOUNDS_NS, COARSE_VALUES } from "../../reactor/coarse-histograms.ts";
import { bytesOf, labels, number, type Family, type Lines } from "../../liaison/exposition.ts";
import type { Context } from "../devices/operation-context.ts";
import type { MetricsQuery } from "../schemas/status-schema.ts";
import type { Tables } from "./metric-families.ts";

/** Histograms in a scrape that does not say which it wants. Each is 54 lines. */
const HISTOGRAMS_MAX = 1024;
/** Records added up within one turn of the reactor, which takes a small part of a millisecond. */
const PORTION = 32;
/** How long a scrape waits for one portion: a reactor that is silent for so long does not answer. */
const WAIT_MS = 1000;

/** `le="0.001"` of each bucket. */
const BOUNDS: readonly Uint8Array[] = [...COARSE_BOUNDS_NS, Infinity].map((ns) =>
  bytesOf(labels({ le: number(ns / 1e9) })),
);
const READ = 'direction="read"';
const WRITE = 'direction="write"';
const DIRECTIONS = [
  { from: COARSE.reads, own: bytesOf(READ), bounds: BOUNDS.map((bound) => join(READ, bound)) },
  { from: COARSE.writes, own: bytesOf(WRITE), bounds: BOUNDS.map((bound) => join(WRITE, bound)) },
] as const;

function join(direction: string, bound: Uint8Array): Uint8Array {
  return bytesOf(`${direction},${Buffer.from(bound).toString()}`);
}

const BUCKET = bytesOf("_bucket");
const SUM = bytesOf("_sum");
const COUNT = bytesOf("_count");

/** Histograms of one kind: COARSE_VALUES for each. */
interface Measured {
  readonly labels: readonly Uint8Array[];
  readonly values: readonly Float64Array[];
}

export interface Histograms {
  readonly units: Measured;
  readonly paths: Measured;
  /** Units and paths whose histograms were left out. */
  readonly omitted: number;
}

type Which = "units" | "paths";
type Choice = MetricsQuery["histograms"];

const NOTHING: Measured = { labels: [], values: [] };

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
async function measure(reactor: ReactorClient, which: Which, rows: Wanted): Promise<Measured | null> {
  const measured = { labels: [] as Uint8Array[], values: [] as Float64Array[] };
  for (let at = 0; at < rows.length; at += PORTION) {
    const portion = rows.slice(at, at + PORTION);
    const values = await ask(
      reactor,
      which,
      portion.map(({ handle }) => handle),
    );
    if (values === null) return null;
    for (const [index, { own }] of portion.entries()) {
      const part = values.subarray(index * COARSE_VALUES, (index + 1) * COARSE_VALUES);
      if (Number.isNaN(part[0])) continue;
      measured.labels.push(own);
      measured.values.push(part);
    }
  }
  return measured;
}

type Wanted = readonly { readonly handle: number; readonly own: Uint8Array }[];

const wanted = (rows: Tables[Which]): Wanted =>
  rows.flatMap(({ thing: { handle }, labels: own }) => (handle === null ? [] : [{ handle, own }]));

/** Which histograms there will be. All or none of a kind: a part of them would be mistaken for all. */
function choose(units: Wanted, paths: Wanted, choice: Choice): { readonly units: Wanted; readonly paths: Wanted } {
  if (choice === "none") return { units: [], paths: [] };
  if (choice === "units") return { units, paths: [] };
  if (choice === "paths") return { units, paths };
  const some = units.length > HISTOGRAMS_MAX ? [] : units;
  return { units: some, paths: some.length + paths.length > HISTOGRAMS_MAX ? [] : paths };
}

export async function askHistograms(
  { reactor, snapshots }: Context,
  tables: Pick<Tables, Which>,
  choice: Choice,
): Promise<Histograms> {
  const all = { units: wanted(tables.units), paths: wanted(tables.paths) };
  const count = all.units.length + all.paths.length;
  const nothing = { units: NOTHING, paths: NOTHING, omitted: count };
  if (!snapshots.isAnswering) return nothing;
  const chosen = choose(all.units, all.paths, choice);
  const units = await measure(reactor, "units", chosen.units);
  const paths = units === null ? null : await measure(reactor, "paths", chosen.paths);
  if (units === null || paths === null) return nothing;
  return { units, paths, omitted: count - chosen.units.length - chosen.paths.length };
}

function histogram({ labels: own, values }: Measured): Pick<Family, "rows" | "write"> {
  return {
    rows: values.length,
    write: (row, lines) => {
      const [label, folded] = [own[row], values[row]];
      if (label === undefined || folded === undefined) return;
      for (const { from, own: direction, bounds } of DIRECTIONS) {
        let seen = 0;
        for (const [bucket, bound] of bounds.entries()) {
          seen += folded[from + bucket] ?? 0;
          lines.sample(seen, label, bound, BUCKET);
        }
        lines.sample((folded[from + COARSE.sum] ?? 0) / 1e9, label, direction, SUM);
        lines.sample(seen, label, direction, COUNT);
      }
    },
  };
}

function counts({ labels: own, values }: Measured, at: number): Pick<Family, "rows" | "write"> {
  const write = (row: number, lines: Lines): void => lines.sample(values[row]?.[at] ?? 0, own[row]);
  return { rows: values.length, write };
}

export function* histogramFamilies({ units, paths, omitted }: Histograms): Generator<Family> {
  yield {
    name: "pathmanager_histograms_omitted",
    type: "gauge",
    help: "Units and paths whose latency histograms this scrape leaves out.",
    rows: 1,
    write: (_, lines) => lines.sample(omitted),
  };
  yield {
    name: "pathmanager_unit_request_duration_seconds",
    type: "histogram",
    help: "Time from a request's arrival to its answer.",
    unit: "seconds",
    ...histogram(units),
  };
  yield {
    name: "pathmanager_path_command_duration_seconds",
    type: "histogram",
    help: "Time from sending a command on the path to its answer.",
    unit: "seconds",
    ...histogram(paths),
  };
  yield {
    name: "pathmanager_unit_hedges",
    type: "counter",
    help: "Reads that were sent a second time on another path because the first was slow.",
    ...counts(units, COARSE.hedges),
  };
  yield {
    name: "pathmanager_unit_hedges_won",
    type: "counter",
    help: "Of these, those whose second answer came first.",
    ...counts(units, COARSE.hedgesWon),
  };
}
