// What goes to paths that answer nothing, to find out whether they are back: little, and less each time.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { scene } from "./fixtures/holes.ts";
import { READ, request } from "./fixtures/nbd-client.ts";

test("silent paths get what is on another one already at a pace that halves, and soon hardly anything", (t) => {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 0n));
  s.holes.add(0).add(1);
  for (let i = 0n; i < 40n; i++) s.client.send(request(READ, 2n * i, i * 4096n, 4096));
  s.host.advance(60);
  const counts: number[] = [];
  for (let second = 0; second < 6; second++) {
    const before = s.held.length;
    s.host.advance(1000);
    counts.push(s.held.length - before);
  }
  const [first = 0, ...others] = counts;
  t.true(first >= 4 && first <= 16, `${first} in the first second`);
  // One a second for each path.
  t.true(
    others.every((count) => count <= 4),
    others.join(),
  );
  t.true(
    others.slice(0, 3).every((count) => count >= 1),
    others.join(),
  );
});
