// A topology's defaults, its paths, and what is said about wrong ones.

import test from "ava";
import type { ArrayTopology } from "../../../host/array/array-topology.ts";
import { fullTopology, pathPlans } from "../../../host/array/array-topology.ts";
import { EmulatedArray } from "../../../host/array/array.ts";

test("the default is four paths over two initiator ports and two controllers, neighbours sharing neither", (t) => {
  const array = new EmulatedArray({ units: 2 });
  t.deepEqual(
    array.describe().map(({ path, controller }) => `${path} ${controller}`),
    ["4:0:0:0 0", "5:0:2:0 1", "4:0:1:0 0", "5:0:3:0 1", "4:0:0:1 0", "5:0:2:1 1", "4:0:1:1 0", "5:0:3:1 1"],
  );
});

test("every path of a unit has a path number of its own, whatever the shape", (t) => {
  for (const controllers of [1, 2, 3]) {
    for (const initiatorPorts of [1, 2, 4]) {
      for (const paths of [1, 2, 5, 8, 12, 32]) {
        const topology: ArrayTopology = { units: 3, controllers, initiatorPorts, paths };
        const plans = pathPlans(fullTopology(topology));
        t.is(new Set(plans.map(({ initiatorPort, targetPort }) => `${initiatorPort} ${targetPort}`)).size, paths);
        t.is(new Set(new EmulatedArray(topology).ports.map((port) => port.pathNumber)).size, 3 * paths);
      }
    }
  }
});

test("ports are numbered through several arrays, and faults find theirs by name", (t) => {
  const array = new EmulatedArray([
    { name: "one", units: 1, paths: 2 },
    { name: "two", units: 1, paths: 2, firstHost: 8 },
  ]);
  t.deepEqual(
    array.describe().map(({ port, array: name }) => [port, name]),
    [
      [0, "one"],
      [1, "one"],
      [2, "two"],
      [3, "two"],
    ],
  );
  array.addFault({ fault: { kind: "port-down" }, where: { array: "two" } });
  t.deepEqual(
    array.ports.map((port) => port.faults !== null),
    [false, false, true, true],
  );
});

test("wrong topologies name the parameter, the value and the range", (t) => {
  const wrong: [ArrayTopology | ArrayTopology[], RegExp][] = [
    [{ units: 0 }, /units: 0 is not a whole number from 1 to 4096/],
    [{ units: 1, blockBytes: 520 }, /blockBytes: 520 is neither 512 nor 4096/],
    [{ units: 1, unitBytes: 1000 }, /unitBytes: 1000 is not a multiple of blockBytes 512/],
    [{ units: 1, paths: 33 }, /paths: 33/],
    [{ units: 1, paths: 9, portsPerController: 2 }, /paths: 9 is more than .* = 8; raise one/],
    [{ units: 1, name: "" }, /name/],
    [{ units: 1, commands: "6-byte" as "all" }, /commands: "6-byte" is neither "all" nor "10-byte"/],
    [{ units: 1, service: { latencyUs: -1 } }, /latencyUs: -1/],
    [{ units: 1, service: { parallelism: 0 } }, /parallelism: 0 is not a whole number from 1/],
    [[{ units: 1 }, { units: 1 }], /"array0" is used twice/],
    [JSON.parse('{"units":1,"access":"none"}') as ArrayTopology, /access: "none"/],
  ];
  for (const [topology, message] of wrong) {
    t.throws(() => new EmulatedArray(topology), { code: "ARRAY_TOPOLOGY", message });
  }
});
