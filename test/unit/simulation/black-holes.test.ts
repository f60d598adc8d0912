// Paths that answer nothing must not hold an I/O: k of n become black holes under load, and nobody waits longer than
// four times what the slowest thousandth waited before, or 100 ms. All times are virtual.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { FaultRequest } from "../../../host/array/faults/faults.ts";
import { POLICY_ADAPTIVE, POLICY_STATIC } from "../../../host/abi.ts";
import { steadyPlan } from "../../simulation/steady.ts";
import { World } from "../../simulation/world.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));
const PATHS = 4;
const FAULT_MS = 900;
const START_NS = 1_000_000_000;

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
          plan: steadyPlan({ policy }),
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
