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
export const ALIKE_SEEDS = 12;

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

export const seedsFrom = (first: number, count: number): Piece[] =>
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

const STORE = join(root, "build", "mutation", "reached");
/** What decides about who reaches what. */
const INPUTS = ["assembly/**/*.ts", "test/instrument/*.ts", "test/simulation/*.ts", "test/unit/{core,selection}/*.ts"];

function keyOf(seeds: number, first: number): string {
  const hash = createHash("sha256").update(`${seeds} ${first}`);
  const files = globSync([...INPUTS, "host/array/**/*.ts", "host/abi.ts", "bench/**/*.ts"], { cwd: root });
  for (const file of files.toSorted()) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

/** As `reachAll`, or what that has found before, while nothing has changed. */
export async function reachOnce(runner: Runner, seeds: number, first = 1): Promise<Reached> {
  const key = keyOf(seeds, first);
  if (existsSync(STORE)) {
    const stored = deserialize(readFileSync(STORE)) as { key: string; reached: Reached };
    if (stored.key === key) return stored.reached;
  }
  const reached = await reachAll(runner, seeds, first);
  mkdirSync(dirname(STORE), { recursive: true });
  writeFileSync(STORE, serialize({ key, reached }));
  return reached;
}

/** Runs everything once. Throws when something fails, since it would then notice every mistake. */
export async function reachAll(runner: Runner, seeds: number, first = 1): Promise<Reached> {
  const marked = markSources();
  const modules = await compileMarked(marked);
  await mustBeAlike(runner, modules);
  const titles = await runner.tests();
  const pieces: Piece[] = [...titles.map((_, test) => ({ test })), ...seedsFrom(first, seeds)];
  const { results, lost } = await runner.run({
    modules,
    mutant: 0,
    pieces,
    stopAtFailure: false,
    places: markCount(marked),
  });
  if (lost !== null) throw new Error(`without any mistake: ${lost}`);
  const reaches = results.map(({ at, ms, failure, reached }): Reach => {
    const piece = pieces[at] ?? { seed: 0 };
    const title = "seed" in piece ? `seed ${piece.seed}` : (titles[piece.test] ?? "");
    if (failure !== null) throw new Error(`without any mistake ${title} fails: ${failure}`);
    return { piece, title, ms, reached };
  });
  return { ...marked, reaches };
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
