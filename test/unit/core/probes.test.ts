// What goes to paths that answer nothing, to find out whether they are back: little, and less each time.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { scene } from "./fixtures/holes.ts";
import { READ, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const READ_16 = 0x88;

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

test("a path that was found silent is used again as soon as the READ that it was asked by is answered", (t) => {
  const s = scene();
  const [first = -1] = s.paths;
  const stalled = (): number => s.host.flags(first) & abi.PATH_FLAG_STALLED;
  const checks: Scsi[] = [];
  s.host.device = (command) => {
    if (command.port !== 0) return s.disk.execute(s.host, command);
    (command.check ? checks : s.held).push(command);
    return undefined;
  };
  s.client.send(request(READ, 2n, 0n, 512));
  s.host.advance(200);
  t.truthy(stalled());
  const [check] = checks;
  if (check === undefined) return t.fail("it was not asked");
  t.is(check.cdb[0], READ_16);
  s.host.answer(check, s.disk.execute(s.host, check));
  s.host.settle();
  t.is(stalled(), 0);
  t.is(s.host.flags(first) & abi.PATH_FLAG_FAILED, 0);
});

test("without a second command slot a silent command is not sent again until another one is free", (t) => {
  const s = scene(2, 0, { commands: 2 });
  s.holes.add(0).add(1);
  for (const cookie of [2n, 4n]) s.client.send(request(READ, cookie, 0n, 512));
  s.host.advance(200);
  t.is(s.held.length, 2);
  s.holes.clear();
  const [first] = s.held;
  if (first === undefined) return t.fail();
  s.host.answer(first, s.disk.execute(s.host, first));
  s.host.advance(200);
  t.is(s.client.received.filter((part) => part.length === 512).length, 2, "both are answered");
});

test("a silent path half of whose depth is unanswered gets nothing more", (t) => {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 0n));
  for (const path of s.paths) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_DEPTH, 8n));
  s.holes.add(0).add(1);
  for (let i = 0n; i < 3n; i++) s.client.send(request(READ, 2n * i, i * 4096n, 4096));
  let most = 0;
  for (let second = 0; second < 20; second++) {
    s.host.advance(1000);
    for (const path of s.paths) most = Math.max(most, s.host.pathField(path, abi.PATH_ORPHANS));
  }
  t.is(most, 5, "the fifth was the last");
});
