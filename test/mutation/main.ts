// npm run mutate -- [--sample N] [--seed S] [--only TEXT] [--worlds N] [--minutes M] [--list]
//
// Breaks the core by machine: takes N of all mutants (chosen by the seed), or those whose file or function has TEXT in its
// name, and asks the simulation (its first N worlds) and the core's unit tests who notices. Writes a line for each, a table
// per file, and build/mutation/report.json. Ends with status 1 when a mutant survived that is not known as equivalent.

import { fork, type ChildProcess } from "node:child_process";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../simulation/random.ts";
import { equivalents } from "./equivalents.ts";
import type { Verdict } from "./judge.ts";
import { mutantsOf, type Mutant } from "./operators.ts";
import { Workspace } from "./workspace.ts";

const root = join(import.meta.dirname, "..", "..");

interface Result {
  readonly mutant: Mutant;
  readonly text: string;
  readonly verdict: Verdict | { readonly kind: "equivalent"; readonly why: string };
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  console.error(`mutate: --${name}: "${text}" is not a whole number from 1 on`);
  process.exit(2);
}

const { values } = parseArgs({
  options: {
    sample: { type: "string", default: "600" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    worlds: { type: "string", default: "200" },
    minutes: { type: "string", default: "600" },
    list: { type: "boolean", default: false },
  },
});

const sources = new Map<string, string>();
/** Constants alone are no code that could be wrong in a small way: their tests compare them as a whole. */
const isCode = (file: string): boolean => !file.endsWith("/abi.ts");

function everyMutant(): Mutant[] {
  const files = globSync("assembly/**/*.ts", { cwd: root }).filter(isCode).toSorted();
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    sources.set(file, text);
    return mutantsOf(file, text);
  });
}

const lineOf = ({ file, line }: Mutant): string => (sources.get(file) ?? "").split("\n")[line - 1]?.trim() ?? "";

const equivalentOf = (mutant: Mutant) =>
  equivalents.find(
    ({ file, where, operator, text }) =>
      file === mutant.file && where === mutant.where && operator === mutant.operator && text === lineOf(mutant),
  );

function chosen(all: readonly Mutant[]): Mutant[] {
  const { only } = values;
  if (only !== undefined) return all.filter(({ file, where }) => file.includes(only) || where === only);
  const random = new Random(whole("seed", values.seed));
  const rest = [...all];
  const taken: Mutant[] = [];
  const count = Math.min(whole("sample", values.sample), all.length);
  while (taken.length < count) taken.push(...rest.splice(Math.floor(random.real() * rest.length), 1));
  return taken;
}

/** Answers of one judge, one mutant after the other; a judge that dies is replaced. */
class Judge {
  readonly #name: string;
  #child: ChildProcess | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  async ask(mutant: Mutant): Promise<Verdict> {
    const child = (this.#child ??= await this.#start());
    return new Promise((resolve) => {
      const died = (): void => {
        this.#child = undefined;
        resolve({ kind: "simulation", how: "the process that ran it died" });
      };
      child.once("exit", died);
      child.once("message", (verdict: Verdict) => {
        child.off("exit", died);
        resolve(verdict);
      });
      child.send({ mutant, seeds: whole("worlds", values.worlds) });
    });
  }

  #start(): Promise<ChildProcess> {
    const child = fork(join(import.meta.dirname, "judge.ts"), [this.#name]);
    return new Promise((resolve, reject) => {
      child.once("message", () => resolve(child));
      child.once("exit", (status) => reject(new Error(`a judge ended with status ${status}`)));
    });
  }

  end(): void {
    this.#child?.disconnect();
  }
}

function tell({ mutant, text, verdict }: Result): void {
  const { file, line, where, operator, from, to } = mutant;
  const how = "how" in verdict ? `: ${verdict.how}` : "why" in verdict ? `: ${verdict.why}` : "";
  console.log(`${verdict.kind.padEnd(10)} ${file}:${line} ${where}: ${operator}: ${from} -> ${to || "nothing"}${how}`);
  if (verdict.kind === "survived") console.log(`           ${text}`);
}

async function run(mutants: readonly Mutant[]): Promise<Result[]> {
  const rest = [...mutants];
  const end = performance.now() + whole("minutes", values.minutes) * 60_000;
  const results: Result[] = [];
  const work = async (index: number): Promise<void> => {
    const judge = new Judge(`judge-${index}`);
    for (let mutant = rest.shift(); mutant !== undefined && performance.now() < end; mutant = rest.shift()) {
      const known = equivalentOf(mutant);
      const verdict = known === undefined ? await judge.ask(mutant) : ({ kind: "equivalent", why: known.why } as const);
      const result = { mutant, text: lineOf(mutant), verdict };
      results.push(result);
      tell(result);
    }
    judge.end();
  };
  await Promise.all(Array.from({ length: availableParallelism() }, (_, index) => work(index)));
  return results;
}

const KINDS = ["simulation", "unit tests", "survived", "equivalent", "same", "invalid"] as const;

/** A row per file and one for all: who noticed how many. The score leaves out what is no mistake. */
function table(results: readonly Result[]): string {
  const row = (name: string, of: readonly Result[]): string => {
    const counts = KINDS.map((kind) => of.filter(({ verdict }) => verdict.kind === kind).length);
    const [simulation = 0, unit = 0, survived = 0] = counts;
    const noticed = simulation + unit;
    const score = noticed + survived === 0 ? "" : `${Math.round((100 * noticed) / (noticed + survived))} %`;
    return `| ${[name, ...counts, score].join(" | ")} |`;
  };
  const files = [...new Set(results.map(({ mutant }) => mutant.file))].toSorted();
  return [
    `| file | ${KINDS.join(" | ")} | noticed |`,
    `| --- | ${KINDS.map(() => "---").join(" | ")} | --- |`,
    ...files.map((file) =>
      row(
        file,
        results.filter(({ mutant }) => mutant.file === file),
      ),
    ),
    row("all", results),
  ].join("\n");
}

/** What fails without a mutant would notice every mutant. */
async function isSound(): Promise<boolean> {
  const workspace = new Workspace("sound");
  workspace.setCore(readFileSync(join(root, "build", "core.wasm")));
  const failure = await workspace.firstFailure();
  if (failure !== null) console.error(`mutate: without any mutant a unit test fails: ${failure}`);
  return failure === null;
}

const all = everyMutant();
const unknown = equivalents.filter((known) => !all.some((mutant) => equivalentOf(mutant) === known));
for (const { file, where, text } of unknown) console.error(`mutate: no mutant of ${file}, ${where} stands in: ${text}`);
if (unknown.length > 0) process.exit(2);
const mutants = chosen(all);
console.log(`${all.length} mutants, ${mutants.length} chosen`);
if (values.list) {
  for (const mutant of mutants) console.log(`${mutant.file}:${mutant.line} ${mutant.where}: ${mutant.operator}`);
  process.exit(0);
}
if (!(await isSound())) process.exit(2);
const results = await run(mutants);
mkdirSync(join(root, "build", "mutation"), { recursive: true });
writeFileSync(join(root, "build", "mutation", "report.json"), JSON.stringify(results, undefined, 1));
console.log(table(results));
process.exit(results.some(({ verdict }) => verdict.kind === "survived") ? 1 : 0);
