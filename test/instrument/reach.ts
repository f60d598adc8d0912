// Who reaches what: every unit test of the core and the first worlds run once against a core that notes the places it comes
// to, and once some of them against the one that ships, which has to behave alike.

import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { compileMarked, markCount, markSources, type Marked, type Place } from "./places.ts";
import type { Piece } from "./runner.ts";
import { Runner } from "./run.ts";

const root = join(import.meta.dirname, "..", "..");

/** Worlds that are compared with those of the core that ships. */
const ALIKE_SEEDS = 12;

/** A test or a world, what it costs, and where it comes. */
export interface Reach {
  readonly piece: Piece;
  readonly title: string;
  readonly ms: number;
  readonly reached: Uint8Array;
}

export interface Reached extends Marked {
  readonly reaches: readonly Reach[];
}

const seedsFrom = (first: number, count: number): { readonly seed: number }[] =>
  Array.from({ length: count }, (_, index) => ({ seed: first + index }));

/** Throws when worlds do not go as with the core that ships: then the instrumented one proves nothing. */
export async function mustBeAlike(runner: Runner, modules: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const task = { mutant: 0, pieces: seedsFrom(1, ALIKE_SEEDS), stopAtFailure: false, places: 0 };
  const told = async (some: ReadonlyMap<string, Uint8Array>): Promise<string> => {
    const { results, lost } = await runner.run({ ...task, modules: some });
    if (lost !== null) throw new Error(`a world without any mistake: ${lost}`);
    return JSON.stringify(results.map((result) => result.told));
  };
  if ((await told(new Map())) !== (await told(modules))) {
    throw new Error("the instrumented core does not behave as the one that ships");
  }
}

const storeOf = (seeds: number, first: number): string =>
  join(root, "build", "mutation", `reached-${first}-${first + seeds - 1}`);
/** What decides about who reaches what. */
const INPUTS = [
  "assembly/**/*.ts",
  "test/instrument/*.ts",
  "test/simulation/*.ts",
  "test/unit/{core,selection}/**/*.ts",
];

/** Changes with anything that decides about who reaches or notices what. */
export function keyOf(seeds: number, first: number): string {
  const hash = createHash("sha256").update(`${seeds} ${first}`);
  const files = globSync([...INPUTS, "host/array/**/*.ts", "host/abi.ts", "bench/**/*.ts"], { cwd: root });
  for (const file of files.filter((name) => !name.endsWith("/switches.ts")).toSorted()) {
    hash.update(file).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

/** Which tests and worlds are run. */
export interface Wanted {
  readonly first: number;
  readonly seeds: number;
  /** Only the unit tests with one of these texts in their title or file, and no world. */
  readonly by?: readonly string[];
}

/** As `reachAll`, or what that has found before, while nothing has changed. */
export async function reachOnce(runners: readonly Runner[], wanted: Wanted): Promise<Reached> {
  if (wanted.by !== undefined) return reachAll(runners, wanted);
  const key = keyOf(wanted.seeds, wanted.first);
  const store = storeOf(wanted.seeds, wanted.first);
  if (existsSync(store)) {
    const stored = deserialize(readFileSync(store)) as { key: string; reached: Reached };
    if (stored.key === key) return stored.reached;
  }
  const reached = await reachAll(runners, wanted);
  mkdirSync(dirname(store), { recursive: true });
  writeFileSync(store, serialize({ key, reached }));
  return reached;
}

async function piecesOf(runner: Runner, { first, seeds, by }: Wanted): Promise<[Piece, string][]> {
  const titles = await runner.tests();
  const tests = titles.map((title, test): [Piece, string] => [{ test }, title]);
  if (by !== undefined) return tests.filter(([, title]) => by.some((text) => title.includes(text)));
  return [...tests, ...seedsFrom(first, seeds).map((piece): [Piece, string] => [piece, `seed ${piece.seed}`])];
}

/** Runs everything once, each runner its part. Throws when something fails, since it would then notice every mistake. */
async function reachAll(runners: readonly Runner[], wanted: Wanted): Promise<Reached> {
  const marked = markSources();
  const modules = await compileMarked(marked);
  const all = await piecesOf(firstOf(runners), wanted);
  if (wanted.by === undefined) await mustBeAlike(firstOf(runners), modules);
  const parts = await Promise.all(
    runners.map(async (runner, index) => {
      const some = all.filter((_, at) => at % runners.length === index);
      const pieces = some.map(([piece]) => piece);
      const task = { modules, mutant: 0, pieces, stopAtFailure: false, places: markCount(marked) };
      const { results, lost } = await runner.run(task);
      if (lost !== null) throw new Error(`without any mistake: ${lost}`);
      return results.map(({ at, ms, failure, reached }): [number, Reach] => {
        const [piece, title] = some[at] ?? [{ seed: 0 }, ""];
        if (failure !== null) throw new Error(`without any mistake ${title} fails: ${failure}`);
        return [at * runners.length + index, { piece, title, ms, reached }];
      });
    }),
  );
  const reaches = parts.flat().toSorted(([a], [b]) => a - b);
  return { ...marked, reaches: reaches.map(([, reach]) => reach) };
}

export function firstOf(runners: readonly Runner[]): Runner {
  const [runner] = runners;
  if (runner === undefined) throw new Error("there is no runner");
  return runner;
}

/** The place that has to be reached for what stands between `start` and `end` of a file to be carried out. */
export function placeOf(places: readonly Place[], file: string, start: number, end: number): number {
  let best = -1;
  let bestBytes = Infinity;
  for (const [index, { file: its, guards }] of places.entries()) {
    if (its !== file || guards === null || guards.start > start || guards.end < end) continue;
    const bytes = guards.end - guards.start;
    if (bytes < bestBytes) [best, bestBytes] = [index, bytes];
  }
  return best;
}
