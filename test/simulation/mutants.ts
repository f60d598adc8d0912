// The mutation check: the core is broken on purpose, in named ways, and the simulation has to notice each of them.
//
// A mutant is a replacement in the core's sources. Its text has to occur there exactly once: a refactoring that moves it
// makes this check fail loudly instead of testing nothing. Each processor takes one mutant after the other, compiles it, and
// runs worlds until one of them fails.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { compile, modules } from "../instrument/compile.ts";
import { clusterMutants } from "./mutant-cluster.ts";
import { reactorMutants } from "./mutant-reactors.ts";
import { mutants, type Mutant } from "./mutant-list.ts";
import { runSeeds } from "./pool.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = join(root, "build", "mutants");

/** A source of the core with the mutant's replacement. Throws when its text does not occur there exactly once. */
export function mutate(mutant: Mutant): string {
  const parts = readFileSync(join(root, "assembly", mutant.file), "utf8").split(mutant.find);
  if (parts.length !== 2) {
    throw new Error(`mutant ${mutant.name}: its text stands ${parts.length - 1} times in ${mutant.file}, not once`);
  }
  return parts.join(mutant.replace);
}

/** Compiles the core with one replacement; returns the file. */
async function build(mutant: Mutant): Promise<string> {
  const [core] = modules;
  if (core === undefined) throw new Error("there is no core to compile");
  const { wasm, complaints } = await compile(core, new Map([[`assembly/${mutant.file}`, mutate(mutant)]]), 0);
  if (wasm === null) throw new Error(`mutant ${mutant.name} does not compile: ${complaints[0]?.message}`);
  const file = join(folder, `${mutant.name}.wasm`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, wasm);
  return file;
}

/** One compilation at a time: the compiler does not support two at once. */
let building: Promise<unknown> = Promise.resolve();

function compiled(mutant: Mutant): Promise<string> {
  const next = building.then(() => build(mutant));
  building = next.catch(() => undefined);
  return next;
}

/** Whether the simulation notices the mutant within this many seeds; prints a line. */
async function caught(mutant: Mutant, seeds: number): Promise<boolean> {
  const wasm = await compiled(mutant);
  const worlds = clusterMutants.includes(mutant)
    ? "cluster"
    : reactorMutants.includes(mutant)
      ? "reactors"
      : "ordinary";
  const summary = await runSeeds({
    wasm,
    first: mutant.first ?? 1,
    seeds,
    workers: 1,
    stopAtFailure: true,
    worlds,
    isHasty: mutant.isHasty,
    scenario: mutant.scenario,
  });
  const failed = summary.failed[0];
  if (failed === undefined) console.log(`SURVIVED ${mutant.name}: ${mutant.why} (${summary.seeds} seeds)`);
  else console.log(`caught   ${mutant.name}: seed ${failed.seed}: ${failed.violations[0]}`);
  return failed !== undefined;
}

/** Runs all mutants (or the named one), none after `budgetS` seconds. Prints a line for each; returns the exit status. */
export async function runMutants(seeds: number, only: string | undefined, budgetS: number): Promise<number> {
  const chosen = mutants.filter((mutant) => only === undefined || mutant.name === only);
  if (chosen.length === 0) {
    console.error(`simulate: there is no mutant "${only}"; there are ${mutants.map((m) => m.name).join(", ")}`);
    return 2;
  }
  const began = performance.now();
  const isLate = (): boolean => performance.now() - began > budgetS * 1000;
  const rest = [...chosen];
  const next = (): Mutant | undefined => (isLate() ? undefined : rest.shift());
  let survivors = 0;
  const work = async (): Promise<void> => {
    for (let mutant = next(); mutant !== undefined; mutant = next()) {
      if (!(await caught(mutant, seeds))) survivors++;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `mutants ${chosen.length}, caught ${chosen.length - rest.length - survivors}, survived ${survivors}, took ${seconds} s`,
  );
  if (rest.length > 0) console.log(`not run, as ${budgetS} s were over: ${rest.map(({ name }) => name).join(" ")}`);
  return survivors > 0 ? 1 : 0;
}
