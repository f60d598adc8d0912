// What each simple policy promises about shares and order.

import test from "ava";
import fc from "fast-check";
import * as abi from "../../../host/abi.ts";
import { Bed, slotsOf } from "./bed.ts";

const pathCount = fc.integer({ min: 1, max: 32 });

test("static: the highest priority carries everything, the next one when it is not allowed", (t) => {
  const bed = new Bed(4, abi.POLICY_STATIC);
  t.deepEqual([bed.send(), bed.send(), bed.send(4096, 0, 0b0111), bed.send()], [3, 3, 2, 3]);
  t.is(bed.policies.usedSlots(bed.s), 0b1000);
  bed.policies.setPath(bed.s, 1, 200, 1);
  t.is(bed.send(), 1);
});

test("round robin: in order of priority, highest first, then from the start again", (t) => {
  const bed = new Bed(3, abi.POLICY_ROUND_ROBIN);
  t.deepEqual(
    Array.from({ length: 7 }, () => bed.send()),
    [2, 1, 0, 2, 1, 0, 2],
  );
});

test("round robin: shares differ by one turn at most, for every number of I/Os in a turn", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(pathCount, fc.integer({ min: 0, max: 9 }), fc.nat(500), (paths, ios, sent) => {
        const bed = new Bed(paths, abi.POLICY_ROUND_ROBIN, ios);
        for (let count = 0; count < sent; count++) bed.send();
        const shares = bed.inFlight().slice(0, paths);
        return Math.max(...shares) - Math.min(...shares) <= Math.max(1, ios);
      }),
    ),
  );
});

test("round robin by bytes: the turn passes once so many bytes went out", (t) => {
  const bed = new Bed(2, abi.POLICY_ROUND_ROBIN, 0, 65536);
  const picks = [65536, 4096, 32768, 32768, 65536].map((bytes) => bed.send(bytes));
  t.deepEqual(picks, [1, 0, 0, 0, 1]);
});

test("round robin: a path that comes and goes does not disturb whose turn it is", (t) => {
  const bed = new Bed(4, abi.POLICY_ROUND_ROBIN);
  t.deepEqual([bed.send(), bed.send()], [3, 2]);
  bed.policies.setUsable(bed.s, 0b0111);
  t.deepEqual([bed.send(), bed.send(), bed.send()], [1, 0, 2]);
});

test("round robin over a subset: only the subset, all the others when none of it is left", (t) => {
  const bed = new Bed(6, abi.POLICY_ROUND_ROBIN_SUBSET, 0b010110);
  t.deepEqual(
    Array.from({ length: 5 }, () => bed.send()),
    [4, 2, 1, 4, 2],
  );
  t.is(bed.policies.usedSlots(bed.s), 0b010110);
  bed.policies.setUsable(bed.s, 0b101001);
  t.deepEqual([...new Set(Array.from({ length: 6 }, () => bed.send()))].toSorted(), [0, 3, 5]);
  t.true(slotsOf(0b101001).includes(bed.send(4096, 0, 0b001000)));
});

const load = fc.array(
  fc.record({ bytes: fc.constantFrom(512, 4096, 131072), allowed: fc.integer({ min: 1 }), done: fc.nat(5) }),
  { maxLength: 200 },
);

/** Drives a bed; `check` sees the slot and what was in flight before it was picked. */
function drive(
  bed: Bed,
  paths: number,
  steps: readonly { bytes: number; allowed: number; done: number }[],
  check: (slot: number, others: number[], inFlight: number[], bytes: number[]) => boolean,
): boolean {
  return steps.every(({ bytes, allowed, done }) => {
    const open = slotsOf(allowed).filter((slot) => slot < paths);
    if (open.length === 0) return true;
    bed.nowNs += 1000;
    const before = bed.inFlight();
    const bytesBefore = bed.inFlightBytes().map((sum) => sum + bytes);
    const slot = bed.send(bytes, 0, allowed);
    if (done < bed.commands.length) bed.finish(done);
    return check(slot, open, before, bytesBefore);
  });
}

function least(values: readonly number[], open: readonly number[]): number {
  return Math.min(...open.map((slot) => values[slot] ?? 0));
}

test("least in flight and least sectors: never a path when another allowed one has less", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(pathCount, load, (paths, steps) => {
        return (
          drive(new Bed(paths, abi.POLICY_LEAST_IN_FLIGHT), paths, steps, (slot, open, inFlight) => {
            return inFlight[slot] === least(inFlight, open);
          }) &&
          drive(new Bed(paths, abi.POLICY_LEAST_SECTORS), paths, steps, (slot, open, _inFlight, bytes) => {
            return bytes[slot] === least(bytes, open);
          })
        );
      }),
    ),
  );
});

test("service time: never a path when another allowed one has less bytes over weight", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(pathCount, load, (paths, steps) => {
        const bed = new Bed(paths, abi.POLICY_SERVICE_TIME);
        for (let slot = 0; slot < paths; slot++) bed.policies.setPath(bed.s, slot, slot + 1, 1 + slot * 3);
        return drive(bed, paths, steps, (slot, open, _inFlight, bytes) => {
          const score = (path: number): number => (bytes[path] ?? 0) / (1 + path * 3);
          return score(slot) <= Math.min(...open.map(score)) * 1.000001;
        });
      }),
    ),
  );
});

test("historical service time: the paths that answer faster get more", (t) => {
  const bed = new Bed(2, abi.POLICY_HISTORICAL_SERVICE_TIME);
  const shares = [0, 0];
  for (let count = 0; count < 1000; count++) {
    const slot = bed.send();
    shares[slot] = (shares[slot] ?? 0) + 1;
    bed.nowNs += slot === 0 ? 100_000 : 400_000;
    bed.finish(0);
  }
  t.true((shares[0] ?? 0) > 990, `shares ${shares.join(", ")}`);
});

test("weighted: every share stays within one I/O per path of what the weights say, at every moment", (t) => {
  const weights = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 32 });
  t.notThrows(() =>
    fc.assert(
      fc.property(weights, fc.nat(2000), (ws, sent) => {
        const bed = new Bed(ws.length, abi.POLICY_WEIGHTED);
        ws.forEach((weight, slot) => bed.policies.setPath(bed.s, slot, slot + 1, weight));
        const total = ws.reduce((sum, weight) => sum + weight, 0);
        for (let count = 0; count < sent; count++) bed.send();
        const shares = bed.inFlight();
        return ws.every((weight, slot) => Math.abs((shares[slot] ?? 0) - (sent * weight) / total) <= ws.length);
      }),
    ),
  );
});

test("weighted: a path that comes back neither floods nor starves, also past the rebase of the numbers", (t) => {
  const bed = new Bed(2, abi.POLICY_WEIGHTED);
  bed.policies.setUsable(bed.s, 0b01);
  for (let count = 0; count < 5000; count++) bed.send();
  bed.policies.setUsable(bed.s, 0b11);
  const picks = Array.from({ length: 100 }, () => bed.send());
  t.is(picks.filter((slot) => slot === 1).length, 50);
});

test("affinity: a connection keeps its path; only those of a lost path move, and they come home", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 32 }), fc.nat(31), (paths, lostAt) => {
        const lost = lostAt % paths;
        const bed = new Bed(paths, abi.POLICY_AFFINITY);
        const all = paths === 32 ? 0xffffffff : 2 ** paths - 1;
        const homes = (): number[] => Array.from({ length: 100 }, (_, c) => bed.send(4096, 0, 0xffffffff, c));
        const before = homes();
        bed.policies.setUsable(bed.s, (all & ~(1 << lost)) >>> 0);
        const during = homes();
        bed.policies.setUsable(bed.s, all);
        const shares = slotsOf(all).map((slot) => before.filter((home) => home === slot).length);
        return (
          before.every((home, c) => (home === lost ? during[c] !== lost : during[c] === home)) &&
          homes().every((home, c) => home === before[c]) &&
          Math.max(...shares) - Math.min(...shares) <= 1
        );
      }),
    ),
  );
});

test("power of two: never the fullest path when all others have less, and every path is drawn", (t) => {
  const bed = new Bed(8, abi.POLICY_POWER_OF_TWO);
  const seen = new Set<number>();
  for (let count = 0; count < 500; count++) {
    const before = bed.inFlight().slice(0, 8);
    const most = Math.max(...before);
    const slot = bed.send();
    seen.add(slot);
    if (before.filter((commands) => commands === most).length === 1) t.not(before[slot], most);
  }
  t.is(seen.size, 8);
});

test("least sectors: gigabytes in flight on a path still count", (t) => {
  for (const far of [2, 17]) {
    const bed = new Bed(20, abi.POLICY_LEAST_SECTORS);
    for (const [slot, commands] of [
      [0, 3000],
      [1, 2048],
      [far, 1500],
    ] as const) {
      for (let i = 0; i < commands; i++) bed.send(1 << 20, 0, 1 << slot);
    }
    t.deepEqual([bed.send(512, 0, (1 << far) | 0b011), bed.send(512, 0, 0b011)], [far, 1]);
  }
});

for (const busy of [0, 1]) {
  test(`historical service time counts what is already in flight when it is chosen: on slot ${busy}`, (t) => {
    const bed = new Bed(2, abi.POLICY_STATIC);
    for (let i = 0; i < 3; i++) bed.send(4096, 0, 1 << busy);
    t.is(bed.policies.configure(bed.s, abi.POLICY_HISTORICAL_SERVICE_TIME, 0, 0), 0);
    t.deepEqual([bed.send(), bed.send()], [1 - busy, 1 - busy]);
  });
}
