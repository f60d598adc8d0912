// node test/rig/compare.ts [--seconds S] [--only FAULT] [--system NAME]... [--rounds N]: the same load and the same fault on
// dm-multipath and on PathManager, in separate guests, one after the other. Prints the table of docs/comparison.md.

import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as z from "zod";
import { median } from "../../bench/report.ts";
import { runMachine, type ArrayKind } from "./machine.ts";
import { SYSTEMS } from "./lib/systems.ts";
import { ensurePackages, missingSentence, TEST_PACKAGES } from "./packages.ts";

const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

interface Case {
  readonly fault: string;
  readonly array: ArrayKind;
  readonly systems: readonly string[];
}

const DEFAULTS = ["dm-multipath service-time", "PathManager adaptive"];
const CASES: readonly Case[] = [
  { fault: "none", array: "lio", systems: DEFAULTS },
  { fault: "controller offline", array: "lio", systems: DEFAULTS },
  { fault: "path silent", array: "lio-mapped", systems: DEFAULTS },
  { fault: "commands lost", array: "scsi_debug", systems: DEFAULTS },
  { fault: "unequal paths", array: "lio-mapped", systems: Object.keys(SYSTEMS) },
];

const Result = z.object({
  errors: z.number(),
  ios: z.number(),
  iops: z.number(),
  stallMsMax: z.number(),
  p99Ms: z.number(),
});
type Result = z.infer<typeof Result>;

class Text extends Writable {
  text = "";
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function measure(system: string, fault: string, array: ArrayKind, seconds: number): Promise<Result | string> {
  const stdout = new Text();
  const stderr = new Text();
  const timeLimitS = seconds * 4 + 120;
  const command = ["node", "test/rig/compare-guest.ts", system, fault, String(seconds)];
  const options = {
    project,
    array,
    units: 1,
    paths: 4,
    unitMib: 64,
    memoryMib: 1024,
    timeLimitS,
    command,
    stdout,
    stderr,
  };
  const result = await runMachine(options);
  const line = /^RESULT (.*)$/m.exec(stdout.text)?.[1];
  if (line !== undefined) return Result.parse(JSON.parse(line));
  if (result.kind === "time-limit") return `no I/O completed any more (ended after ${timeLimitS} s)`;
  process.stderr.write(`${system}, ${fault}: ${result.kind}\n${stdout.text}${stderr.text}\n`);
  return "failed";
}

function row(fault: string, system: string, results: readonly (Result | string)[]): string {
  const good = results.filter((result) => typeof result !== "string");
  if (good.length === 0) return `| ${fault} | ${system} | ${results[0]} | | | |`;
  const errors = good.reduce((sum, result) => sum + result.errors, 0);
  const stall = median(good.map(({ stallMsMax }) => stallMsMax));
  const p99 = median(good.map(({ p99Ms }) => p99Ms));
  const iops = median(good.map((result) => result.iops));
  return `| ${fault} | ${system} | ${stall.toFixed(0)} | ${errors} | ${p99.toFixed(1)} | ${iops.toFixed(0)} |`;
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    rounds: { type: "string", default: "1" },
    only: { type: "string" },
    system: { type: "string", multiple: true },
  },
});
const missing = ensurePackages(TEST_PACKAGES);
if (missing.length > 0) {
  console.error(missingSentence(missing));
  process.exit(2);
}
console.log(
  "| case | system | longest stall, ms | errors | p99, ms | I/Os per s |\n| --- | --- | --- | --- | --- | --- |",
);
for (const { fault, array, systems: all } of CASES) {
  if (values.only !== undefined && values.only !== fault) continue;
  const systems = all.filter((system) => values.system === undefined || values.system.includes(system));
  const results = new Map<string, (Result | string)[]>(systems.map((system) => [system, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const system of systems)
      results.get(system)?.push(await measure(system, fault, array, Number(values.seconds)));
  }
  for (const [system, list] of results) console.log(row(fault, system, list));
}
process.exit(0);
