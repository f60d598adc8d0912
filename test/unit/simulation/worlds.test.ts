// A few dozen worlds, so that `npm test` notices at once what `npm run simulate` would find in minutes.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { ClusterPlan } from "../../simulation/cluster/cluster-plan.ts";
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

test("a grant from before a preemption, that comes when the reservation is lost with the power, lets no old write through", (t) => {
  const plan: ClusterPlan = {
    topology: {
      name: "cluster",
      units: 1,
      unitBytes: 32_768,
      controllers: 2,
      portsPerController: 2,
      initiatorPorts: 2,
      paths: 6,
      service: { latencyUs: 5000, distribution: "exponential" },
    },
    type: 5,
    persists: false,
    allTargetPorts: false,
    noPathMs: 5000,
    policy: 1,
    depth: 12,
    isCalm: false,
    spanMs: 3000,
    preemptsMs: [{ by: 0, atMs: 302, forMs: 1050 }],
    renewsMs: [],
    faults: [{ fault: { kind: "power-loss" }, afterMs: 348 }],
    controlMs: 300,
    isClusterMode: false,
    killsMs: [],
  };
  for (const seed of [2846, 10, 20, 30, 31, 52]) {
    t.deepEqual(new ClusterWorld(seed, module, undefined, plan).run().violations, [], `seed ${seed}`);
  }
});

test("twenty worlds of two hosts that preempt each other", (t) => {
  for (let seed = 5000; seed < 5020; seed++) {
    t.deepEqual(new ClusterWorld(seed, module).run().violations, [], `seed ${seed}`);
  }
});
