// What a daemon that is killed leaves under way: it goes on, answers nobody, and is ended by what ends any command.

import test from "ava";
import { cdbs, pattern, quietArray, readBack, RingSide } from "./fixture.ts";

const ZERO = new Uint8Array(512);
const DATA = pattern(512, 9);
const silent = { kind: "no-answer", execution: "on-lift" } as const;

/** A write on a silent port, and a read behind it; then the next daemon. */
function killed(): { next: RingSide; fault: number } {
  const first = new RingSide(quietArray({ units: 2 }));
  const fault = first.array.addFault({ fault: silent, where: { port: 0 } });
  first.submit(0, 0, cdbs.write16(0, 1), DATA, 5000);
  first.submit(1, 0, cdbs.read16(8, 1), 512, 5000);
  first.turn();
  // What was not taken yet dies with the daemon.
  first.submit(2, 1, cdbs.write16(0, 1), pattern(512, 5), 5000);
  return { next: new RingSide(first.array, 64, "under-way"), fault };
}

const hasLeftovers = (rings: RingSide): boolean[] => rings.array.units.map((unit) => rings.array.hasLeftovers(unit));

test("a write is carried out late, when the port answers again; nobody gets an answer", (t) => {
  const { next, fault } = killed();
  t.deepEqual(hasLeftovers(next), [true, false]);
  next.at(2000).turn();
  t.deepEqual(readBack(next), ZERO);
  next.array.liftFault(fault);
  t.deepEqual(next.at(2001).turn(), []);
  t.deepEqual(readBack(next), DATA);
  t.deepEqual(hasLeftovers(next), [false, false]);
});

test("a write that the kernel gives up first never lands", (t) => {
  const { next, fault } = killed();
  t.is(next.deadlineMs, 6000);
  t.deepEqual(next.at(6000).turn(), []);
  t.deepEqual(hasLeftovers(next), [false, false]);
  next.array.liftFault(fault);
  next.at(6001).turn();
  t.deepEqual(readBack(next), ZERO);
});

test("the next daemon's own commands are nobody's leftovers", (t) => {
  const { next } = killed();
  next.at(6000).turn();
  next.submit(0, 0, cdbs.write16(0, 1), DATA, 5000).turn();
  t.deepEqual(hasLeftovers(next), [false, false]);
});

test("attached anew without word of it, what was under way is forgotten", (t) => {
  const { next, fault } = killed();
  const third = new RingSide(next.array);
  t.deepEqual(hasLeftovers(third), [false, false]);
  third.array.liftFault(fault);
  third.at(2000).turn();
  t.deepEqual(readBack(third), ZERO);
});
