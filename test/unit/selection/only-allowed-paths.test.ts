// Every policy picks only slots that are usable and allowed, whatever came before, and keeps count of what is in flight.

import test from "ava";
import fc from "fast-check";
import { POLICY_POWER_OF_TWO, POLICY_ROUND_ROBIN_SUBSET } from "../../../host/abi.ts";
import { allPolicies, Bed, slotsOf } from "./bed.ts";

const step = fc.record({
  usable: fc.integer({ min: 0, max: 0xffffffff }),
  allowed: fc.integer({ min: 0, max: 0xffffffff }),
  bytes: fc.constantFrom(0, 512, 4096, 65536, 1048576),
  write: fc.constantFrom(0, 1),
  affinity: fc.nat(1000),
  waitNs: fc.constantFrom(0, 1000, 100_000, 50_000_000, 5_000_000_000),
  finishes: fc.nat(3),
  good: fc.constantFrom(0, 1),
  policy: fc.constantFrom(...allPolicies),
  change: fc.nat(9),
});

test("a pick is usable and allowed; in flight is counted across changes of policy and paths", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32 }), fc.array(step, { maxLength: 120 }), (paths, steps) => {
        const bed = new Bed(paths, steps[0]?.policy ?? 0);
        const present = paths === 32 ? 0xffffffff : 2 ** paths - 1;
        let usable = present;
        for (const now of steps) {
          bed.nowNs += now.waitNs;
          if (now.change === 0 && bed.policies.setPolicy(bed.s, now.policy) !== 0) return false;
          if (now.change === 1 && (now.usable & present) !== 0) {
            usable = (now.usable & present) >>> 0;
            bed.policies.setUsable(bed.s, usable);
          }
          const open = (now.allowed & usable) >>> 0;
          if (open === 0) continue;
          const slot = bed.send(now.bytes, now.write, now.allowed, now.affinity);
          if (((open >>> slot) & 1) === 0) return false;
          for (let count = 0; count < now.finishes && bed.commands.length > 0; count++) {
            bed.finish((now.affinity + count) % bed.commands.length, now.good);
          }
          const expected = bed.inFlight();
          if (slotsOf(present).some((path) => bed.policies.inFlight(bed.s, path) !== expected[path])) return false;
        }
        while (bed.commands.length > 0) bed.finish(0);
        return slotsOf(present).every((path) => bed.policies.inFlight(bed.s, path) === 0);
      }),
      { numRuns: 300 },
    ),
  );
});

test("round robin over a subset leaves it for a command that has failed on all of it, and only for that", (t) => {
  const bed = new Bed(4, POLICY_ROUND_ROBIN_SUBSET, 0b0011);
  t.deepEqual(
    [0b1111, 0b1111, 0b1100, 0b1000, 0b1111, 0b1101].map((allowed) => bed.send(4096, 0, allowed)),
    [1, 0, 2, 3, 1, 0],
  );
});

test("a pick without any allowed path is a fault of the caller, and is caught", (t) => {
  const bed = new Bed(4, 0);
  t.throws(() => bed.send(4096, 0, 0xf0), { message: /assertion/ });
});

test("a command that finishes twice is caught", (t) => {
  const bed = new Bed(4, 3);
  const slot = bed.send();
  bed.finish(0);
  t.throws(() => bed.policies.finish(bed.s, slot, 4096, 0, 1000, 1, bed.nowNs, 0), { message: /assertion/ });
});

function picksOf(seed: bigint): number[] {
  const bed = new Bed(8, POLICY_POWER_OF_TWO, 0, 0, seed);
  return Array.from({ length: 100 }, () => bed.send());
}

test("same seed, same picks; another seed, others", (t) => {
  t.deepEqual(picksOf(7n), picksOf(7n));
  t.notDeepEqual(picksOf(7n), picksOf(8n));
});
