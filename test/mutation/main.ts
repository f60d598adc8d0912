// npm run mutate -- [--sample N] [--seed S] [--only TEXT]... [--seeds N] [--worlds N] [--slowest MS] [--by TEXT]... [--workers N]
//                   [--minutes M] [--least PERCENT] [--quick] [--resume] [--open | --survivors] [--list] [--report FILE]
//
// Breaks the core by machine: takes N of all mutants (chosen by the seed), or those whose file or function has TEXT in its
// name, or those of open.ts, or those that survived according to the last report, and asks the core's unit tests and the
// simulation who notices. Only those are asked that come to the place: all the unit tests, and WORLDS of the first SEEDS
// worlds, but for those that take more than MS of processor time; with --by only the unit tests with TEXT in their title or
// file. Writes a line for each, a table per file, and after each the report: FILE, or build/mutation/report.json. With --resume
// the verdicts of that report hold: what was noticed is noticed as long as its function is the same, and what was not, as long
// as the tests are, too.
//
// Ends with status 1 when a mutant survived that is not listed in equivalents.ts or open.ts, when one of open.ts did not, or
// when fewer than PERCENT were noticed; with --quick those of open.ts are not judged. Status 2: the lists or the arguments are
// wrong.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { deserialize, serialize } from "node:v8";
import { firstOf, keyOf, mustBeAlike, reachOnce, type Wanted } from "../instrument/reach.ts";
import { Runner } from "../instrument/run.ts";
import { compileSwitches, type Batch } from "../instrument/switches.ts";
import { Judge, type Verdict } from "./judge.ts";
import type { Mutant } from "./operators.ts";
import { hasSurvivor, scoreOf, table, tell, type Result } from "./report.ts";
import { equivalentOf, everyMutant, lineOf, openOf, sampleOf, sourceDigest, wrongEntries } from "./sample.ts";

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
    only: { type: "string", multiple: true },
    seeds: { type: "string", default: "200" },
    worlds: { type: "string", default: "40" },
    slowest: { type: "string", default: "60000" },
    by: { type: "string", multiple: true },
    workers: { type: "string", default: String(availableParallelism()) },
    least: { type: "string" },
    minutes: { type: "string", default: "600" },
    quick: { type: "boolean", default: false },
    resume: { type: "boolean", default: false },
    open: { type: "boolean", default: false },
    survivors: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    report: { type: "string" },
  },
});

const began = performance.now();
const seconds = (): string => `${Math.round((performance.now() - began) / 1000)} s`;

function chosen(all: readonly Mutant[]): Mutant[] {
  const { only } = values;
  if (values.open) return all.filter((mutant) => openOf(mutant) !== undefined);
  if (values.survivors) {
    const before = reported();
    return all.filter(({ identity }) => {
      const kind = before.get(identity)?.verdict.kind;
      return kind === "survived" || kind === "unreached";
    });
  }
  if (only !== undefined)
    return all.filter(({ file, where }) => only.some((text) => file.includes(text) || where === text));
  return sampleOf(all, whole("sample", values.sample), whole("seed", values.seed));
}

const REPORT = resolve(values.report ?? join(root, "build", "mutation", "report.json"));

const STAYS = new Set<string>(["unit tests", "simulation", "same", "invalid"]);

/** What the last report has told, by the identities of the mutants. */
function reported(): Map<string, Result> {
  if (!existsSync(REPORT)) return new Map();
  const results = JSON.parse(readFileSync(REPORT, "utf8")) as Result[];
  return new Map(results.map((result) => [result.mutant.identity, result]));
}

/** What is asked of whom. */
function testsDigest(): string {
  const { seeds, worlds, slowest, by = [] } = values;
  return createHash("sha256")
    .update(JSON.stringify([keyOf(whole("seeds", seeds), 1), worlds, slowest, by]))
    .digest("hex");
}

/** A verdict that stays while the function is the same (somebody noticed, or there was nothing to notice), or the tests as well. */
function lasting(result: Result | undefined, { shape }: Mutant, tests: string): Verdict | null {
  if (result === undefined || result.mutant.shape !== shape) return null;
  const { verdict } = result;
  return "why" in verdict || (!STAYS.has(verdict.kind) && result.tests !== tests) ? null : verdict;
}

function report(results: Iterable<Result>): void {
  mkdirSync(dirname(REPORT), { recursive: true });
  writeFileSync(`${REPORT}.new`, JSON.stringify([...results], undefined, 1));
  renameSync(`${REPORT}.new`, REPORT);
}

/** One that is known to be noticed by nobody is judged to see whether that is still so. */
async function judgeOne(judge: Judge, runner: Runner, mutant: Mutant, number: number): Promise<Result["verdict"]> {
  const known = openOf(mutant);
  if (known === undefined) return judge.judge(runner, mutant, number);
  const verdict = values.quick ? null : await judge.judge(runner, mutant, number);
  if (verdict === null || verdict.kind === "survived" || verdict.kind === "unreached") {
    return { kind: "open", why: known.why };
  }
  console.error(`mutate: listed as open, but noticed: ${known.file}, ${known.where}: ${known.text}`);
  process.exitCode = 1;
  return verdict;
}

function wanted(): Wanted {
  const seeds = { first: 1, seeds: whole("seeds", values.seeds) };
  return values.by === undefined ? seeds : { ...seeds, by: values.by };
}

const BATCH = join(root, "build", "mutation", "batch");

/** All mutants in one module; or what has come of the same ones before. */
async function compileOnce(runner: Runner, mutants: readonly Mutant[]): Promise<Batch> {
  const key = createHash("sha256").update(sourceDigest()).update(JSON.stringify(mutants)).digest("hex");
  if (existsSync(BATCH)) {
    const stored = deserialize(readFileSync(BATCH)) as { key: string; batch: Batch };
    if (stored.key === key) return stored.batch;
  }
  const batch = await compileSwitches(mutants);
  await mustBeAlike(runner, batch.modules);
  mkdirSync(dirname(BATCH), { recursive: true });
  writeFileSync(BATCH, serialize({ key, batch }));
  return batch;
}

async function prepare(runners: readonly Runner[], mutants: readonly Mutant[]): Promise<Judge> {
  const reached = await reachOnce(runners, wanted());
  console.log(`${reached.reaches.length} tests and worlds ran once (${seconds()})`);
  const batch = await compileOnce(firstOf(runners), mutants);
  console.log(`all but ${batch.left.length} mutants are in one module (${seconds()})`);
  return new Judge(reached, batch, whole("worlds", values.worlds), whole("slowest", values.slowest));
}

/** Each runner takes the next mutant when it has judged one. */
async function run(mutants: readonly Mutant[]): Promise<Result[]> {
  const runners = Array.from({ length: whole("workers", values.workers) }, () => new Runner());
  const judge = await prepare(runners, mutants);
  const end = performance.now() + whole("minutes", values.minutes) * 60_000;
  const all = values.resume || values.survivors ? reported() : new Map<string, Result>();
  const tests = testsDigest();
  const results: Result[] = [];
  const left = mutants.entries();
  const work = async (runner: Runner): Promise<void> => {
    for (const [index, mutant] of left) {
      if (performance.now() > end) break;
      const known = equivalentOf(mutant);
      const verdict: Result["verdict"] =
        known === undefined
          ? (lasting(all.get(mutant.identity), mutant, tests) ?? (await judgeOne(judge, runner, mutant, index + 1)))
          : { kind: "equivalent", why: known.why };
      const result = { mutant, text: lineOf(mutant), verdict, tests };
      results.push(result);
      all.set(mutant.identity, result);
      tell(result);
      report(all.values());
    }
  };
  await Promise.all(runners.map(work));
  for (const runner of runners) runner.end();
  return results;
}

const all = everyMutant();
const wrong = wrongEntries(all);
for (const complaint of wrong) console.error(`mutate: equivalents.ts or open.ts: ${complaint}`);
if (wrong.length > 0) process.exit(2);
const mutants = chosen(all);
console.log(`${all.length} mutants, ${mutants.length} chosen`);
if (mutants.length === 0) {
  console.error("mutate: none of them is meant by these arguments");
  process.exit(2);
}
if (values.list) {
  for (const mutant of mutants) console.log(`${mutant.file}:${mutant.line} ${mutant.where}: ${mutant.operator}`);
  process.exit(0);
}
const results = await run(mutants);
console.log(table(results));
const score = scoreOf(results);
console.log(`${results.length} mutants, ${score === null ? "none" : `${score.toFixed(1)} %`} noticed, ${seconds()}`);
if (hasSurvivor(results)) process.exitCode = 1;
if (values.least !== undefined && (score ?? 100) < whole("least", values.least)) {
  console.error(`mutate: fewer than ${values.least} % of the mistakes were noticed`);
  process.exitCode = 1;
}
