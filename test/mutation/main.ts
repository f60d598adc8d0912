// npm run mutate -- [--sample N] [--seed S] [--only TEXT] [--seeds N] [--worlds N] [--slowest MS] [--minutes M] [--quick]
//                   [--resume] [--list]
//
// Breaks the core by machine: takes N of all mutants (chosen by the seed), or those whose file or function has TEXT in its
// name, and asks the core's unit tests and the simulation who notices. Only those are asked that come to the place: all the
// unit tests, and WORLDS of the first SEEDS worlds, but for those that take more than MS of processor time. Writes a line for
// each, a table per file, and build/mutation/report.json; with --resume what was noticed according to that counts as noticed.
// Ends with status 1 when a mutant survived that is not listed in equivalents.ts or open.ts, or one of open.ts did not; with
// --quick the latter are not judged.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { mustBeAlike, reachOnce } from "../instrument/reach.ts";
import { Runner } from "../instrument/run.ts";
import { compileSwitches } from "../instrument/switches.ts";
import { Judge, type Verdict } from "./judge.ts";
import type { Mutant } from "./operators.ts";
import { hasSurvivor, table, tell, type Result } from "./report.ts";
import { equivalentOf, everyMutant, lineOf, nameOf, openOf, sampleOf, unknownEntries } from "./sample.ts";

const root = join(import.meta.dirname, "..", "..");

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
    seeds: { type: "string", default: "200" },
    worlds: { type: "string", default: "40" },
    slowest: { type: "string", default: "60000" },
    minutes: { type: "string", default: "600" },
    quick: { type: "boolean", default: false },
    resume: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});

const began = performance.now();
const seconds = (): string => `${Math.round((performance.now() - began) / 1000)} s`;

function chosen(all: readonly Mutant[]): Mutant[] {
  const { only } = values;
  if (only !== undefined) return all.filter(({ file, where }) => file.includes(only) || where === only);
  return sampleOf(all, whole("sample", values.sample), whole("seed", values.seed));
}

const REPORT = join(root, "build", "mutation", "report.json");

const STAYS = new Set<string>(["unit tests", "simulation", "same", "invalid"]);

/** Verdicts of an earlier run that stay: somebody noticed, or there was nothing to notice. */
function earlier(): Map<string, Verdict> {
  if (!values.resume || !existsSync(REPORT)) return new Map();
  const results = JSON.parse(readFileSync(REPORT, "utf8")) as Result[];
  return new Map(
    results.flatMap(({ mutant, text, verdict }) =>
      "why" in verdict || !STAYS.has(verdict.kind) ? [] : [[nameOf(mutant, text), verdict]],
    ),
  );
}

function report(results: readonly Result[]): void {
  mkdirSync(dirname(REPORT), { recursive: true });
  writeFileSync(`${REPORT}.new`, JSON.stringify(results, undefined, 1));
  renameSync(`${REPORT}.new`, REPORT);
}

/** One that is known to be noticed by nobody is judged to see whether that is still so. */
async function judgeOne(judge: Judge, mutant: Mutant, number: number): Promise<Result["verdict"]> {
  const known = openOf(mutant);
  if (known === undefined) return judge.judge(mutant, number);
  const verdict = values.quick ? null : await judge.judge(mutant, number);
  if (verdict === null || verdict.kind === "survived" || verdict.kind === "unreached") {
    return { kind: "open", why: known.why };
  }
  console.error(`mutate: listed as open, but noticed: ${known.file}, ${known.where}: ${known.text}`);
  process.exitCode = 1;
  return verdict;
}

async function run(mutants: readonly Mutant[]): Promise<Result[]> {
  const runner = new Runner();
  const reached = await reachOnce(runner, whole("seeds", values.seeds));
  console.log(`${reached.reaches.length} tests and worlds ran once (${seconds()})`);
  const batch = await compileSwitches(mutants);
  await mustBeAlike(runner, batch.modules);
  console.log(`all but ${batch.left.length} mutants are in one module (${seconds()})`);
  const judge = new Judge(runner, reached, batch, whole("worlds", values.worlds), whole("slowest", values.slowest));
  const end = performance.now() + whole("minutes", values.minutes) * 60_000;
  const before = earlier();
  const results: Result[] = [];
  for (const [index, mutant] of mutants.entries()) {
    if (performance.now() > end) break;
    const text = lineOf(mutant);
    const known = equivalentOf(mutant);
    const old = before.get(nameOf(mutant, text));
    const verdict =
      known === undefined
        ? (old ?? (await judgeOne(judge, mutant, index + 1)))
        : ({ kind: "equivalent", why: known.why } as const);
    const result = { mutant, text, verdict };
    results.push(result);
    tell(result);
    report(results);
  }
  runner.end();
  return results;
}

const all = everyMutant();
const unknown = unknownEntries(all);
for (const { file, where, text } of unknown) console.error(`mutate: no mutant of ${file}, ${where} stands in: ${text}`);
if (unknown.length > 0) process.exit(2);
const mutants = chosen(all);
console.log(`${all.length} mutants, ${mutants.length} chosen`);
if (values.list) {
  for (const mutant of mutants) console.log(`${mutant.file}:${mutant.line} ${mutant.where}: ${mutant.operator}`);
  process.exit(0);
}
const results = await run(mutants);
console.log(table(results));
console.log(`${results.length} mutants, ${seconds()}`);
if (hasSurvivor(results)) process.exitCode = 1;
