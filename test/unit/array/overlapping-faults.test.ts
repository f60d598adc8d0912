// Faults of one kind on one thing at the same time: the latest wins, and lifting them in any order ends where it began.
// Both were found by the simulation.

import test from "ava";
import { cdbs, pattern, quietArray, RingSide, sense, STATUS_GOOD } from "./fixture.ts";

const DATA = pattern(512, 5);
const ZERO = new Uint8Array(512);

test("a LUN that two faults lead elsewhere leads home when both are lifted, whichever goes first", (t) => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const array = quietArray({ units: 2 });
    const where = { port: 0 };
    const ids = [
      array.addFault({ fault: { kind: "remap", unit: null, silent: true }, where }),
      array.addFault({ fault: { kind: "remap", unit: 1, silent: true }, where }),
    ];
    t.is(array.command(0, cdbs.testUnitReady).status, STATUS_GOOD);
    for (const index of order) array.liftFault(ids[index] ?? 0);
    array.command(1, cdbs.write16(0, 1), DATA);
    t.deepEqual(array.command(0, cdbs.read16(0, 1), 512).data, DATA);
  }
});

test("a port group that two faults put into other states has its own again when both are lifted", (t) => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const array = quietArray({ units: 1 });
    const ids = [3, 2].map((state) =>
      array.addFault({ fault: { kind: "alua", state, silent: true }, where: { controller: 0 } }),
    );
    t.deepEqual(sense(array.command(0, cdbs.read16(0, 1), 512)), [2, 4, 0x0b]);
    for (const index of order) array.liftFault(ids[index] ?? 0);
    t.is(array.command(0, cdbs.read16(0, 1), 512).status, STATUS_GOOD);
  }
});

test("a write accepted before its LUN was led elsewhere does not reach the other unit", (t) => {
  const rings = new RingSide(quietArray({ units: 2, service: { latencyUs: 10_000 } }));
  rings.submit(0, 0, cdbs.write16(0, 1), DATA, 500);
  rings.turn();
  rings.at(1005).array.addFault({ fault: { kind: "remap", unit: 1 }, where: { port: 0 } });
  const [finished] = rings.at(1020).turn();
  t.is(finished?.hostStatus, 0x0e);
  t.deepEqual(rings.array.command(4, cdbs.read16(0, 1), 512).data, ZERO);
});
