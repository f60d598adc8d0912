// Says who notices a mutant: the unit tests that reach it and the worlds that do, the quickest first, until one fails.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { compile, modules } from "../instrument/compile.ts";
import { placeOf, type Reach, type Reached } from "../instrument/reach.ts";
import type { Runner } from "../instrument/run.ts";
import type { Batch } from "../instrument/switches.ts";
import { mutated, type Mutant } from "./operators.ts";

const root = join(import.meta.dirname, "..", "..");

/** What has taken so much processor time, and so many times what it takes without a mistake, does not end. */
const LEAST_MS_MAX = 5000;
const TIMES_MAX = 10;

/** `same`: the compiler makes the same code of it; `invalid`: it does not compile; `unreached`: nobody runs it. */
export type Verdict =
  | { readonly kind: "simulation" | "unit tests"; readonly how: string }
  | { readonly kind: "survived" | "unreached" | "same" | "invalid" };

/** The files that one is compiled from, itself included. */
function sourcesOf(file: string, known = new Set<string>()): Set<string> {
  if (known.has(file)) return known;
  known.add(file);
  for (const [, from = ""] of readFileSync(join(root, file), "utf8").matchAll(/^.*\bfrom "(\..*)";$/gm)) {
    sourcesOf(`${join(dirname(file), from)}.ts`, known);
  }
  return known;
}

const sources = new Map(modules.map(({ built, entry }) => [built, sourcesOf(entry)]));

/** Compiles all modules that a file is in, with this text; null when that is no program. */
async function alone(file: string, text: string): Promise<Map<string, Uint8Array> | null> {
  const compiled = new Map<string, Uint8Array>();
  for (const module of modules) {
    if (sources.get(module.built)?.has(file) !== true) continue;
    const { wasm } = await compile(module, new Map([[file, text]]), 1);
    if (wasm === null) return null;
    compiled.set(module.built, wasm);
  }
  return compiled;
}

export class Judge {
  readonly #reached: Reached;
  readonly #batch: Batch;
  readonly #worlds: number;
  readonly #slowestMs: number;
  /** How many mutants each has noticed so far, in all and of each file. */
  readonly #noticed = new Map<string, Map<Reach, number>>();
  readonly #baselines = new Map<string, Promise<Map<string, Uint8Array> | null>>();

  /**
   * @param worlds how many worlds that reach a mutant may judge it
   * @param slowestMs what takes longer judges none
   */
  constructor(reached: Reached, batch: Batch, worlds: number, slowestMs: number) {
    this.#reached = reached;
    this.#batch = batch;
    this.#worlds = worlds;
    this.#slowestMs = slowestMs;
  }

  /** @param number the mutant's in the batch */
  async judge(runner: Runner, mutant: Mutant, number: number): Promise<Verdict> {
    const judges = this.#judgesOf(mutant);
    const isLeft = this.#batch.left.includes(number);
    const text = readFileSync(join(root, mutant.file), "utf8");
    const own = isLeft ? await alone(mutant.file, mutated(text, mutant)) : null;
    if (isLeft && own === null) return { kind: "invalid" };
    if (judges.length === 0) return { kind: "unreached" };
    const task = {
      modules: own ?? this.#batch.modules,
      mutant: isLeft ? 0 : number,
      pieces: judges.map(({ piece }) => piece),
      stopAtFailure: true,
      places: 0,
    };
    const limitsMs = judges.map(({ ms }) => LEAST_MS_MAX + TIMES_MAX * ms);
    const { results, lost } = await runner.run(task, limitsMs);
    const failed = lost ?? results.at(-1)?.failure ?? null;
    const by = judges[lost === null ? results.length - 1 : results.length];
    if (failed === null || by === undefined) return this.#isSame(mutant, text);
    this.#note("", by);
    this.#note(mutant.file, by);
    return { kind: "seed" in by.piece ? "simulation" : "unit tests", how: `${by.title}: ${failed.split("\n")[0]}` };
  }

  #judgesOf({ file, start, end }: Mutant): Reach[] {
    const { places, reaches } = this.#reached;
    const place = placeOf(places, file, start, end);
    let worlds = 0;
    const all = reaches
      .filter(({ reached, ms }) => (place < 0 || reached[place] === 1) && ms <= this.#slowestMs)
      .filter(({ piece }) => !("seed" in piece) || ++worlds <= this.#worlds)
      .map((reach) => ({ reach, order: this.#orderOf(reach, file) }));
    return all.toSorted((a, b) => a.order - b.order).map(({ reach }) => reach);
  }

  /** The quickest come first, but for those that notice more than others, above all in this file. */
  #orderOf(reach: Reach, file: string): number {
    const noticed = (of: string): number => this.#noticed.get(of)?.get(reach) ?? 0;
    return reach.ms / (1 + noticed("") + 20 * noticed(file));
  }

  #note(of: string, by: Reach): void {
    const counts = this.#noticed.get(of) ?? new Map<Reach, number>();
    this.#noticed.set(of, counts.set(by, (counts.get(by) ?? 0) + 1));
  }

  async #isSame(mutant: Mutant, text: string): Promise<Verdict> {
    const before = this.#baselines.get(mutant.file) ?? alone(mutant.file, text);
    this.#baselines.set(mutant.file, before);
    const baseline = await before;
    const own = await alone(mutant.file, mutated(text, mutant));
    const isSame = [...(own ?? [])].every(([name, wasm]) => Buffer.from(baseline?.get(name) ?? []).equals(wasm));
    return { kind: own !== null && isSame ? "same" : "survived" };
  }
}
