// Units that move from reactor to reactor: each answer is counted where it was given, also by what a unit was there before, and what one
// core finds out about a path does not count against that of another. All times are virtual.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { steadyPlan } from "../../simulation/steady.ts";
import { World } from "../../simulation/world.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));

test("an answer that is on its way while the unit leaves is no answer too many", (t) => {
  const steady = steadyPlan({ policy: abi.POLICY_ADAPTIVE, requests: 400, blocks: 200_000 });
  const plan = { ...steady, reactors: 2, movesMs: [60], patrolMs: 20 };
  for (const seed of [10, 11, 12]) {
    const atlas = { faults: [], endMs: 1000, errorsAllowed: false };
    const { violations, errors } = new World(seed, module, { plan, atlas }).run();
    t.deepEqual(violations, [], `seed ${seed}`);
    t.is(errors, 0);
  }
});

for (const [title, seeds] of [
  ["a unit comes back to a reactor before what it was there is gone", [697]],
  ["an answer is on its way while its unit leaves", [1232, 5417]],
  ["a path is a suspect for a while beside a long command", [922]],
] as const) {
  test(`worlds of several reactors: ${title}`, (t) => {
    for (const seed of seeds) {
      t.deepEqual(new World(seed, module, { reactors: true }).run().violations, [], `seed ${seed}`);
    }
  });
}
