// A request has one deadline, from when it was accepted, however often it is sent again. All times are virtual.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { POLICY_ADAPTIVE, POLICY_ROUND_ROBIN, POLICY_STATIC } from "../../../host/abi.ts";
import { steadyPlan } from "../../simulation/steady.ts";
import { World } from "../../simulation/world.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));
const IO_TIMEOUT_MS = 1500;

for (const [name, policy] of [
  ["adaptive", POLICY_ADAPTIVE],
  ["round robin", POLICY_ROUND_ROBIN],
  ["static", POLICY_STATIC],
] as const) {
  test(`all paths become black holes, and what is under way is sent again by each: one deadline, ${name}`, (t) => {
    const plan = steadyPlan({ policy, requests: 400 });
    // Few enough under way that nothing ever waits for room: then answers have to be punctual.
    const clients = plan.clients.map(({ unit, plan: client }) => ({ unit, plan: { ...client, depth: 4 } }));
    let failed = 0;
    let longestNs = 0;
    const result = new World(5, module, {
      plan: { ...plan, clients, kind: "outage", ioTimeoutMs: IO_TIMEOUT_MS, commandTimeoutMs: 0, stallMaxMs: 200 },
      atlas: {
        faults: [{ fault: { kind: "no-answer" }, afterMs: 300, forMs: 5000 }],
        endMs: 6000,
        errorsAllowed: true,
      },
      answered: (_now, latencyNs, error) => {
        if (error === 0) return;
        failed++;
        longestNs = Math.max(longestNs, latencyNs);
      },
    }).run();
    t.deepEqual(result.violations, []);
    t.true(failed >= 8, `${failed} requests failed`);
    t.true(longestNs >= IO_TIMEOUT_MS * 1e6 && longestNs < (IO_TIMEOUT_MS + 50) * 1e6, `${longestNs / 1e6} ms`);
  });
}
