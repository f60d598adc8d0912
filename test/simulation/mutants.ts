// The mutation check: the core is broken on purpose, in named ways, and the simulation has to notice each of them.
//
// A mutant is a replacement in the core's sources. Its text has to be there exactly once: a refactoring that moves it
// makes this check fail loudly instead of testing nothing.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { mutants, type Mutant } from "./mutant-list.ts";
import { runSeeds } from "./pool.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = join(root, "build", "mutants");

/** Compiles the core with one replacement; answers the file. Throws when the text is not there exactly once. */
function compile(mutant: Mutant): string {
  const place = join(folder, mutant.name);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  cpSync(join(root, "assembly"), join(place, "assembly"), { recursive: true });
  const file = join(place, "assembly", mutant.file);
  const source = readFileSync(file, "utf8");
  const parts = source.split(mutant.find);
  if (parts.length !== 2) {
    throw new Error(`mutant ${mutant.name}: its text stands ${parts.length - 1} times in ${mutant.file}, not once`);
  }
  writeFileSync(file, parts.join(mutant.replace));
  const config = JSON.parse(readFileSync(join(root, "asconfig.json"), "utf8")) as {
    targets: object;
    entries: string[];
  };
  const target = { outFile: "core.wasm", optimizeLevel: 1, shrinkLevel: 0 };
  writeFileSync(join(place, "asconfig.json"), JSON.stringify({ ...config, targets: { mutant: target } }));
  const asc = join(root, "node_modules", ".bin", "asc");
  const result = spawnSync(process.execPath, [asc, "--config", "asconfig.json", "--target", "mutant"], {
    cwd: place,
    encoding: "utf8",
  });
  if (result.status !== 0) throw new Error(`mutant ${mutant.name} does not compile: ${result.stderr}`);
  return join(place, "core.wasm");
}

/** Runs all mutants (or the one named). Prints a line for each; answers the exit status. */
export async function runMutants(seeds: number, only: string | undefined): Promise<number> {
  const chosen = mutants.filter((mutant) => only === undefined || mutant.name === only);
  if (chosen.length === 0) {
    console.error(`simulate: there is no mutant "${only}"; there are ${mutants.map((m) => m.name).join(", ")}`);
    return 2;
  }
  let survivors = 0;
  for (const mutant of chosen) {
    const wasm = compile(mutant);
    const summary = await runSeeds({ wasm, first: 1, seeds, workers: availableParallelism(), stopAtFailure: true });
    const first = summary.failed[0];
    if (first === undefined) {
      survivors++;
      console.log(`SURVIVED ${mutant.name}: ${mutant.why} (${summary.seeds} seeds)`);
    } else console.log(`caught   ${mutant.name}: seed ${first.seed}: ${first.violations[0]}`);
  }
  console.log(`mutants ${chosen.length}, caught ${chosen.length - survivors}, survived ${survivors}`);
  return survivors > 0 ? 1 : 0;
}
