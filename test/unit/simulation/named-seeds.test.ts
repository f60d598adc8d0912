// Seeds of the simulation that once failed, each with its story, and a few dozen worlds besides: so that `npm test`
// notices at once what `npm run simulate` would find in minutes.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { World } from "../../simulation/world.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));

const stories: readonly { readonly seed: number; readonly story: string }[] = [
  { seed: 53, story: "a path that answers nothing and one that answers late, while a third is given to another unit" },
  { seed: 108, story: "two faults lead one LUN elsewhere and are lifted in the order in which they came" },
  { seed: 121, story: "a LUN is given to another unit while writes are in flight on it" },
  { seed: 345, story: "requests whose only answer comes after their deadline" },
];

for (const { seed, story } of stories) {
  test(`seed ${seed}: ${story}`, (t) => {
    t.deepEqual(new World(seed, module).run().violations, []);
  });
}

test("the same seed gives the same world", (t) => {
  for (const seed of [3, 14]) t.deepEqual(new World(seed, module).run(), new World(seed, module).run());
});

test("fifty more worlds", (t) => {
  for (let seed = 5000; seed < 5050; seed++) t.deepEqual(new World(seed, module).run().violations, [], `seed ${seed}`);
});
