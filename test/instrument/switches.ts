// Many mistakes in one module: each place that a mutant changes becomes a choice by the number of the mutant that the host
// has set. So the compiler runs once for hundreds of mutants, and each costs no more than its tests.
//
// A choice is an expression (`mutant == 7 ? mistake : right`) where the language takes one, or else a statement. Where
// it takes neither, the mutant is compiled on its own.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Mutant } from "../mutation/operators.ts";
import { RUNTIME_FILE, compile, modules, type Complaint, type Module } from "./compile.ts";
import { importOf, runtimeSource } from "./runtime.ts";
import { child, children, isA, isStatement, parse, rewrite, type SyntaxNode } from "./syntax.ts";

const root = join(import.meta.dirname, "..", "..");

const EXPRESSIONS = [
  "Assertion",
  "Binary",
  "Call",
  "ElementAccess",
  "False",
  "Literal",
  "Parenthesized",
  "PropertyAccess",
  "Ternary",
  "True",
  "UnaryPostfix",
  "UnaryPrefix",
];
/** Rounds of finding a place for each choice; every round moves the refused ones outward. */
const ROUNDS_MAX = 24;

interface Place {
  readonly node: SyntaxNode;
  readonly as: "expression" | "statement" | "omission";
}

/** Where a choice can be, from the smallest node outward. */
function placesOf(source: SyntaxNode, { start, end, operator }: Mutant): Place[] {
  const places: Place[] = [];
  const walk = (node: SyntaxNode, parent: SyntaxNode): void => {
    if (node.range.start > start || node.range.end < end) return;
    for (const one of children(node)) walk(one, node);
    const isWhole = node.range.start === start && node.range.end === end;
    const omits = operator === "drop statement" || operator === "skip assignment";
    if (isStatement(node, parent)) {
      if (omits && isWhole) places.push({ node, as: "omission" });
      else if (!omits) places.push({ node, as: "statement" });
    } else if (!omits && isA(node, ...EXPRESSIONS) && child(parent, "toType") !== node) {
      places.push({ node, as: "expression" });
    }
  };
  for (const one of children(source)) walk(one, source);
  // Arguments of different types: no larger expression takes them either.
  return operator === "swap arguments" ? places.filter(({ as }, at) => at === 0 || as === "statement") : places;
}

interface Choice {
  readonly number: number;
  readonly mutant: Mutant;
  readonly places: readonly Place[];
  level: number;
}

/** One source and the choices in it. */
class Switched {
  readonly file: string;
  readonly #text: string;
  readonly #source: SyntaxNode;
  readonly #choices: Choice[];
  #written = "";

  constructor(file: string, text: string, mutants: readonly [number, Mutant][]) {
    this.file = file;
    this.#text = text;
    this.#source = parse(file, this.#text);
    this.#choices = mutants.map(([number, mutant]) => {
      return { number, mutant, places: placesOf(this.#source, mutant), level: 0 };
    });
  }

  /** The source with all its choices that have a place. */
  write(): string {
    const at = new Map<SyntaxNode, { choice: Choice; as: Place["as"] }[]>();
    for (const choice of this.#choices) {
      const place = choice.places[choice.level];
      if (place !== undefined) at.set(place.node, [...(at.get(place.node) ?? []), { choice, as: place.as }]);
    }
    const body = rewrite(this.#source, this.#text, (node, parent, own) => {
      let made = own;
      if (isA(node, "FunctionDeclaration") && isA(parent, "Source") && this.#isEntry()) made = refuelled(made);
      for (const { choice, as } of at.get(node) ?? []) made = this.#choose(node, choice, as, made);
      const isBody = isA(parent, "For", "While", "Do") && child(parent, "body") === node;
      return isBody ? `{ __tick(); ${made} }` : made;
    });
    this.#written = importOf(this.file) + body;
    return this.#written;
  }

  #isEntry(): boolean {
    return modules.some(({ entry }) => entry === this.file);
  }

  #choose(node: SyntaxNode, { number, mutant }: Choice, as: Place["as"], own: string): string {
    const { start, end } = node.range;
    const wrong = this.#text.slice(start, mutant.start) + mutant.to + this.#text.slice(mutant.end, end);
    const mark = (text: string): string => `/*<${number}*/${text}/*${number}>*/`;
    if (as === "omission") return mark(`{ if (__mutant !== ${number}) { ${own} } }`);
    if (as === "statement") return mark(`{ if (__mutant === ${number}) { ${wrong}; } else { ${own} } }`);
    return mark(`(__mutant === ${number} ? (${wrong}) : (${own}))`);
  }

  /** A choice the compiler has refused moves outward: answers whether the complaint belongs to one. */
  refused({ start }: Complaint): Choice | null {
    const open: number[] = [];
    const before: number[] = [];
    for (const [, opens, closes] of this.#written.slice(0, start).matchAll(/\/\*(?:<(\d+)|(\d+)>)\*\//g)) {
      if (opens !== undefined) open.push(Number(opens));
      else if (closes !== undefined) before.push(...open.splice(open.lastIndexOf(Number(closes)), 1));
    }
    const of = (number: number | undefined): Choice | null =>
      this.#choices.find((choice) => choice.number === number) ?? null;
    // What follows a choice between conditions does not know that a reference is none that is null.
    return of(open.at(-1) ?? before.findLast((number) => this.#asksForNull(of(number))));
  }

  #asksForNull(choice: Choice | null): boolean {
    const range = choice?.places[choice.level]?.node.range;
    return range !== undefined && /[!=]== null\b/.test(this.#text.slice(range.start, range.end));
  }

  /** Mutants that no choice can express. */
  get left(): number[] {
    return this.#choices.filter(({ level, places }) => level >= places.length).map(({ number }) => number);
  }
}

/** The body of an exported function begins with new fuel. */
function refuelled(own: string): string {
  return own.startsWith("export function") ? own.replace(/\{/, "{ __refuel();") : own;
}

/** Modules with choices, by the file they stand for; and the numbers of the mutants that they do not hold. */
export interface Batch {
  readonly modules: ReadonlyMap<string, Uint8Array>;
  readonly left: readonly number[];
}

/**
 * Compiles modules that make the mistake whose number the host sets; numbers are places in `mutants` plus one.
 *
 * @param targets what is compiled of the sources
 * @param read gives the text of a source
 */
export async function compileSwitches(
  mutants: readonly Mutant[],
  targets: readonly Module[] = modules,
  read: (file: string) => string = (file) => readFileSync(join(root, file), "utf8"),
): Promise<Batch> {
  const byFile = Map.groupBy(
    mutants.map((mutant, index): [number, Mutant] => [index + 1, mutant]),
    ([, { file }]) => file,
  );
  for (const { entry } of targets) if (!byFile.has(entry)) byFile.set(entry, []);
  const sources = [...byFile].map(([file, some]) => new Switched(file, read(file), some));
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const compiled = new Map<string, Uint8Array>();
    const refused = await compileRound(sources, targets, compiled);
    if (refused.size === 0) return { modules: compiled, left: sources.flatMap(({ left }) => left) };
    for (const choice of refused) choice.level++;
  }
  throw new Error("the compiler still refuses choices");
}

/** Compiles all targets as the choices are now; answers those that the compiler refuses. */
async function compileRound(
  sources: readonly Switched[],
  targets: readonly Module[],
  compiled: Map<string, Uint8Array>,
): Promise<Set<Choice>> {
  const changed = new Map(sources.map((source) => [source.file, source.write()]));
  changed.set(RUNTIME_FILE, runtimeSource(0));
  const refused = new Set<Choice>();
  for (const target of targets) {
    const { wasm, complaints } = await compile(target, changed, 1);
    if (wasm !== null) compiled.set(target.built, wasm);
    for (const complaint of complaints ?? []) {
      const choice = sources.find(({ file }) => file === complaint.file)?.refused(complaint) ?? null;
      if (choice === null) throw new Error(`${complaint.file}: ${complaint.message}`);
      refused.add(choice);
    }
    if (refused.size > 0) break;
  }
  return refused;
}
