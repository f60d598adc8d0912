// The mutation check: the core is broken on purpose, in named ways, and the simulation has to notice each of them.
//
// A mutant is a replacement in the core's sources. Its text has to be there exactly once: a refactoring that moves it
// makes this check fail loudly instead of testing nothing. Each processor takes mutant after mutant: compiles it, and runs
// worlds until one of them fails.

import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { mutants, type Mutant } from "./mutant-list.ts";
import { runSeeds } from "./pool.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = join(root, "build", "mutants");

/** A source of the core with the mutant's replacement. Throws when its text is not there exactly once. */
export function mutate(mutant: Mutant): string {
  const parts = readFileSync(join(root, "assembly", mutant.file), "utf8").split(mutant.find);
  if (parts.length !== 2) {
    throw new Error(`mutant ${mutant.name}: its text stands ${parts.length - 1} times in ${mutant.file}, not once`);
  }
  return parts.join(mutant.replace);
}

/** Compiles the core with one replacement; answers the file. */
async function compile(mutant: Mutant): Promise<string> {
  const place = join(folder, mutant.name);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  cpSync(join(root, "assembly"), join(place, "assembly"), { recursive: true });
  writeFileSync(join(place, "assembly", mutant.file), mutate(mutant));
  const config = JSON.parse(readFileSync(join(root, "asconfig.json"), "utf8")) as {
    targets: object;
    entries: string[];
  };
  const target = { outFile: "core.wasm", optimizeLevel: 1, shrinkLevel: 0 };
  writeFileSync(join(place, "asconfig.json"), JSON.stringify({ ...config, targets: { mutant: target } }));
  await ascend(place, mutant.name);
  return join(place, "core.wasm");
}

/** Runs the compiler in `place`. */
function ascend(place: string, name: string): Promise<void> {
  const asc = join(root, "node_modules", ".bin", "asc");
  const child = spawn(process.execPath, [asc, "--config", "asconfig.json", "--target", "mutant"], {
    cwd: place,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => {
      if (status === 0) resolve();
      else reject(new Error(`mutant ${name} does not compile: ${complaint}`));
    });
  });
}

/** Whether the simulation notices the mutant within so many seeds; prints a line. */
async function caught(mutant: Mutant, seeds: number): Promise<boolean> {
  const wasm = await compile(mutant);
  const summary = await runSeeds({ wasm, first: 1, seeds, workers: 1, stopAtFailure: true });
  const failed = summary.failed[0];
  if (failed === undefined) console.log(`SURVIVED ${mutant.name}: ${mutant.why} (${summary.seeds} seeds)`);
  else console.log(`caught   ${mutant.name}: seed ${failed.seed}: ${failed.violations[0]}`);
  return failed !== undefined;
}

/** Runs all mutants (or the one named). Prints a line for each; answers the exit status. */
export async function runMutants(seeds: number, only: string | undefined): Promise<number> {
  const chosen = mutants.filter((mutant) => only === undefined || mutant.name === only);
  if (chosen.length === 0) {
    console.error(`simulate: there is no mutant "${only}"; there are ${mutants.map((m) => m.name).join(", ")}`);
    return 2;
  }
  const began = performance.now();
  const rest = [...chosen];
  let survivors = 0;
  const work = async (): Promise<void> => {
    for (let mutant = rest.shift(); mutant !== undefined; mutant = rest.shift()) {
      if (!(await caught(mutant, seeds))) survivors++;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `mutants ${chosen.length}, caught ${chosen.length - survivors}, survived ${survivors}, took ${seconds} s`,
  );
  return survivors > 0 ? 1 : 0;
}
