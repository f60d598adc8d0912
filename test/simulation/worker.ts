// Runs worlds for the main thread: takes ranges of seeds, returns the result of each world.

import { readFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { type ClusterScenario, clusterScenarios } from "./cluster/cluster-scenarios.ts";
import { ClusterWorld } from "./cluster/cluster-world.ts";
import { World, type WorldOptions, type WorldResult } from "./world.ts";

/** Which worlds: ordinary ones, of two hosts that share a unit by reservations, or of a host with several reactors. */
export type Worlds = "ordinary" | "cluster" | "reactors";

/** One world of that kind. */
export function worldOf(
  worlds: Worlds,
  seed: number,
  module: WebAssembly.Module,
  options: WorldOptions & { readonly scenario?: ClusterScenario | undefined } = {},
): Pick<World, "run"> {
  if (worlds === "cluster") {
    const plan = options.scenario === undefined ? undefined : clusterScenarios[options.scenario];
    return new ClusterWorld(seed, module, options.trace, plan);
  }
  return new World(seed, module, { ...options, reactors: worlds === "reactors" });
}

/** Parameters of a worker, passed at its start. */
export interface WorkerTask {
  /** The core to run. */
  readonly wasm: string;
  readonly first: number;
  readonly count: number;
  /** This worker runs every `step`-th seed. */
  readonly step: number;
  /** Stop at the first failing seed. */
  readonly stopAtFailure: boolean;
  readonly worlds: Worlds;
  /** Control of the worlds breaks this rule: see `WorldOptions`. */
  readonly isHasty?: boolean | undefined;
  /** Worlds of two hosts: made for one rule, instead of drawn. */
  readonly scenario?: ClusterScenario | undefined;
}

/** A worker's report: sums over many worlds, and each world that failed. */
export interface WorkerReport {
  readonly worlds: number;
  readonly ios: number;
  readonly errors: number;
  readonly virtualSeconds: number;
  readonly longestStallMs: number;
  readonly failed: readonly WorldResult[];
}

const REPORT_EVERY = 50;

function work(task: WorkerTask, report: (report: WorkerReport) => void): void {
  const module = new WebAssembly.Module(readFileSync(task.wasm));
  let batch = { worlds: 0, ios: 0, errors: 0, virtualSeconds: 0, longestStallMs: 0, failed: [] as WorldResult[] };
  const flush = (): void => {
    report(batch);
    batch = { worlds: 0, ios: 0, errors: 0, virtualSeconds: 0, longestStallMs: 0, failed: [] };
  };
  for (let seed = task.first; seed < task.first + task.count; seed += task.step) {
    const world = worldOf(task.worlds, seed, module, { isHasty: task.isHasty === true, scenario: task.scenario });
    const result = world.run();
    batch.worlds++;
    batch.ios += result.ios;
    batch.errors += result.errors;
    batch.virtualSeconds += result.virtualSeconds;
    batch.longestStallMs = Math.max(batch.longestStallMs, result.longestStallMs);
    if (result.violations.length > 0) {
      batch.failed.push(result);
      if (task.stopAtFailure) break;
    }
    if (batch.worlds >= REPORT_EVERY) flush();
  }
  flush();
}

const port = parentPort;
if (port !== null) work(workerData as WorkerTask, (report) => port.postMessage(report));
