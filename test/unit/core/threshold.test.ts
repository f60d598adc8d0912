// The stall threshold is learned: 1.5 times what all but a thousandth of the commands stay below, to an eighth of an octave.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, request } from "./fixtures/nbd-client.ts";

const SAMPLES_MIN = 16;

interface Scene {
  readonly host: Host;
  /** So many reads, one after the other, each of which takes so long; answers the threshold then, ms. */
  readonly reads: (count: number, us: number) => number;
  /** Sets the lower bound. */
  readonly atLeast: (ms: bigint) => void;
}

function scene(stallMinMs = 1n, stallMaxMs = 60_000n): Scene {
  const host = new Host();
  host.device = ({ check }) => (check ? {} : undefined);
  const { unit } = host.unit({ paths: 1 });
  const atLeast = (ms: bigint): number => host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MIN_MS, ms));
  atLeast(stallMinMs);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, stallMaxMs));
  const client = host.connect(unit);
  const reads = (count: number, us: number): number => {
    for (let i = 0; i < count; i++) {
      client.send(request(READ, 2n, 0n, 512));
      host.settle();
      host.advance(us / 1000);
      for (const command of host.outstanding.slice()) host.answer(command, {});
      host.settle();
    }
    const at = host.core.unitTable() + unit * abi.UNIT_BYTES + abi.UNIT_STALL_NS;
    return Number(host.view.getBigUint64(at, true)) / 1e6;
  };
  return { host, reads, atLeast };
}

for (const us of [700, 1100, 1300, 1500, 1700, 1900, 2500, 5300, 9100, 17_000, 40_000, 90_000, 310_000]) {
  test(`commands that take ${us} us: the threshold is 1.5 times that, and an eighth more at most`, (t) => {
    const thresholdMs = scene().reads(SAMPLES_MIN, us);
    const least = Math.max(1, (1.5 * us) / 1000);
    t.true(thresholdMs >= least && thresholdMs <= Math.max(1, (1.5 * 1.126 * us) / 1000), `${thresholdMs} ms`);
  });
}

test("fewer than 16 commands teach nothing; the bounds hold whatever they take", (t) => {
  t.is(scene().reads(SAMPLES_MIN - 1, 1000), 500);
  t.is(scene(25n, 2000n).reads(SAMPLES_MIN, 1000), 25);
  t.is(scene(1n, 20n).reads(SAMPLES_MIN, 19_000), 20);
});

test("one slow command of a thousand is left out, two are not", (t) => {
  for (const [slow, low, high] of [
    [1, 1.5, 1.7],
    [2, 45, 51],
  ] as const) {
    const { reads, atLeast } = scene();
    reads(1100, 1000);
    // So late that it goes out again it would count otherwise.
    atLeast(50n);
    reads(slow, 30_000);
    atLeast(1n);
    const thresholdMs = reads(180, 1000);
    t.true(thresholdMs >= low && thresholdMs <= high, `${slow}: ${thresholdMs} ms`);
  }
});

test("what was slow long ago fades: after 8192 commands each counts for half", (t) => {
  const { reads, atLeast } = scene(50n);
  reads(20, 30_000);
  atLeast(1n);
  t.true(reads(3000, 1000) > 40);
  const thresholdMs = reads(30_000, 1000);
  t.true(thresholdMs < 1.7, `${thresholdMs} ms`);
});
