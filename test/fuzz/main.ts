// `npm run fuzz -- [--target T] [--minutes N | --seconds N] [--seed N]`: inputs that are made from those that were interesting,
// guided by the branches they take. Each target runs in a process of its own, one on each processor at a time; the time is that of
// all together. Ten minutes and new finds are kept in test/fuzz/corpus; with --seconds nothing is written but an input that
// failed.

import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { TARGETS } from "./targets.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    minutes: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string" },
  },
});

const names = Object.keys(TARGETS);
if (values.target !== undefined && !names.includes(values.target)) {
  console.error(`fuzz: there is no target ${values.target}; there are ${names.join(", ")}`);
  process.exit(2);
}
const seconds = values.seconds === undefined ? Number(values.minutes ?? 10) * 60 : Number(values.seconds);
if (!(seconds > 0)) {
  console.error("fuzz: --minutes and --seconds take a number above 0");
  process.exit(2);
}
const chosen = values.target === undefined ? names : [values.target];
const atOnce = Math.min(availableParallelism(), chosen.length);
const each = String(((seconds * atOnce) / chosen.length) * 1000);

function fuzz(target: string): Promise<boolean> {
  const args = ["--no-warnings", "test/fuzz/worker.ts", target, each, values.seed ?? "1"];
  const child = spawn(process.execPath, values.seconds === undefined ? [...args, "keep"] : args, { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (status) => resolve(status === 0));
  });
}

const failed: string[] = [];
const rest = [...chosen];
async function work(): Promise<void> {
  for (let target = rest.shift(); target !== undefined; target = rest.shift()) {
    if (!(await fuzz(target))) failed.push(target);
  }
}
await Promise.all(Array.from({ length: atOnce }, work));
if (failed.length > 0) {
  console.error(`fuzz: ${failed.join(", ")} failed`);
  process.exitCode = 1;
}
