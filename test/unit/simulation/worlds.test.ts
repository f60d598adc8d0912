// A few dozen worlds, so that `npm test` notices at once what `npm run simulate` would find in minutes.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
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

test("twenty worlds of two hosts that preempt each other", (t) => {
  for (let seed = 5000; seed < 5020; seed++) {
    t.deepEqual(new ClusterWorld(seed, module).run().violations, [], `seed ${seed}`);
  }
});
