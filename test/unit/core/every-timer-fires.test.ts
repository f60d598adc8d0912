// Each timer fires, whatever others are armed, put off and given up.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";

test("every path is checked in each interval, whatever intervals and paths there were before", (t) => {
  const host = new Host({ paths: 24 });
  const { unit } = host.unit({ paths: 0 });
  let seed = 12_345;
  const pick = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (seed >>> 8) % below;
  };
  const paths: { path: number; priority: number }[] = [];
  const add = (): void => {
    const free = Array.from({ length: 24 }, (_, at) => at + 1).filter((one) => !paths.some((p) => p.priority === one));
    const priority = free[pick(free.length)] ?? 0;
    paths.push({ path: host.must(host.core.pathAdd(unit, 0, priority, priority, 1, 8)), priority });
  };
  const remove = (): void => {
    for (const { path } of paths.splice(pick(paths.length), 1)) host.must(host.core.pathRemove(path));
    host.settle();
  };
  const interval = (ms: number): void => void host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, BigInt(ms)));
  for (let round = 0; round < 150; round++) {
    for (let step = 0; step < 6; step++) {
      if (paths.length < 2 + pick(20)) add();
      else remove();
      if (pick(3) === 0) interval(500 + pick(20_000));
      host.advance(pick(1500));
    }
    const ms = 500 + pick(3000);
    interval(ms);
    const before = paths.map(({ path }) => host.pathCount64(path, abi.PATH_CHECKS));
    host.advance(2 * ms + 1000);
    const after = paths.map(({ path }) => host.pathCount64(path, abi.PATH_CHECKS));
    for (const [at, checks] of after.entries()) t.true(checks > (before[at] ?? 0n), `round ${round}`);
  }
});
