// Commands that get lost now and then, on every path at once, must not hold an I/O either: each path still answers most
// commands, so what is lost goes out again, on whatever path. All times are virtual.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { Fault, FaultRequest } from "../../../host/array/faults/faults.ts";
import { POLICY_ADAPTIVE, POLICY_ROUND_ROBIN, POLICY_STATIC } from "../../../host/abi.ts";
import type { WorldPlan } from "../../simulation/plan.ts";
import { steadyPlan } from "../../simulation/steady.ts";
import { World } from "../../simulation/world.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));
const FAULT_MS = 900;
const FAULT_FOR_MS = 3000;
const START_NS = 1_000_000_000;

interface Measured {
  readonly violations: readonly string[];
  readonly before: readonly number[];
  /** Longest wait from the fault on, and what 99.9 % waited before, ns. */
  readonly longestNs: number;
  readonly p999Ns: number;
}

/** Runs the steady world; one command in `every` is lost, on all paths. */
function measure(seed: number, plan: WorldPlan, every: number, fault: Fault): Measured {
  const before: number[] = [];
  let longestNs = 0;
  const request: FaultRequest = {
    fault,
    when: { probability: 1 / every },
    afterMs: FAULT_MS,
    forMs: FAULT_FOR_MS,
  };
  const result = new World(seed, module, {
    plan,
    atlas: { faults: [request], endMs: FAULT_MS + FAULT_FOR_MS, errorsAllowed: false },
    answered: (nowNs, latencyNs) => {
      if (nowNs < START_NS + FAULT_MS * 1e6) before.push(latencyNs);
      else longestNs = Math.max(longestNs, latencyNs);
    },
  }).run();
  before.sort((a, b) => a - b);
  return { violations: result.violations, before, longestNs, p999Ns: before[Math.floor(before.length * 0.999)] ?? 0 };
}

const policies = [
  { name: "adaptive", policy: POLICY_ADAPTIVE },
  { name: "static", policy: POLICY_STATIC },
  { name: "round robin", policy: POLICY_ROUND_ROBIN },
];
const faults: { name: string; fault: Fault }[] = [
  { name: "commands", fault: { kind: "no-answer", execution: "never" } },
  { name: "answers", fault: { kind: "no-answer", execution: "at-once" } },
  { name: "commands only a reset ends", fault: { kind: "no-answer", execution: "never", giveUp: false } },
];

/** Seeds in which no write happens to overlap a lost one, for which it would rightly wait. */
function seedsFor(policy: number, paths: number): readonly number[] {
  if (policy === POLICY_ADAPTIVE && paths > 1) return [11, 13];
  return paths === 2 ? [11] : [13];
}

for (const { name, policy } of policies) {
  for (const { name: what, fault } of faults) {
    // With one path all policies are one.
    for (const paths of policy === POLICY_ADAPTIVE ? [1, 2, 4] : [2, 4]) {
      // One path has room for 32 commands, and what is lost keeps its place until the host gives it up, 0.4 s later.
      // A reset comes every few seconds only.
      const every = ("giveUp" in fault ? 800 : 100) * (4 / paths);
      test(`1 in ${every} of the ${what} lost on all of ${paths} paths, ${name}: nobody waits long`, (t) => {
        for (const seed of seedsFor(policy, paths)) {
          const { violations, before, longestNs, p999Ns } = measure(seed, steadyPlan({ policy, paths }), every, fault);
          t.deepEqual(violations, []);
          t.true(before.length > 1500, `${before.length} requests before the fault`);
          const limitNs = Math.max(4 * p999Ns, 100e6);
          t.log(`p99.9 before ${(p999Ns / 1e6).toFixed(1)} ms, longest after ${(longestNs / 1e6).toFixed(1)} ms`);
          t.true(longestNs <= limitNs, `${longestNs / 1e6} ms is more than ${limitNs / 1e6} ms`);
        }
      });
    }
  }
}

test("writes over lost writes wait for the reset of the unit, no longer", (t) => {
  for (const lostResetMs of [300, 2000]) {
    const plan = steadyPlan({ policy: POLICY_ADAPTIVE, blocks: 2000, lostResetMs });
    const fault: Fault = { kind: "no-answer", execution: "never", giveUp: false };
    const { violations, longestNs } = measure(14, { ...plan, orphanResetMs: 20_000 }, 100, fault);
    t.deepEqual(violations, []);
    t.log(`${lostResetMs} ms: longest ${(longestNs / 1e6).toFixed(0)} ms`);
    t.true(longestNs > lostResetMs * 5e5, "somebody waited");
    // A second reset by the same path comes a second after the first at the earliest.
    t.true(longestNs < (lostResetMs + Math.max(lostResetMs, 1000) + 100) * 1e6, `${longestNs / 1e6} ms`);
  }
});
