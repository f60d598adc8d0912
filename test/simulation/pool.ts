// Distributes seeds over the machine's processors and sums up the results.

import { Worker } from "node:worker_threads";
import type { ClusterScenario } from "./cluster/cluster-scenarios.ts";
import type { WorkerReport, WorkerTask, Worlds } from "./worker.ts";
import type { WorldResult } from "./world.ts";

/** The sum over all worlds of a call. */
export interface Summary {
  readonly seeds: number;
  readonly failures: number;
  readonly ios: number;
  readonly errors: number;
  readonly virtualSeconds: number;
  readonly longestStallMs: number;
  readonly seconds: number;
  readonly failed: readonly WorldResult[];
}

export interface SeedRange {
  readonly wasm: string;
  readonly first: number;
  readonly seeds: number;
  readonly workers: number;
  /** Stops all workers as soon as one seed has failed: enough for a mutant. */
  readonly stopAtFailure: boolean;
  readonly worlds: Worlds;
  readonly isHasty?: boolean | undefined;
  readonly scenario?: ClusterScenario | undefined;
}

/** Runs the worlds of `seeds` seeds from `first` on. */
export async function runSeeds(range: SeedRange): Promise<Summary> {
  const began = performance.now();
  const reports: WorkerReport[] = [];
  const workers: Worker[] = [];
  const runs = Array.from({ length: Math.min(range.workers, range.seeds) }, (_, index, all = range.workers) => {
    const step = Math.min(all, range.seeds);
    const task: WorkerTask = {
      wasm: range.wasm,
      first: range.first + index,
      count: range.seeds - index,
      step,
      stopAtFailure: range.stopAtFailure,
      worlds: range.worlds,
      isHasty: range.isHasty,
      scenario: range.scenario,
    };
    return new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL("worker.ts", import.meta.url), { workerData: task });
      workers.push(worker);
      worker.on("message", (report: WorkerReport) => {
        reports.push(report);
        if (range.stopAtFailure && report.failed.length > 0) for (const other of workers) void other.terminate();
      });
      worker.on("error", reject);
      worker.on("exit", () => resolve());
    });
  });
  await Promise.all(runs);
  return sum(reports, (performance.now() - began) / 1000);
}

function sum(reports: readonly WorkerReport[], seconds: number): Summary {
  const failed = reports.flatMap((report) => report.failed).toSorted((a, b) => a.seed - b.seed);
  const total = (pick: (report: WorkerReport) => number): number => reports.reduce((all, one) => all + pick(one), 0);
  return {
    seeds: total((report) => report.worlds),
    failures: failed.length,
    ios: total((report) => report.ios),
    errors: total((report) => report.errors),
    virtualSeconds: total((report) => report.virtualSeconds),
    longestStallMs: reports.reduce((most, report) => Math.max(most, report.longestStallMs), 0),
    seconds,
    failed,
  };
}
