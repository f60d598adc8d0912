// A few rounds of the endurance test; a hundred by hand (docs/rig.md).

import assert from "node:assert/strict";
import { endurance } from "../lib/endurance.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio-mapped", paths: 4, timeLimitS: 200 };

test("ext4 with verified load survives random faults and a killed daemon", async () => {
  const result = await endurance({ rounds: 5, seed: 7, kills: 1 }, console.log);
  assert.equal(result.errors, 0);
});
