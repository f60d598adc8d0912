// Paths that answer nothing must not hold an I/O: k of n become black holes under load, and nobody waits longer than
// four times what the slowest thousandth waited before, or 100 ms. All times are virtual.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { FaultRequest } from "../../../host/array/faults.ts";
import { POLICY_ADAPTIVE, POLICY_STATIC } from "../../../host/reactor/abi.ts";
import type { WorldPlan } from "../../simulation/plan.ts";
import { World } from "../../simulation/world.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));
const PATHS = 4;
const FAULT_MS = 900;
const START_NS = 1_000_000_000;

function plan(policy: number): WorldPlan {
  const client = {
    unit: 0,
    plan: {
      requests: 4000,
      depth: 8,
      structured: true,
      blocksMax: 8,
      pauseNs: 2_000_000,
      mix: { read: 6, write: 4, flush: 0, zero: 0 },
    },
  };
  return {
    kind: "reachable",
    topology: {
      name: "sim",
      units: 1,
      // Large, so that hardly any write overlaps one that waits for a ghost: that is another rule, with tests of its own.
      unitBytes: 512 * 2_000_000,
      paths: PATHS,
      initiatorPorts: 2,
      service: { latencyUs: 1000, parallelism: 16, distribution: "exponential" },
    },
    units: 1,
    blocks: 2_000_000,
    blockBytes: 512,
    policy,
    ioTimeoutMs: 30_000,
    noPathTimeoutMs: 30_000,
    stallMinMs: 20,
    stallMaxMs: 2000,
    ghostResetMs: 1000,
    transferBlocksMax: 0,
    patrolMs: 5000,
    aluaExplicit: false,
    spanMs: 3000,
    clients: [client, client],
    vanishing: [],
    crashesMs: [],
    pauses: [],
    powerLosses: [],
    changesMs: [],
  };
}

const cases = [
  { name: "adaptive", policy: POLICY_ADAPTIVE },
  { name: "static", policy: POLICY_STATIC },
];

for (const { name, policy } of cases) {
  for (let holes = 1; holes < PATHS; holes++) {
    for (const giveUp of [true, false]) {
      const how = giveUp ? "the host gives up in the end" : "only a reset ends them";
      test(`${holes} of ${PATHS} paths become black holes, ${name}: nobody waits long (${how})`, (t) => {
        const before: number[] = [];
        let longestNs = 0;
        const faults: FaultRequest[] = Array.from({ length: holes }, (_, port) => ({
          fault: { kind: "no-answer", giveUp },
          // The last paths have the highest priorities: with a static policy the path in use is among them.
          where: { port: PATHS - 1 - port },
          afterMs: FAULT_MS,
          forMs: 3000,
        }));
        const result = new World(7 + holes, module, {
          plan: plan(policy),
          atlas: { faults, endMs: FAULT_MS + 3000, errorsAllowed: false },
          answered: (nowNs, latencyNs) => {
            if (nowNs < START_NS + FAULT_MS * 1e6) before.push(latencyNs);
            else longestNs = Math.max(longestNs, latencyNs);
          },
        }).run();
        t.deepEqual(result.violations, []);
        before.sort((a, b) => a - b);
        const p999 = before[Math.floor(before.length * 0.999)] ?? 0;
        t.true(before.length > 2000, `${before.length} requests before the fault`);
        const limitNs = Math.max(4 * p999, 100e6);
        t.log(`p99.9 before ${(p999 / 1e6).toFixed(1)} ms, longest after ${(longestNs / 1e6).toFixed(1)} ms`);
        t.true(longestNs <= limitNs, `${longestNs / 1e6} ms is more than ${limitNs / 1e6} ms`);
      });
    }
  }
}
