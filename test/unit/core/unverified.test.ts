// A path in doubt gets no I/O until an identity check that was asked after the doubt arose has been answered well.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { READ, request } from "./fixtures/nbd-client.ts";
import type { Scene } from "./fixtures/scene.ts";
import { INQUIRY, OTHER, TUR, read, scene } from "./fixtures/scene.ts";
import type { Scsi } from "./fixtures/scsi.ts";
import { check } from "./fixtures/scsi.ts";

const MEDIUM_READ = 0x88;
const LUNS_CHANGED = check(6, 0x3f, 0x0e);

const first = (s: Scene): number => s.paths[0] ?? -1;
const onPort0 = (s: Scene): number[] => s.seen.filter((one) => one.port === 0).map((one) => one.operation);
const unverified = (s: Scene): boolean => (s.host.flags(first(s)) & abi.PATH_FLAG_UNVERIFIED) !== 0;

/** Two reads in flight on port 0, whose first is answered with a unit attention; its INQUIRY is out. */
function unverifiedScene(): { s: Scene; reads: Scsi[]; inquiries: Scsi[] } {
  const s = scene();
  s.host.advance(100);
  const reads: Scsi[] = [];
  const inquiries: Scsi[] = [];
  s.faults.set(0, (command) => {
    if (command.check && command.cdb[0] === INQUIRY) inquiries.push(command);
    else if (!command.check) reads.push(command);
    return "hang";
  });
  const client = s.host.connect(s.unit);
  client.send(request(READ, 2n, 0n, 512), request(READ, 4n, 0n, 512));
  s.host.settle();
  const [read1] = reads;
  if (read1 === undefined || reads.length !== 2) throw new Error("two reads were to be on port 0");
  s.host.answer(read1, LUNS_CHANGED);
  s.host.settle();
  return { s, reads, inquiries };
}

test("the answer to an identity check says nothing about a doubt that arose after it was sent", (t) => {
  const { s, reads, inquiries } = unverifiedScene();
  const [, read2] = reads;
  const [inquiry1] = inquiries;
  if (read2 === undefined || inquiry1 === undefined) return t.fail();
  s.host.answer(read2, LUNS_CHANGED);
  s.host.settle();
  s.seen.length = 0;
  // The page is that of the mapping before the second step.
  s.host.answer(inquiry1, s.disk.execute(s.host, inquiry1));
  s.host.settle();
  t.true(unverified(s));
  const [, inquiry2] = inquiries;
  if (inquiry2 === undefined) return t.fail();
  read(s.host, s.unit);
  t.deepEqual(onPort0(s), [INQUIRY]);
  s.host.answer(inquiry2, new Disk(1 << 20, 512, OTHER).execute(s.host, inquiry2));
  s.host.settle();
  t.truthy(s.host.flags(first(s)) & abi.PATH_FLAG_WRONG_UNIT);
  t.false(onPort0(s).includes(MEDIUM_READ));
});

test("a failed path whose identity was asked before it was to come back still has to pass its health check", (t) => {
  const { s, reads, inquiries } = unverifiedScene();
  const [, read2] = reads;
  const [inquiry1] = inquiries;
  if (read2 === undefined || inquiry1 === undefined) return t.fail();
  s.host.answer(read2, { hostStatus: 0x0e });
  s.host.settle();
  s.host.must(s.host.core.pathSet(first(s), abi.PATH_SET_FAILED, 0n));
  s.host.answer(inquiry1, s.disk.execute(s.host, inquiry1));
  s.host.settle();
  t.truthy(s.host.flags(first(s)) & abi.PATH_FLAG_FAILED);
  t.is(onPort0(s).at(-1), TUR);
});

for (const [asc, ascq, changed] of [
  [0x29, 0x00, true],
  [0x29, 0x01, true],
  [0x29, 0x04, true],
  [0x29, 0x07, true],
  [0x29, 0x02, false],
  [0x29, 0x03, false],
] as const) {
  const code = `${asc.toString(16)}/${ascq.toString(16).padStart(2, "0")}`;
  test(`unit attention ${code}: ${changed ? "the path may have been away, and is asked who it is" : "a reset leads nowhere else"}`, (t) => {
    for (const byCheck of [false, true]) {
      const s = scene();
      s.host.advance(100);
      s.seen.length = 0;
      let told = false;
      const wrong = new Disk(1 << 20, 512, OTHER);
      s.faults.set(0, (command) => {
        if (told && changed) return wrong.execute(s.host, command);
        if (told || command.check !== byCheck) return undefined;
        told = true;
        return check(6, asc, ascq);
      });
      if (byCheck) s.host.advance(12_000);
      else t.is(read(s.host, s.unit), 0);
      s.host.advance(100);
      t.true(told);
      t.is((s.host.flags(first(s)) & abi.PATH_FLAG_WRONG_UNIT) !== 0, changed);
      if (byCheck) continue;
      t.deepEqual(onPort0(s), changed ? [MEDIUM_READ, INQUIRY] : [MEDIUM_READ, MEDIUM_READ]);
      t.false(s.host.kinds().includes(abi.EVENT_INQUIRY_CHANGED), "there is nothing for control to look for");
    }
  });
}

test("the only path, in doubt for a moment, holds the command that told of it, without a word and without an error", (t) => {
  const s = scene(undefined, 1);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 0n));
  s.host.advance(100);
  s.host.kinds();
  let left = 3;
  s.faults.set(0, (command) => (!command.check && left-- > 0 ? check(6, 0x29, 0) : undefined));
  t.is(read(s.host, s.unit), 0);
  const kinds = s.host.kinds();
  for (const kind of [abi.EVENT_FAILOVER_FAILED, abi.EVENT_FAILOVER_STARTED, abi.EVENT_NO_PATH_WAITING])
    t.false(kinds.includes(kind), `event ${kind}`);
  // When the doubt proves right there is no path, and no time to wait for one.
  left = 1;
  s.faults.set(0, (command) => {
    if (!command.check) return check(6, 0x29, 7);
    return command.cdb[0] === INQUIRY ? new Disk(1 << 20, 512, OTHER).execute(s.host, command) : undefined;
  });
  t.is(read(s.host, s.unit), 5);
});

for (const [ms, asked] of [
  [300, false],
  [3000, true],
] as const) {
  test(`a path that was silent for ${ms} ms and answers again is ${asked ? "asked who it is before it gets more" : "used at once"}`, (t) => {
    const s = scene();
    s.host.must(s.host.core.modeSet(abi.MODE_PATROL, 0n));
    for (let i = 0; i < 50; i++) read(s.host, s.unit);
    const held: Scsi[] = [];
    s.faults.set(0, (command) => {
      held.push(command);
      return "hang";
    });
    const client = s.host.connect(s.unit);
    client.send(request(READ, 2n, 0n, 512));
    s.host.advance(ms);
    t.truthy(s.host.flags(first(s)) & abi.PATH_FLAG_STALLED);
    const wrong = new Disk(1 << 20, 512, OTHER);
    s.faults.set(0, (command) => (asked ? wrong.execute(s.host, command) : undefined));
    s.seen.length = 0;
    for (const command of held) s.host.answer(command, s.disk.execute(s.host, command));
    s.host.settle();
    t.is(read(s.host, s.unit), 0);
    t.deepEqual(onPort0(s), [asked ? INQUIRY : MEDIUM_READ]);
    t.is(s.host.flags(first(s)) & abi.PATH_FLAG_STALLED, 0);
    t.is((s.host.flags(first(s)) & abi.PATH_FLAG_WRONG_UNIT) !== 0, asked);
  });
}

test("a path that an operator enables again is asked who it is before it gets I/O", (t) => {
  const s = scene();
  s.host.advance(100);
  s.host.must(s.host.core.pathSet(first(s), abi.PATH_SET_ENABLED, 0n));
  s.host.advance(60_000);
  const wrong = new Disk(1 << 20, 512, OTHER);
  s.faults.set(0, (command) => wrong.execute(s.host, command));
  s.seen.length = 0;
  s.host.must(s.host.core.pathSet(first(s), abi.PATH_SET_ENABLED, 1n));
  t.is(read(s.host, s.unit), 0);
  t.deepEqual(onPort0(s), [INQUIRY]);
  t.truthy(s.host.flags(first(s)) & abi.PATH_FLAG_WRONG_UNIT);
  // One that was not disabled goes on without a pause.
  s.seen.length = 0;
  s.host.must(s.host.core.pathSet(s.paths[1] ?? -1, abi.PATH_SET_ENABLED, 1n));
  t.is(read(s.host, s.unit), 0);
  t.deepEqual(s.seen, [{ port: 1, operation: MEDIUM_READ }]);
});

test("a doubt that control tells of stops I/O on the path until it was asked who it is", (t) => {
  const s = scene();
  s.host.advance(100);
  t.false(unverified(s));
  const other = new Disk(1 << 20, 512, OTHER);
  s.faults.set(0, (command) => other.execute(s.host, command));
  s.seen.length = 0;
  s.host.must(s.host.core.pathSet(first(s), abi.PATH_SET_UNVERIFIED, 1n));
  t.true(unverified(s));
  for (let i = 0; i < 4; i++) t.is(read(s.host, s.unit), 0);
  t.truthy(s.host.flags(first(s)) & abi.PATH_FLAG_WRONG_UNIT);
  t.false(onPort0(s).includes(MEDIUM_READ));
});

test("a check that is told of changed LUNs is followed at once by the one that says where the path leads", (t) => {
  const s = scene();
  s.host.advance(100);
  s.seen.length = 0;
  const answers = [LUNS_CHANGED];
  s.faults.set(0, (command) => (command.cdb[0] === TUR ? answers.pop() : undefined));
  // Patrol comes by; the answer to the identity check is looked at no later than it.
  while (answers.length > 0) s.host.advance(1);
  t.true(onPort0(s).includes(INQUIRY));
  t.false(unverified(s));
  t.is(read(s.host, s.unit), 0);
  t.true(onPort0(s).includes(MEDIUM_READ));
});

test("from the moment that a check is told of changed LUNs no I/O goes by that path", (t) => {
  const s = scene();
  s.host.advance(100);
  const answers = [LUNS_CHANGED];
  s.faults.set(0, (command) => {
    if (command.cdb[0] === INQUIRY) return "hang";
    return command.cdb[0] === TUR ? answers.pop() : undefined;
  });
  while (answers.length > 0) s.host.advance(1);
  t.true(unverified(s));
  s.seen.length = 0;
  t.is(read(s.host, s.unit), 0);
  t.deepEqual(onPort0(s), []);
});
