// npm run simulate -- --seeds N [--seed S] [--cluster | --reactors] [--json] [--trace] [--mutants [--only NAME] [--budget S]]
//
// Runs N worlds from seed S on (default: 1000 from 1); --cluster: those of two hosts that share a unit by reservations; --reactors: those of a host with several reactors. Prints how many failed, and for each failed seed the command that
// replays it. Exits with status 1 when one failed, 2 when the arguments are wrong.

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runMutants } from "./mutants.ts";
import { runSeeds, type Summary } from "./pool.ts";
import { worldOf, type Worlds } from "./worker.ts";

const root = join(import.meta.dirname, "..", "..");
const wasm = join(root, "build", "core.wasm");

function usage(problem: string): never {
  console.error(`simulate: ${problem}`);
  console.error(
    "usage: npm run simulate -- [--seeds N] [--seed S] [--cluster | --reactors] [--json] [--trace] [--mutants [--only NAME] [--budget S]]",
  );
  process.exit(2);
}

function whole(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) usage(`--${name}: "${text}" is not a whole number from 1 on`);
  return value;
}

function print(summary: Summary, worlds: Worlds, isJson: boolean): void {
  if (isJson) {
    console.log(JSON.stringify(summary));
    return;
  }
  for (const { seed, violations } of summary.failed) {
    console.log(`seed ${seed} failed:`);
    for (const violation of violations) console.log(`  ${violation}`);
    console.log(
      `  replay: npm run simulate -- --seeds 1 --seed ${seed}${worlds === "ordinary" ? "" : ` --${worlds}`} --trace`,
    );
  }
  console.log(
    `seeds ${summary.seeds}, failures ${summary.failures}, I/Os ${summary.ios}, errors answered ${summary.errors},`,
  );
  console.log(
    `virtual seconds ${summary.virtualSeconds.toFixed(0)}, longest stall ${summary.longestStallMs.toFixed(0)} ms, ` +
      `took ${summary.seconds.toFixed(1)} s`,
  );
}

const say = (text: string): void => console.log(text);

function trace(seed: number, worlds: Worlds): void {
  const module = new WebAssembly.Module(readFileSync(wasm));
  const result = worldOf(worlds, seed, module, { trace: say }).run();
  console.log(JSON.stringify(result, undefined, 2));
  process.exitCode = result.violations.length > 0 ? 1 : 0;
}

function parse(): {
  seeds?: string | undefined;
  seed?: string | undefined;
  cluster: boolean;
  reactors: boolean;
  json: boolean;
  trace: boolean;
  mutants: boolean;
  only?: string | undefined;
  budget?: string | undefined;
} {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: "string" },
        seed: { type: "string" },
        cluster: { type: "boolean", default: false },
        reactors: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        trace: { type: "boolean", default: false },
        mutants: { type: "boolean", default: false },
        only: { type: "string" },
        budget: { type: "string" },
      },
    });
    return values;
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

const options = parse();
const first = whole("seed", options.seed, 1);
if (options.cluster && options.reactors) usage("--cluster and --reactors are different worlds; give one of them");
const worlds = options.cluster ? "cluster" : options.reactors ? "reactors" : "ordinary";
if (options.trace) trace(first, worlds);
else if (options.mutants) {
  const budgetS = Number(options.budget ?? Number.POSITIVE_INFINITY);
  if (Number.isNaN(budgetS)) usage(`--budget ${options.budget} is no number; give seconds`);
  process.exitCode = await runMutants(whole("seeds", options.seeds, 2000), options.only, budgetS);
} else {
  const seeds = whole("seeds", options.seeds, 1000);
  const summary = await runSeeds({
    wasm,
    first,
    seeds,
    workers: availableParallelism(),
    stopAtFailure: false,
    worlds,
  });
  print(summary, worlds, options.json);
  process.exitCode = summary.failures > 0 ? 1 : 0;
}
