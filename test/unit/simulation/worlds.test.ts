// A few dozen worlds, so that `npm test` notices at once what `npm run simulate` would find in minutes.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { type ClusterScenario, clusterScenarios } from "../../simulation/cluster/cluster-scenarios.ts";
import { ClusterWorld } from "../../simulation/cluster/cluster-world.ts";
import { World } from "../../simulation/world.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));

test("the same seed gives the same world", (t) => {
  for (const seed of [3, 14]) t.deepEqual(new World(seed, module).run(), new World(seed, module).run());
});

test("fifty worlds", (t) => {
  for (let seed = 5000; seed < 5050; seed++) t.deepEqual(new World(seed, module).run().violations, [], `seed ${seed}`);
});

test("the same seed gives the same world of two hosts", (t) => {
  for (const seed of [3, 14]) t.deepEqual(new ClusterWorld(seed, module).run(), new ClusterWorld(seed, module).run());
});

const SCENARIOS: readonly { readonly what: string; readonly scenario: ClusterScenario; readonly seeds: number[] }[] = [
  {
    what: "a grant from before a preemption, that comes when the reservation is lost with the power, lets no old write through",
    scenario: "an-old-grant",
    seeds: [2846, 10, 20, 30, 31, 52],
  },
  {
    what: "of writes from before a preemption that come to an idle path at once, behind a loss of power, none lands",
    scenario: "a-burst-on-an-idle-path",
    seeds: [4, 5, 6, 7, 8, 9],
  },
  {
    what: "what a killed daemon had sent does not land behind a preemption, although its host is let in again",
    scenario: "leftovers-of-a-preempted-host",
    seeds: [1, 2, 3, 4, 5, 6],
  },
];

for (const { what, scenario, seeds } of SCENARIOS) {
  test(what, (t) => {
    for (const seed of seeds) {
      const world = new ClusterWorld(seed, module, undefined, clusterScenarios[scenario]);
      t.deepEqual(world.run().violations, [], `seed ${seed}`);
    }
  });
}

test("twenty worlds of two hosts that preempt each other", (t) => {
  for (let seed = 5000; seed < 5020; seed++) {
    t.deepEqual(new ClusterWorld(seed, module).run().violations, [], `seed ${seed}`);
  }
});
