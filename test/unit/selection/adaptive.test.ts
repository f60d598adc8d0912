// What adaptive promises: the fast paths get the I/O, idle ones are tried again at a bounded cost, a silent one gets none.

import test from "ava";
import fc from "fast-check";
import * as abi from "../../../host/abi.ts";
import { followChange } from "../../../bench/balance/change.ts";
import { Bed } from "./bed.ts";

/** Sends one command at a time; each takes what `serviceNs` says of its path. Answers how many each path got. */
function oneByOne(bed: Bed, count: number, serviceNs: (slot: number) => number): number[] {
  const shares = Array.from({ length: 32 }, () => 0);
  for (let i = 0; i < count; i++) {
    const slot = bed.send();
    shares[slot] = (shares[slot] ?? 0) + 1;
    bed.nowNs += serviceNs(slot);
    bed.finish(0);
  }
  return shares;
}

test("a path that is much slower is tried at a bounded cost: at most one I/O in 1024, and some to learn it", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 32 }), fc.integer({ min: 3, max: 100 }), (paths, factor) => {
        const bed = new Bed(paths, abi.POLICY_ADAPTIVE);
        const slow = paths - 1;
        const serviceNs = (slot: number): number => (slot === slow ? 100_000 * factor : 100_000);
        const learning = oneByOne(bed, 500, serviceNs)[slow] ?? 0;
        const share = oneByOne(bed, 20_480, serviceNs)[slow] ?? 0;
        return learning < 100 && share <= 20_480 / 1024 + 8;
      }),
      { numRuns: 20 },
    ),
  );
});

function fourthIsSlow(slot: number): number {
  return slot === 3 ? 5_000_000 : 100_000;
}

test("no path starves for ever: an idle one is tried again", (t) => {
  const bed = new Bed(4, abi.POLICY_ADAPTIVE);
  oneByOne(bed, 2000, fourthIsSlow);
  t.true((oneByOne(bed, 20_000, fourthIsSlow)[3] ?? 0) > 0);
});

test("a path that does not answer gets no more than a few commands, whatever the load", (t) => {
  const bed = new Bed(4, abi.POLICY_ADAPTIVE);
  oneByOne(bed, 1000, () => 100_000);
  const stuck = bed.send();
  let more = 0;
  for (let i = 0; i < 5000; i++) {
    const slot = bed.send();
    bed.nowNs += 25_000;
    if (slot === stuck) more++;
    else bed.finish(bed.commands.length - 1);
  }
  t.true(more <= 40, `${more} more commands went to a path that does not answer`);
});

test("when every path is silent commands still go out", (t) => {
  const bed = new Bed(3, abi.POLICY_ADAPTIVE);
  oneByOne(bed, 300, () => 100_000);
  for (let i = 0; i < 50; i++) {
    bed.send();
    bed.nowNs += 10_000_000;
  }
  t.is(bed.commands.length, 50);
});

test("a path that slows ten times loses its share within 32 of its completions; healed, it has it back within 1 s", (t) => {
  const { completions, backS } = followChange(7);
  t.true(completions <= 32, `${completions} completions`);
  t.true(backS <= 1, `${backS} s`);
});

test("a size that only one path was seen with does not blind the others", (t) => {
  const bed = new Bed(2, abi.POLICY_ADAPTIVE);
  oneByOne(bed, 500, () => 100_000);
  const slots = new Set<number>();
  for (let i = 0; i < 40; i++) {
    slots.add(bed.send(1 << 20));
    bed.nowNs += 1000;
  }
  t.is(slots.size, 2);
});

test("the learned service time is told, and forgotten with its path", (t) => {
  const bed = new Bed(1, abi.POLICY_ADAPTIVE);
  t.is(bed.policies.serviceNs(bed.s, 0), 0);
  oneByOne(bed, 500, () => 250_000);
  const learned = bed.policies.serviceNs(bed.s, 0);
  t.true(Math.abs(learned - 250_000) < 2500, `${learned} ns`);
  bed.policies.clearPath(bed.s, 0);
  t.is(bed.policies.serviceNs(bed.s, 0), 0);
});

test("estimates stay finite whatever the times are, and backlog ends with the commands", (t) => {
  const step = fc.record({
    waitNs: fc.oneof(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 2 ** 45 })),
    bytes: fc.constantFrom(0, 512, 65536, 1048576),
    finishes: fc.nat(3),
  });
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 400 }), (steps) => {
        const bed = new Bed(4, abi.POLICY_ADAPTIVE);
        for (const { waitNs, bytes, finishes } of steps) {
          bed.send(bytes);
          bed.nowNs += waitNs;
          for (let i = 0; i < finishes && bed.commands.length > 0; i++) bed.finish((bytes + i) % bed.commands.length);
        }
        while (bed.commands.length > 0) bed.finish(0);
        // With nothing in flight and all of it forgotten but the costs, picks still are paths, and times still numbers.
        const served = [0, 1, 2, 3].map((slot) => bed.policies.serviceNs(bed.s, slot));
        return served.every((ns) => Number.isFinite(ns)) && bed.send() < 4;
      }),
      { numRuns: 100 },
    ),
  );
});

test("a path is never taken to be freer than an idle one, whatever rounding has made of its large and small commands", (t) => {
  const bed = new Bed(2, abi.POLICY_ADAPTIVE);
  // A read of 1 MiB takes 40 s here: what 512 bytes cost beside it is lost in rounding.
  for (let i = 0; i < 3; i++) {
    bed.send(1 << 20, 0, 0b01);
    bed.nowNs += 4e10;
    bed.finish(0);
  }
  for (const bytes of [512, 1 << 20, 512]) bed.send(bytes, 0, 0b01);
  bed.nowNs += 1;
  bed.finish(1);
  bed.nowNs += 1;
  bed.finish(0);
  // One command is in flight on the first path, none on the other.
  const slots = Array.from({ length: 20 }, () => bed.send(512));
  const first = slots.filter((slot) => slot === 0).length;
  t.true(first >= 5 && first <= 15, `${first} of 20 go to the first path`);
});
