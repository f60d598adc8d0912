// One judge: a process that takes mutants and says who noticed each.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { WorkerReport, WorkerTask } from "../simulation/worker.ts";
import { compileCore } from "./compile.ts";
import { mutated, type Mutant } from "./operators.ts";
import { Workspace } from "./workspace.ts";

const root = join(import.meta.dirname, "..", "..");
const WORLDS_MS_MAX = 120_000;

/** Who noticed a mutant. `same`: the compiler makes the same code of it; `invalid`: it does not compile. */
export type Verdict =
  | { readonly kind: "simulation" | "unit tests"; readonly how: string }
  | { readonly kind: "survived" | "same" | "invalid" };

export interface Task {
  readonly mutant: Mutant;
  readonly seeds: number;
}

/** Runs worlds until one fails; answers how it failed, or null. A world that never ends has failed. */
function worlds(wasm: string, seeds: number): Promise<string | null> {
  const workerData: WorkerTask = { wasm, first: 1, count: seeds, step: 1, stopAtFailure: true };
  const worker = new Worker(new URL("../simulation/worker.ts", import.meta.url), { workerData, stderr: true });
  return new Promise((resolve) => {
    const timer = setTimeout(() => end("a world did not end"), WORLDS_MS_MAX);
    const end = (how: string | null): void => {
      clearTimeout(timer);
      void worker.terminate();
      resolve(how);
    };
    worker.on("message", ({ failed }: WorkerReport) => {
      const [first] = failed;
      if (first !== undefined) end(`seed ${first.seed}: ${first.violations[0]}`);
    });
    worker.on("error", (error) => end(error instanceof Error ? error.message : String(error)));
    worker.on("exit", () => end(null));
  });
}

let baseline: Uint8Array | null | undefined;

async function judge({ mutant, seeds }: Task, workspace: Workspace): Promise<Verdict> {
  const text = readFileSync(join(root, mutant.file), "utf8");
  baseline ??= await compileCore(mutant.file, text);
  const module = await compileCore(mutant.file, mutated(text, mutant));
  if (module === null) return { kind: "invalid" };
  if (baseline !== null && Buffer.from(module).equals(baseline)) return { kind: "same" };
  workspace.setCore(module);
  const world = await worlds(workspace.core, seeds);
  if (world !== null) return { kind: "simulation", how: world };
  const failure = await workspace.firstFailure();
  return failure === null ? { kind: "survived" } : { kind: "unit tests", how: failure };
}

const workspace = new Workspace(process.argv[2] ?? "judge");
process.on("message", (task: Task) => {
  judge(task, workspace).then(
    (verdict) => process.send?.(verdict),
    (thrown: unknown) => {
      console.error(thrown);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
