// Clients with large requests leave those with small ones their turn, whatever the policy. All times are virtual.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { steadyPlan } from "../../simulation/steady.ts";
import { NBD } from "../../simulation/wire.ts";
import { World } from "../../simulation/world.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));
const POLICIES = [
  ["adaptive", abi.POLICY_ADAPTIVE],
  ["static", abi.POLICY_STATIC],
  ["round robin", abi.POLICY_ROUND_ROBIN],
] as const;
/** Longest wait of a small one by what it is alone: a few pieces of 1 MiB, each of which takes eight times as long. */
const RATIO_MAX = 20;

/** 99th percentile of how long small writes take beside so many clients that read up to 4 MiB at a time, ns. */
function smallNs(policy: number, attackers: number): { p99: number; large: number; violations: readonly unknown[] } {
  const plan = steadyPlan({ policy, requests: 150 });
  const [steady] = plan.clients;
  if (steady === undefined) throw new Error("no client");
  const small = { ...steady, plan: { ...steady.plan, depth: 1, mix: { read: 0, write: 1, flush: 0, zero: 0 } } };
  const large = {
    ...steady,
    plan: {
      ...steady.plan,
      requests: 24,
      depth: 8,
      blocksMax: 8_192,
      pauseNs: 0,
      mix: { read: 1, write: 0, flush: 0, zero: 0 },
    },
  };
  const waits: number[] = [];
  let others = 0;
  const service = { latencyUs: 100, parallelism: 1, bytesPerSecond: 1_000_000_000 };
  const result = new World(11, module, {
    plan: {
      ...plan,
      topology: { ...plan.topology, service },
      clients: [small, ...Array.from({ length: attackers }, () => large)],
    },
    atlas: { faults: [], endMs: 60_000, errorsAllowed: false },
    answered: (_now, latencyNs, _error, command) => {
      if (command === NBD.write) waits.push(latencyNs);
      else others++;
    },
  }).run();
  const sorted = waits.toSorted((a, b) => a - b);
  return { p99: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0, large: others, violations: result.violations };
}

for (const [name, policy] of POLICIES) {
  test(`small writes beside clients that read 4 MiB at a time: ${name}`, (t) => {
    const alone = smallNs(policy, 0);
    const beside = smallNs(policy, 2);
    t.deepEqual([...alone.violations, ...beside.violations], []);
    t.true(beside.large >= 48, `${beside.large} large reads`);
    const ratio = beside.p99 / alone.p99;
    t.true(ratio < RATIO_MAX, `${ratio} times as long as alone, ${alone.p99 / 1e6} ms`);
    t.log(`${(alone.p99 / 1e6).toFixed(2)} ms alone, ${(beside.p99 / 1e6).toFixed(2)} ms beside`);
  });
}
