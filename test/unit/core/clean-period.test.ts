// How long a path is still left out is shown of one that is left out, and of no other.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { read, scene } from "./fixtures/scene.ts";

test("a path that fails after its clean period has none left", (t) => {
  const { host, unit, paths, faults } = scene();
  const [first = -1] = paths;
  host.must(host.core.modeSet(abi.MODE_MARGINAL, 1n));
  host.must(host.core.modeSet(abi.MODE_MARGINAL_COUNT, 3n));
  host.must(host.core.modeSet(abi.MODE_MARGINAL_CLEAN_S, 60n));
  host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 1000n));
  host.must(host.core.pathSet(first, abi.PATH_SET_FAULTS, 3n));
  const marginal = (): number => host.flags(first) & abi.PATH_FLAG_MARGINAL;
  const left = (): number => host.pathField(first, abi.PATH_MARGINAL_SECONDS);
  t.truthy(marginal());
  t.is(left(), 60);
  host.advance(61_000);
  t.is(marginal(), 0);
  t.is(left(), 0);
  faults.set(0, () => ({ hostStatus: 1 }));
  read(host, unit);
  for (let second = 0; second < 10; second++) {
    host.advance(1000);
    t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED);
    t.is(marginal(), 0);
    t.is(left(), 0);
  }
});

test("until the clean period is over at least a second of it is left: none is until an operator clears it", (t) => {
  const { host, paths, faults } = scene();
  const [first = -1] = paths;
  host.must(host.core.modeSet(abi.MODE_MARGINAL, 1n));
  host.must(host.core.modeSet(abi.MODE_MARGINAL_COUNT, 1n));
  host.must(host.core.modeSet(abi.MODE_MARGINAL_CLEAN_S, 2n));
  host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 100n));
  host.must(host.core.pathSet(first, abi.PATH_SET_FAULTS, 1n));
  faults.clear();
  const left = new Set<number>();
  while ((host.flags(first) & abi.PATH_FLAG_MARGINAL) !== 0) {
    left.add(host.pathField(first, abi.PATH_MARGINAL_SECONDS));
    host.advance(50);
  }
  t.deepEqual([...left], [2, 1]);
});
