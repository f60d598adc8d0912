// A device that takes seconds for a flush or a zeroing holds nobody up but those who asked for it, and no path is blamed.
// All times are virtual.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { steadyPlan } from "../../simulation/steady.ts";
import { NBD } from "../../simulation/wire.ts";
import { World } from "../../simulation/world.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));
const BLAME = new Set([
  abi.EVENT_STALL,
  abi.EVENT_MARGINAL,
  abi.EVENT_SUSPECT,
  abi.EVENT_PATH_ERROR_IO,
  abi.EVENT_PATH_ERROR_CHECK,
  abi.EVENT_ORPHAN_SETTLED,
]);

for (const [name, policy] of [
  ["adaptive", abi.POLICY_ADAPTIVE],
  ["static", abi.POLICY_STATIC],
  ["round robin", abi.POLICY_ROUND_ROBIN],
] as const) {
  test(`flushes and zeroings of 6 s beside reads and writes: ${name}`, (t) => {
    const plan = steadyPlan({ policy, requests: 400, blocks: 200_000 });
    const clients = plan.clients.map((client) => ({
      ...client,
      plan: { ...client.plan, mix: { read: 6, write: 4, flush: 1, zero: 1 } },
    }));
    const blamed: number[] = [];
    let long = 0;
    let othersNs = 0;
    const result = new World(7, module, {
      plan: { ...plan, topology: { ...plan.topology, writeCache: true }, clients, commandTimeoutMs: 8000 },
      atlas: {
        faults: [0x91, 0x93].map((opcode) => ({ fault: { kind: "late", delayMs: 6000 }, when: { opcode } })),
        endMs: 120_000,
        errorsAllowed: false,
      },
      answered: (_now, latencyNs, _error, command) => {
        if (command === NBD.flush || command === NBD.writeZeroes) long++;
        else othersNs = Math.max(othersNs, latencyNs);
      },
      told: ({ kind }) => {
        if (BLAME.has(kind)) blamed.push(kind);
      },
    }).run();
    t.deepEqual(result.violations, []);
    t.is(result.errors, 0);
    t.true(long > 20, `${long} long commands`);
    t.deepEqual(blamed, []);
    t.true(othersNs < 1_000_000_000, `${othersNs / 1e6} ms`);
  });
}
