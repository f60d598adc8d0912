// A unit that gets another size under load, without any fault: what it has is read and written, what it does not have is refused
// as being past the end, and no path is blamed. All times are virtual.

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
]);
const BLOCKS = 4000;
const CHANGE_MS = 300;
const START_NS = 1_000_000_000;
/** By then control has told the core. */
const KNOWN_NS = START_NS + (CHANGE_MS + 250) * 1e6;

const some = (errors: readonly string[]): string[] => [...new Set(errors)].toSorted();

/** The errors that clients got before and after the change was known, by command. */
function run(blocks: number) {
  const plan = steadyPlan({ policy: abi.POLICY_ADAPTIVE, blocks: BLOCKS, requests: 3000 });
  const most = Math.max(BLOCKS, blocks);
  const clients = plan.clients.map((client) => ({
    ...client,
    plan: { ...client.plan, mix: { read: 6, write: 4, flush: 1, zero: 1 } },
  }));
  const blamed: number[] = [];
  const capacity: number[] = [];
  const before: string[] = [];
  const after: string[] = [];
  let late = 0;
  const result = new World(5, module, {
    plan: {
      ...plan,
      clients,
      windows: [{ first: 0, count: most }],
      resizes: [{ unit: 0, atMs: CHANGE_MS, blocks }],
    },
    atlas: { faults: [], endMs: 4000, errorsAllowed: false },
    answered: (nowNs, _latencyNs, error, command) => {
      if (nowNs > KNOWN_NS) late++;
      if (error === 0) return;
      if (nowNs < START_NS + CHANGE_MS * 1e6) before.push(`${command}: ${error}`);
      else if (nowNs > KNOWN_NS) after.push(`${command}: ${error}`);
    },
    told: ({ kind }) => {
      if (BLAME.has(kind)) blamed.push(kind);
      if (kind === abi.EVENT_CAPACITY_CHANGED) capacity.push(kind);
    },
  }).run();
  return { result, blamed, capacity, late, before: some(before), after: some(after) };
}

const PAST_THE_END = [`${NBD.read}: ${NBD.einval}`, `${NBD.write}: ${NBD.enospc}`, `${NBD.writeZeroes}: ${NBD.enospc}`];

test("a unit that grows is used to its new end, and nobody is refused any more", (t) => {
  const { result, blamed, capacity, late, before, after } = run(2 * BLOCKS);
  t.deepEqual(result.violations, []);
  t.true(capacity.length > 0);
  t.true(late > 1000, `${late} requests after the change`);
  t.deepEqual(before, PAST_THE_END);
  t.deepEqual(after, []);
  t.deepEqual(blamed, []);
});

test("what a unit has lost is past the end, on every path: no path is blamed for it, and the rest goes on", (t) => {
  const { result, blamed, capacity, late, before, after } = run(BLOCKS / 2);
  t.deepEqual(result.violations, []);
  t.true(capacity.length > 0);
  t.true(late > 1000, `${late} requests after the change`);
  t.deepEqual(before, []);
  t.deepEqual(after, PAST_THE_END);
  t.deepEqual(blamed, []);
});
