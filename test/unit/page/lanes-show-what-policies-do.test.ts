// The simulator's lanes: the shipped core (build/core.wasm) with an emulated array, as a browser runs them.

import { readFileSync } from "node:fs";
import test from "ava";
import { POLICY_ADAPTIVE, POLICY_COUNT, POLICY_ROUND_ROBIN, POLICY_STATIC } from "../../../host/abi.ts";
import { Lane, PATHS } from "../../../host/page/model/lane.ts";
import { COLUMN_NS, Tally } from "../../../host/page/model/tally.ts";

const core = new WebAssembly.Module(readFileSync(new URL("../../../build/core.wasm", import.meta.url)));
const SECOND_NS = 1e9;

function after(lane: Lane, seconds: number) {
  lane.advanceTo(lane.nowNs + seconds * SECOND_NS);
  return lane.tally.figures;
}

test("with one slow path adaptive is far ahead of round-robin, and static uses one path alone", (t) => {
  const figures = [POLICY_STATIC, POLICY_ROUND_ROBIN, POLICY_ADAPTIVE].map((policy) => {
    const lane = new Lane(core, policy, 7);
    lane.slow(3, 8);
    const { perSecond, p99Us } = after(lane, 3);
    return { perSecond, p99Us, used: lane.paths.filter(({ ios }) => ios > 0).length };
  });
  const [alone, inTurn, adaptive] = figures;
  t.is(alone?.used, 1);
  t.is(inTurn?.used, PATHS);
  t.true((adaptive?.perSecond ?? 0) > 3 * (inTurn?.perSecond ?? Infinity), JSON.stringify(figures));
  t.true((adaptive?.p99Us ?? Infinity) * 2 < (inTurn?.p99Us ?? 0), JSON.stringify(figures));
});

test("a silent path and a dead controller fail no request; what is repaired comes back by itself", (t) => {
  const lane = new Lane(core, POLICY_ADAPTIVE, 3);
  after(lane, 1);
  lane.trouble(0, "silent");
  t.is(after(lane, 4).failed, 0);
  t.is(lane.paths[0]?.mark.word, "failed");
  lane.trouble(0, "gone");
  lane.trouble(2, "gone");
  const half = after(lane, 3);
  t.is(half.failed, 0);
  t.true(half.perSecond > 0);
  t.deepEqual(
    lane.paths.map(({ mark }) => mark.tone),
    ["bad", "good", "bad", "good"],
  );
  for (const path of [0, 2]) lane.trouble(path, "none");
  after(lane, 5);
  t.true(
    lane.paths.every(({ mark }) => mark.tone === "good"),
    JSON.stringify(lane.paths),
  );
});

test("every policy and every trouble runs, and the same seed gives the same lane", (t) => {
  for (let policy = 0; policy < POLICY_COUNT; policy++) {
    const [one, other] = [1, 2].map(() => {
      const lane = new Lane(core, policy, 11);
      for (const [path, trouble] of (["sometimes", "errors", "flapping"] as const).entries())
        lane.trouble(path, trouble);
      lane.depth = 3;
      return after(lane, 1);
    });
    t.deepEqual(one, other);
    t.true((one?.perSecond ?? 0) > 0, String(policy));
  }
});

test("moments without an answer are told as such", (t) => {
  const tally = new Tally(0);
  tally.add(2_000_000, true);
  tally.reach(3 * COLUMN_NS);
  t.deepEqual(
    tally.history.map((us) => us !== null),
    [true, false, false],
  );
  t.is(tally.figures.failed, 0);
  tally.add(1000, false);
  t.is(tally.figures.failed, 1);
});
