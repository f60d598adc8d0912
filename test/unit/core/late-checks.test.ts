// Checks that end late or not well, and what they then say of their path.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";
import { FLUSH, READ, TRIM, replies, request } from "./fixtures/nbd-client.ts";
import { INQUIRY, NAA, TUR, read, scene, type Scene } from "./fixtures/scene.ts";
import { check, type Scsi } from "./fixtures/scsi.ts";

const GIVEN_UP = { hostStatus: 3 };
const PROBED = abi.PATH_FLAG_UNVERIFIED | abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_FAILED;

/** A unit of one path, and a check of it that is not answered. */
function silentCheck(): Scene & { held: Scsi; path: number } {
  const s = scene(NAA, 1);
  s.host.settle();
  const held: Scsi[] = [];
  s.faults.set(0, (command) => {
    if (!command.check || held.length > 0) return undefined;
    held.push(command);
    return "hang";
  });
  for (let i = 0; i < 600 && held.length === 0; i++) s.host.advance(100);
  const [command] = held;
  if (command === undefined) throw new Error("nothing was checked");
  return { ...s, held: command, path: s.paths[0] ?? -1 };
}

test("a check that the host gives up in the end does not fail a path that has answered I/O since", (t) => {
  const { path, held, ...s } = silentCheck();
  t.is(read(s.host, s.unit), 0);
  s.host.advance(30_000);
  t.is(s.host.flags(path) & PROBED, 0);
  s.host.events.length = 0;
  s.seen.length = 0;
  s.host.answer(held, GIVEN_UP);
  s.host.settle();
  t.deepEqual(s.seen, [], "nothing is to be found out");
  s.host.advance(100);
  t.is(s.host.flags(path) & PROBED, 0);
  const kinds = s.host.kinds();
  for (const kind of [abi.EVENT_FAILBACK_STARTED, abi.EVENT_PATH_ERROR_CHECK]) t.false(kinds.includes(kind));
  t.is(read(s.host, s.unit), 0);
});

test("a path that an operator has made failed is not asked when its lost check comes back at last", (t) => {
  const { host, path, held, seen } = silentCheck();
  host.advance(30_000);
  t.truthy(host.flags(path) & abi.PATH_FLAG_FAILED);
  host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
  const before = seen.length;
  host.answer(held, GIVEN_UP);
  host.advance(60_000);
  t.is(seen.length, before);
  t.truthy(host.flags(path) & abi.PATH_FLAG_FAILED);
});

for (const residual of [-1, -0x8000_0000, 4097, 0x7fff_ffff]) {
  test(`a page that comes with the impossible residual ${residual} is not believed, though it names the unit`, (t) => {
    const { host, unit, paths, faults, seen, disk } = scene(NAA, 1);
    faults.set(0, (command) => {
      if (command.cdb[0] !== INQUIRY) return undefined;
      return { ...disk.execute(host, command), residual };
    });
    t.is(read(host, unit), undefined);
    t.false(seen.some(({ operation }) => operation === 0x88));
    t.truthy(host.flags(paths[0] ?? -1) & PROBED);
    faults.clear();
    host.advance(20_000);
    t.is(read(host, unit), 0);
  });
}

test("where nobody has told the size of a block a path is asked whether it is ready, and nothing is read from it", (t) => {
  const host = new Host();
  host.keepLog = true;
  const unit = host.must(host.core.unitAdd());
  host.must(host.core.unitSet(unit, abi.UNIT_SET_PATROL_READ, 1n));
  host.must(host.core.pathAdd(unit, 0, 0, 1, 1, 8));
  host.advance(60_000);
  t.true(host.log.length > 0);
  t.true(host.log.every(({ cdb }) => cdb[0] === TUR));
});

test("without any time for a path to come, I/O waits for the identity that is being asked for", (t) => {
  const { host, unit, paths, faults, disk } = scene(NAA, 1);
  let held: Scsi | undefined;
  faults.set(0, (command) => {
    if (command.cdb[0] !== INQUIRY || held !== undefined) return undefined;
    held = command;
    return "hang";
  });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 0n));
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  host.settle();
  // Control looks at the paths anew meanwhile.
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_CONTROLLER, 5n));
  host.advance(100);
  t.deepEqual(client.received, []);
  if (held === undefined) return t.fail();
  host.answer(held, disk.execute(host, held));
  host.settle();
  t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, 0);
});

test("what a failed path refuses afterwards does not hide why it has failed", (t) => {
  const s = scene();
  s.host.settle();
  const [first = -1] = s.paths;
  s.faults.set(0, (command) => (command.check ? undefined : "hang"));
  const client = s.host.connect(s.unit);
  client.send(request(READ, 1n, 0n, 512), request(READ, 2n, 512n, 512));
  s.host.settle();
  const [one, two] = s.host.outstanding.filter((command) => !command.check);
  if (one === undefined || two === undefined) return t.fail();
  s.host.answer(one, { hostStatus: 1 });
  s.host.settle();
  t.truthy(s.host.flags(first) & abi.PATH_FLAG_FAILED);
  s.host.answer(two, check(4, 0x44, 0));
  s.host.settle();
  const lengths = new Map([1n, 2n].map((cookie) => [cookie, 512] as const));
  t.deepEqual(
    replies(client.received, lengths).map(({ error }) => error),
    [0, 0],
  );
  t.is(s.host.pathField(first, abi.PATH_LAST_HOST_STATUS) & 0xffff, 1);
  t.is(s.host.pathField(first, abi.PATH_LAST_SENSE), 0);
});

test("a command that is to go out again on its path waits while the path has more than it may have", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit({ paths: 1, depth: 8 });
  host.device = (command) => (command.check ? {} : undefined);
  const client = host.connect(unit);
  for (const cookie of [1n, 2n, 3n]) client.send(request(READ, cookie, cookie * 4096n, 512));
  host.settle();
  t.is(host.outstanding.length, 3);
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_DEPTH, 1n));
  const [first, second, third] = host.outstanding.slice();
  if (first === undefined || second === undefined || third === undefined) return t.fail();
  host.answer(first, check(0x0b, 0x47, 0));
  host.settle();
  t.deepEqual(host.outstanding, [second, third]);
  host.answer(second, {});
  host.settle();
  t.deepEqual(host.outstanding, [third], "one is as many as it may have");
  host.answer(third, {});
  host.advance(500);
  const [again] = host.outstanding;
  if (again === undefined) return t.fail();
  t.is(host.outstanding.length, 1);
  host.answer(again, {});
  host.settle();
  const lengths = new Map([1n, 2n, 3n].map((cookie) => [cookie, 512] as const));
  t.deepEqual(
    replies(client.received, lengths).map(({ cookie, error }) => [cookie, error]),
    [
      [2n, 0],
      [3n, 0],
      [1n, 0],
    ],
  );
});

test("a TRIM is a hint: a device that does not know UNMAP after all has done nothing wrong", (t) => {
  const { host, unit, paths, faults, disk } = scene([], 2, abi.UNIT_CAN_UNMAP);
  disk.media.fill(7);
  let asked = 0;
  for (const port of [0, 1]) {
    faults.set(port, ({ cdb }) => {
      if (cdb[0] !== 0x42) return undefined;
      asked++;
      return check(5, 0x20, 0);
    });
  }
  const client = host.connect(unit);
  client.send(request(TRIM, 1n, 0n, 4096));
  host.advance(10);
  t.is(replies(client.received)[0]?.error, 0);
  t.is(asked, 1);
  t.true(disk.media.every((byte) => byte === 7));
  for (const path of paths) t.is(host.flags(path) & abi.PATH_FLAG_FAILED, 0);
});

test("a path that is being removed is not checked any more, whatever is in doubt, and goes with its last command", (t) => {
  const s = scene();
  s.host.settle();
  const [path = -1] = s.paths;
  s.faults.set(0, () => "hang");
  const client = s.host.connect(s.unit);
  client.send(request(READ, 1n, 0n, 512));
  s.host.settle();
  const [io] = s.host.outstanding;
  if (io === undefined) return t.fail();
  s.host.must(s.host.core.pathRemove(path));
  s.host.must(s.host.core.pathSet(path, abi.PATH_SET_UNVERIFIED, 1n));
  s.seen.length = 0;
  s.host.settle();
  t.deepEqual(s.seen, []);
  t.truthy(s.host.flags(path) & abi.PATH_FLAG_REMOVING);
  s.host.answer(io, s.disk.execute(s.host, io));
  s.host.settle();
  t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, 0);
  t.is(s.host.flags(path), 0);
});

test("patrol leaves a path alone that is being removed, however long its last command takes", (t) => {
  const s = scene();
  s.host.settle();
  const [path = -1] = s.paths;
  s.faults.set(0, (command) => (command.check ? undefined : "hang"));
  const client = s.host.connect(s.unit);
  client.send(request(READ, 1n, 0n, 512));
  s.host.advance(100);
  const held = s.host.outstanding.filter(({ port }) => port === 0);
  t.true(held.length > 0);
  s.host.must(s.host.core.pathRemove(path));
  s.host.settle();
  s.seen.length = 0;
  s.host.advance(30_000);
  t.false(s.seen.some(({ port }) => port === 0));
  t.truthy(s.host.flags(path) & abi.PATH_FLAG_REMOVING);
  for (const { tag } of s.host.resets.splice(0)) s.host.complete(tag, 0);
  for (const command of held) s.host.answer(command, s.disk.execute(s.host, command));
  s.host.settle();
  t.is(s.host.flags(path), 0);
});

test("a flush that the host gives up blames no path that has answered others since, and is carried out after all", (t) => {
  const s = scene([], 1, abi.UNIT_CAN_CACHE_WRITES);
  const [path = -1] = s.paths;
  let lost: Scsi | undefined;
  s.faults.set(0, (command) => {
    if (command.cdb[0] !== 0x91 || lost !== undefined) return undefined;
    lost = command;
    return "hang";
  });
  const client = s.host.connect(s.unit);
  client.send(request(FLUSH, 1n, 0n, 0));
  s.host.advance(10);
  t.is(read(s.host, s.unit), 0);
  if (lost === undefined) return t.fail();
  s.host.answer(lost, GIVEN_UP);
  s.host.advance(1000);
  t.is(replies(client.received)[0]?.error, 0);
  t.is(s.disk.flushes, 1);
  t.is(s.host.pathCount64(path, abi.PATH_ERRORS), 0n);
  t.is(s.host.flags(path) & PROBED, 0);
});

test("a path that an operator has made failed is not brought back by a check that was under way", (t) => {
  for (const identity of [NAA, []]) {
    const { host, unit, paths, faults } = scene(identity, 1);
    const [path = -1] = paths;
    host.settle();
    const held: Scsi[] = [];
    faults.set(0, (command) => {
      if (!command.check || command.cdb[0] !== TUR) return undefined;
      held.push(command);
      return "hang";
    });
    for (let i = 0; i < 600 && held.length === 0; i++) host.advance(100);
    const [command] = held;
    if (command === undefined) return t.fail("nothing was checked");
    faults.clear();
    host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
    host.events.length = 0;
    host.answer(command, {});
    host.advance(60_000);
    t.truthy(host.flags(path) & abi.PATH_FLAG_FAILED);
    t.false(host.kinds().includes(abi.EVENT_FAILBACK_DONE));
    host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 0n));
    host.advance(1000);
    t.is(read(host, unit), 0, "it is when he says so");
  }
});
