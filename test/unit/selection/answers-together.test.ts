// A host that looks for answers now and then finds many of them at the same time: that does not make their path a quick one.

import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Bed } from "./bed.ts";

const STEP_NS = 31_250;
const IN_FLIGHT = 64;

/** Two paths that carry out a command each STEP_NS, and answer so many at a time; returns how many each has answered. */
function load(together: readonly [number, number], turns: number): { bed: Bed; answered: [number, number] } {
  const bed = new Bed(2, abi.POLICY_ADAPTIVE);
  for (let i = 0; i < IN_FLIGHT; i++) bed.send(i % 3 === 0 ? 65536 : 4096);
  const answered: [number, number] = [0, 0];
  const next: [number, number] = [bed.nowNs + STEP_NS * together[0], bed.nowNs + STEP_NS * together[1]];
  for (let turn = 0; turn < turns; turn++) {
    const slot = next[0] <= next[1] ? 0 : 1;
    bed.nowNs = next[slot];
    let count = 0;
    while (count < together[slot]) {
      const at = bed.commands.findIndex((command) => command.slot === slot);
      if (at < 0) break;
      bed.finish(at);
      count++;
    }
    answered[slot] += count;
    for (let i = 0; i < count; i++) bed.send((turn + i) % 3 === 0 ? 65536 : 4096);
    next[slot] = bed.nowNs + STEP_NS * together[slot];
  }
  return { bed, answered };
}

for (const [first, second] of [
  [1, 1],
  [4, 1],
  [16, 1],
  [1, 16],
  [16, 16],
] as const) {
  test(`paths as quick as each other, one answers ${first} at a time and one ${second}: each carries half of the I/O`, (t) => {
    const { bed, answered } = load([first, second], 8000 * Math.max(first, second) ** 0.5);
    const share = answered[0] / (answered[0] + answered[1]);
    t.true(share > 0.4 && share < 0.6, `${Math.round(share * 100)} %: ${answered}`);
    // As one server: a command each STEP_NS; as several at a time: so many times as long.
    for (const slot of [0, 1]) t.true(bed.policies.serviceNs(bed.s, slot) > STEP_NS / 4);
  });
}
