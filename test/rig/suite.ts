// npm run test:rig [-- [--long] [--budget S] [PATTERN]]: boots one guest per file of test/rig/tests and runs the file's tests in it; as many guests
// at once as the machine has processors, at most GUESTS_MAX, because a guest uses only one processor. A test without a
// report, because its guest died or ran out of time, has failed. --long: those of test/rig/long, which take too long for every change.
// --budget: after S seconds no further file is begun but the essential ones; those that were not run are named.

import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { takeNames, type Rig } from "./lib/test.ts";
import { runMachine, type MachineResult } from "./machine.ts";
import { ensurePackages, missingSentence, TEST_PACKAGES, VIRTUAL_PACKAGES } from "./packages.ts";

const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { long: { type: "boolean" }, budget: { type: "string" } },
});
const folder = join(project, "test", "rig", options.long === true ? "long" : "tests");
/** A busy machine takes more than twice as long as a quiet one, by which the limits of the files are sized. */
const BUSY = 3;
/** Maximum number of guests at once. Each takes up to 1.5 GiB of memory. */
const GUESTS_MAX = 4;

interface TestFile {
  readonly name: string;
  readonly rig: Rig;
  readonly tests: readonly string[];
}

async function load(name: string): Promise<TestFile> {
  const module: unknown = await import(join(folder, name));
  const tests = takeNames();
  if (typeof module !== "object" || module === null || !("rig" in module)) throw new Error(`${name} exports no rig`);
  if (tests.length === 0) throw new Error(`${name} holds no test`);
  return { name, rig: module.rig as Rig, tests };
}

/** Keeps a guest's output until its file is done, since several run at once. */
class Transcript extends Writable {
  text = "";
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

function complaint(result: MachineResult, rig: Rig): string | undefined {
  switch (result.kind) {
    case "exited":
      return undefined;
    case "time-limit":
      return `the guest was killed after ${rig.timeLimitS * BUSY} s`;
    case "aborted":
      return "interrupted";
    case "died":
      return `the guest died: ${result.kernelLog}`;
  }
}

/** Runs one file. Returns the names of the tests that did not pass. */
async function runFile({ name, rig, tests }: TestFile, signal: AbortSignal): Promise<readonly string[]> {
  const begin = performance.now();
  const transcript = new Transcript();
  const complaints = new Transcript();
  rig.prepare?.();
  const result = await runMachine({
    kernel: rig.kernel ?? "uml",
    project,
    array: rig.array,
    units: rig.units ?? 1,
    paths: rig.paths ?? 4,
    unitMib: rig.unitMib ?? 64,
    memoryMib: rig.memoryMib ?? 1024,
    timeLimitS: rig.timeLimitS * BUSY,
    command: ["node", "test/rig/guest.ts", join(folder, name)],
    stdout: transcript,
    stderr: complaints,
    signal,
  });
  console.log(`# ${name} (${Math.round((performance.now() - begin) / 1000)} s)\n${transcript.text.trimEnd()}`);
  if (complaints.text !== "") console.log(complaints.text.trimEnd());
  const passed = new Set([...transcript.text.matchAll(/^ok - (.*) \([\d.]+ s\)$/gm)].map((match) => match[1]));
  const failed = tests.filter((test) => !passed.has(test));
  const why = complaint(result, rig) ?? (failed.length > 0 ? "it failed or gave no result" : undefined);
  for (const test of failed) {
    if (!transcript.text.includes(`not ok - ${test} (`)) console.log(`not ok - ${test}: ${why}`);
  }
  if (failed.length === 0 && result.kind === "exited" && result.status === 0) return [];
  // All tests reported success, but the guest did not end properly: this counts as a failure of the last one.
  return failed.length > 0 ? failed : tests.slice(-1);
}

/** The essential first, and of those the longest, so that no single guest runs on at the end. */
const byRank = (a: TestFile, b: TestFile): number =>
  Number(b.rig.isEssential ?? false) - Number(a.rig.isEssential ?? false) || b.rig.timeLimitS - a.rig.timeLimitS;

async function main(): Promise<number> {
  const missing = ensurePackages([...TEST_PACKAGES, ...VIRTUAL_PACKAGES]);
  if (missing.length > 0) {
    console.error(missingSentence(missing));
    return 2;
  }
  const [pattern = ""] = positionals;
  const names = readdirSync(folder).filter((name) => name.endsWith(".rig.ts") && name.includes(pattern));
  if (names.length === 0) {
    console.error(`rig: no file of ${folder} has "${pattern}" in its name`);
    return 2;
  }
  const budgetS = Number(options.budget ?? Number.POSITIVE_INFINITY);
  if (Number.isNaN(budgetS)) {
    console.error(`rig: --budget ${options.budget} is no number; give seconds`);
    return 2;
  }
  const interrupt = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => interrupt.abort());
  const files: TestFile[] = [];
  for (const name of names.toSorted()) files.push(await load(name));
  const failed: string[] = [];
  const queue = files.toSorted(byRank);
  const rest: TestFile[] = [];
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      if (performance.now() > budgetS * 1000 && file.rig.isEssential !== true) rest.push(file);
      else failed.push(...(await runFile(file, interrupt.signal)));
    }
  };
  await Promise.all(Array.from({ length: Math.min(GUESTS_MAX, availableParallelism()) }, work));
  if (rest.length > 0) console.log(`not run, as ${budgetS} s were over: ${rest.map(({ name }) => name).join(" ")}`);
  const count = (some: readonly TestFile[]): number => some.reduce((sum, file) => sum + file.tests.length, 0);
  const left = rest.length === 0 ? "" : `, ${count(rest)} not run`;
  console.log(`${count(files) - count(rest) - failed.length} passed, ${failed.length} failed${left}`);
  return failed.length === 0 ? 0 : 1;
}

process.exit(await main());
