// What a policy cannot take is refused, and everything stays as it was.

import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Bed } from "./bed.ts";

const refused = -abi.ERROR_RANGE;

/** The next picks of a bed, to see that nothing changed. */
function picks(bed: Bed): number[] {
  return Array.from({ length: 8 }, () => bed.send());
}

const impossible: readonly [string, number, number, number][] = [
  ["a policy that does not exist", abi.POLICY_COUNT, 0, 0],
  ["a policy far out of range", 0xffffffff, 0, 0],
  ["a turn of too many I/Os", abi.POLICY_ROUND_ROBIN, 1_000_001, 0],
  ["a subset without a path of the unit", abi.POLICY_ROUND_ROBIN_SUBSET, 0b110000, 0],
  ["a subset with a turn of too many I/Os", abi.POLICY_ROUND_ROBIN_SUBSET, 0b11, 1_000_001],
  ["a history of 100 %", abi.POLICY_HISTORICAL_SERVICE_TIME, 100, 0],
  ["a second parameter where there is none", abi.POLICY_HISTORICAL_SERVICE_TIME, 50, 1],
  ["a parameter for a policy without any", abi.POLICY_ADAPTIVE, 1, 0],
  ["a parameter for static", abi.POLICY_STATIC, 0, 7],
];

for (const [what, policy, parameter, parameter2] of impossible) {
  test(`${what} is refused; the old policy stays`, (t) => {
    const bed = new Bed(4, abi.POLICY_ROUND_ROBIN, 2);
    t.is(bed.send(), 3);
    t.is(bed.policies.configure(bed.s, policy, parameter, parameter2), refused);
    t.deepEqual(picks(bed), [3, 2, 2, 1, 1, 0, 0, 3]);
  });
}

test("a parameter the policy in force does not take is refused; the old one stays", (t) => {
  const bed = new Bed(4, abi.POLICY_ROUND_ROBIN, 2);
  t.is(bed.policies.setParameter(bed.s, 0, 2_000_000), refused);
  t.is(bed.policies.setParameter(bed.s, 2, 1), refused);
  t.deepEqual(picks(bed), [3, 3, 2, 2, 1, 1, 0, 0]);
  t.is(bed.policies.setParameter(bed.s, 0, 1), 0);
  t.deepEqual(picks(bed), [3, 2, 1, 0, 3, 2, 1, 0]);
});

test("a weight of 0, one too large, a priority of 0 or 255 are refused; the old ones stay", (t) => {
  const bed = new Bed(2, abi.POLICY_WEIGHTED);
  t.is(bed.policies.setPath(bed.s, 0, 1, 3), 0);
  for (const [priority, weight] of [
    [1, 0],
    [1, 65536],
    [0, 1],
    [255, 1],
  ] as const) {
    t.is(bed.policies.setPath(bed.s, 0, priority, weight), refused);
  }
  t.is(picks(bed).filter((slot) => slot === 0).length, 6);
});

test("a path beyond the last slot is refused, and no other one takes its place", (t) => {
  const bed = new Bed(2, abi.POLICY_STATIC);
  for (const slot of [abi.PATHS_PER_UNIT_MAX, 0xffffffff]) t.is(bed.policies.setPath(bed.s, slot, 254, 1), refused);
  t.deepEqual(picks(bed), [1, 1, 1, 1, 1, 1, 1, 1]);
});

test("a unit without a usable path uses none", (t) => {
  const bed = new Bed(2, abi.POLICY_STATIC);
  t.is(bed.policies.usedSlots(bed.s), 0b10);
  bed.policies.setUsable(bed.s, 0);
  t.is(bed.policies.usedSlots(bed.s), 0);
});

test("settings can be given before the paths are there", (t) => {
  const bed = new Bed(0, abi.POLICY_STATIC);
  t.is(bed.policies.configure(bed.s, abi.POLICY_ROUND_ROBIN_SUBSET, 0b100, 0), 0);
});
