// Paths that lose a command and answer others: they are no black holes, and what they lost is settled by the mildest means.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { type Scene, errors, idle, scene } from "./fixtures/holes.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const EIO = 5;
const TIMED_OUT = { hostStatus: 3 };

/** Port 0 swallows the next write and answers everything else. */
function loseOneWrite(s: Scene): void {
  let lost = false;
  s.host.device = (command) => {
    if (lost || command.port !== 0 || command.check || command.cdb[0] !== 0x8a) return s.disk.execute(s.host, command);
    lost = true;
    s.held.push(command);
    return undefined;
  };
}

/** A write of 512 bytes at 0 that port 0 loses; then reads, so that it answers others. */
function lostWrite(s: Scene): void {
  loseOneWrite(s);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.advance(1);
  for (let i = 0; i < 5; i++) {
    s.client.send(request(READ, 2n, 8192n, 512));
    s.host.advance(1);
  }
  s.host.advance(100);
}

const stalled = (s: Scene): number => s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED;
const failed = (s: Scene): number => s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_FAILED;

test("the only path loses a command and answers others: it goes out again there, and the path is not stalled", (t) => {
  const s = scene(1);
  lostWrite(s);
  t.true(errors(s.client).some(([cookie, error]) => cookie === 1n && error === 0));
  t.is(stalled(s), 0);
  t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS), 1);
});

test("a lost command that the host gives up in the end does not fail a path that answers others", (t) => {
  const s = scene(1);
  lostWrite(s);
  for (const command of s.held) s.host.answer(command, TIMED_OUT);
  s.host.settle();
  t.is(failed(s), 0);
  t.deepEqual(idle(s), s.free);
});

test("the same outcome fails a path that has answered nothing since", (t) => {
  const s = scene(1);
  s.holes.add(0);
  s.client.send(request(READ, 2n, 0n, 512));
  s.host.advance(100);
  const [first] = s.held;
  if (first === undefined) return t.fail();
  s.host.answer(first, TIMED_OUT);
  s.host.settle();
  t.truthy(failed(s));
});

test("a lost write that others wait for is settled by a reset of the unit by its path, once, and nothing larger", (t) => {
  const s = scene(2);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LOST_RESET_MS, 3000n));
  lostWrite(s);
  errors(s.client);
  s.client.send(request(WRITE, 3n, 0n, 512), Buffer.alloc(512, 2));
  s.host.advance(2800);
  t.deepEqual(s.host.resets, []);
  s.host.advance(200);
  t.deepEqual(
    s.host.resets.map(({ port, scope }) => [port, scope]),
    [[0, abi.RESET_DEVICE]],
  );
  t.deepEqual(errors(s.client), []);
  s.host.complete(s.host.resets[0]?.tag ?? 0, 0);
  s.host.advance(1);
  t.deepEqual(errors(s.client), [[3n, 0]]);
  t.is(s.disk.media[0], 2);
  // The host keeps the command it has lost: its slot stays taken, but nobody needs a further reset.
  s.host.advance(120_000);
  t.is(s.host.resets.length, 1);
  t.not(s.host.core.inspect(1), s.free[1]);
});

test("a unit reset that fails is not followed by a larger one for a lost command before its full time", (t) => {
  const s = scene(2);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 600_000n));
  lostWrite(s);
  errors(s.client);
  s.client.send(request(WRITE, 3n, 0n, 512), Buffer.alloc(512, 2));
  s.host.advance(2100);
  t.is(s.host.resets.length, 1);
  s.host.complete(s.host.resets[0]?.tag ?? 0, -5);
  s.host.advance(25_000);
  t.is(s.host.resets.length, 1);
  s.host.advance(5000);
  t.is(s.host.resets[1]?.scope, abi.RESET_TARGET);
});

test("after a reset that fails its path is asked nothing that it would not be asked without", (t) => {
  const s = scene(2);
  lostWrite(s);
  s.client.send(request(WRITE, 3n, 0n, 512), Buffer.alloc(512, 2));
  s.host.advance(2100);
  s.host.keepLog = true;
  s.host.complete(s.host.resets[0]?.tag ?? 0, -5);
  s.host.advance(1000);
  t.deepEqual(s.host.log, []);
});

test("nothing is reset early for an orphan that nobody waits for, nor by a path that answers nothing", (t) => {
  const alone = scene(2);
  lostWrite(alone);
  alone.host.advance(25_000);
  t.deepEqual(alone.host.resets, []);
  const silent = scene(2);
  silent.holes.add(0);
  silent.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  silent.host.advance(100);
  silent.client.send(request(WRITE, 3n, 0n, 512), Buffer.alloc(512, 2));
  silent.host.advance(25_000);
  t.deepEqual(silent.host.resets, []);
  t.deepEqual(errors(silent.client), [[1n, 0]]);
  silent.host.advance(6000);
  t.is(silent.host.resets.length, 1, "after the full time");
});

for (const returned of [true, false]) {
  test(`overlapping writes that are both lost go on after a reset ${returned ? "that returns them" : "alone"}`, (t) => {
    const s = scene(2);
    let losing = true;
    s.host.device = (command) => {
      if (!losing || command.port !== 0 || command.cdb[0] !== 0x8a) return s.disk.execute(s.host, command);
      s.held.push(command);
      return undefined;
    };
    s.client.send(request(WRITE, 1n, 0n, 1024), Buffer.alloc(1024, 1), request(WRITE, 3n, 512n, 1024));
    s.client.send(Buffer.alloc(1024, 2), request(READ, 2n, 8192n, 512));
    s.host.advance(1);
    s.client.send(request(READ, 2n, 8192n, 512));
    s.host.advance(500);
    t.is(s.held.length, 2);
    t.false(errors(s.client).some(([cookie]) => cookie !== 2n));
    losing = false;
    s.host.advance(2500);
    t.is(s.host.resets.length, 1);
    s.host.complete(s.host.resets[0]?.tag ?? 0, 0);
    if (returned) for (const command of s.held) s.host.answer(command, { hostStatus: 8 });
    s.host.advance(200);
    t.deepEqual(errors(s.client).toSorted(), [
      [1n, 0],
      [3n, 0],
    ]);
    t.is(s.disk.media[0], 1);
    t.is(s.disk.media[1536 - 1], 2);
    if (!returned) for (const command of s.held) s.host.answer(command, TIMED_OUT);
    s.host.settle();
    t.deepEqual(idle(s), s.free);
  });
}

test("a path that answers TEST UNIT READY but no I/O stays avoided, fails, and is back when a READ is answered", (t) => {
  const s = scene(2);
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL, 3n));
  let hangs = true;
  const checks: number[] = [];
  s.host.device = (command) => {
    if (command.port !== 0) return s.disk.execute(s.host, command);
    if (command.check) checks.push(command.cdb[0] ?? -1);
    return hangs && command.cdb[0] !== 0 ? undefined : s.disk.execute(s.host, command);
  };
  s.client.send(request(READ, 2n, 0n, 512));
  s.host.advance(9000);
  t.true(errors(s.client).some(([, error]) => error === 0));
  t.truthy(stalled(s));
  t.deepEqual([...new Set(checks)], [0x88], "it is asked by READ");
  s.host.advance(6000);
  t.truthy(failed(s));
  for (const command of s.host.outstanding.slice()) s.host.answer(command, TIMED_OUT);
  s.host.advance(9000);
  t.truthy(failed(s), "TEST UNIT READY does not bring it back");
  hangs = false;
  for (const command of s.host.outstanding.slice()) s.host.answer(command, {});
  s.host.advance(12_000);
  t.is(failed(s), 0);
  t.is(stalled(s), 0);
});

test("while every path is stalled a piece goes to the one that answered last, at a slowing pace", (t) => {
  const s = scene(2);
  s.holes.add(0).add(1);
  s.client.send(request(READ, 2n, 0n, 512));
  s.host.advance(10_000);
  t.true(s.held.length > 2, "each path is tried again");
  t.true(s.held.length <= 8, `${s.held.length} times`);
  t.is(new Set(s.held.map((command) => command.buffer)).size, s.held.length);
  for (const [bytes, times] of [[1 << 20, 4]] as const) {
    const large = scene(2);
    large.holes.add(0).add(1);
    large.client.send(request(READ, 2n, 0n, bytes));
    large.host.advance(10_000);
    t.true(large.held.length <= times, `a large one ${large.held.length} times`);
  }
});

test("paths that are all stalled are used again as soon as one of them answers", (t) => {
  const s = scene(2);
  const client = s.host.connect(s.unit);
  s.holes.add(0).add(1);
  s.client.send(request(READ, 2n, 0n, 512));
  s.host.advance(60);
  s.holes.clear();
  client.send(request(READ, 4n, 0n, 512));
  s.host.advance(100);
  t.is(replies(client.received, new Map([[4n, 512]]))[0]?.error, 0);
  t.deepEqual(errors(s.client), [[2n, 0]]);
});

test("a READ or WRITE has the configured time in the host, other commands that of their request", (t) => {
  const s = scene(2, abi.UNIT_CAN_UNMAP);
  s.host.keepLog = true;
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_COMMAND_TIMEOUT_MS, 7000n));
  s.client.send(request(READ, 2n, 0n, 512), request(4, 3n, 0n, 4096));
  s.host.advance(1);
  t.is(s.host.log.find((command) => command.cdb[0] === 0x88)?.timeoutMs, 7001);
  t.is(s.host.log.find((command) => command.cdb[0] === 0x42)?.timeoutMs, 60_001);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_COMMAND_TIMEOUT_MS, 0n));
  s.host.log.length = 0;
  s.client.send(request(READ, 4n, 0n, 512));
  s.host.advance(1);
  t.is(s.host.log[0]?.timeoutMs, 60_001);
  t.is(s.host.core.unitSet(s.unit, abi.UNIT_SET_COMMAND_TIMEOUT_MS, 86_400_001n), -abi.ERROR_RANGE);
});

test("a command in flight at the deadline does not fail a path that answers others", (t) => {
  const s = scene(1);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 2000n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MIN_MS, 0n));
  loseOneWrite(s);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.advance(10);
  s.client.send(request(READ, 2n, 8192n, 512));
  s.host.advance(3000);
  t.deepEqual(errors(s.client).toSorted(), [
    [1n, EIO],
    [2n, 0],
  ]);
  t.is(failed(s), 0);
});

test("a write that one path refused and the other lost goes out again, though nothing else is under way", (t) => {
  const s = scene(2);
  s.host.keepLog = true;
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_STATIC)));
  const first = new Set([0, 1]);
  s.host.device = (command) => {
    if (command.check || command.cdb[0] !== 0x8a || !first.delete(command.port)) return s.disk.execute(s.host, command);
    return command.port === 0 ? { status: 8 } : undefined;
  };
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.advance(200);
  t.deepEqual(errors(s.client), [[1n, 0]]);
  t.is(s.host.log.filter((command) => command.check).length, 1, "its READ has shown that the path answers");
});

test("a path that lost everything for a moment, its check too, is back when the check has ended; what waits goes on", (t) => {
  const s = scene(2);
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL, 2n));
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 600_000n));
  let hole = true;
  const lost: Scsi[] = [];
  s.host.device = (command) => {
    if (!hole || command.port !== 0) return s.disk.execute(s.host, command);
    lost.push(command);
    return undefined;
  };
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.advance(600);
  hole = false;
  t.deepEqual(errors(s.client), [[1n, 0]]);
  s.client.send(request(WRITE, 3n, 0n, 512), Buffer.alloc(512, 2));
  s.host.advance(9600);
  t.truthy(failed(s));
  t.deepEqual(s.host.resets, []);
  const check = lost.find((command) => command.check);
  if (check === undefined) return t.fail();
  s.host.answer(check, TIMED_OUT);
  s.host.advance(10);
  t.is(failed(s), 0, "asked again at once");
  t.is(s.host.resets.length, 1);
  s.host.complete(s.host.resets[0]?.tag ?? 0, 0);
  s.host.advance(10);
  t.deepEqual(errors(s.client), [[3n, 0]]);
});

test("commands on a path that has lost one are aborted soon, as long as the host has the lost one", (t) => {
  const s = scene(1);
  lostWrite(s);
  s.host.advance(1000);
  s.host.keepLog = true;
  const timeouts = (): number[] => s.host.log.splice(0).map((command) => command.timeoutMs);
  s.client.send(request(READ, 2n, 8192n, 512));
  s.host.advance(1);
  t.deepEqual(timeouts(), [2001]);
  for (const command of s.held) s.host.answer(command, TIMED_OUT);
  s.host.settle();
  s.client.send(request(READ, 2n, 8192n, 512));
  s.host.advance(1);
  t.deepEqual(timeouts(), [30_001]);
});

test("a path that has answered nothing that was sent after the lost command keeps the long time, too", (t) => {
  const s = scene(1);
  loseOneWrite(s);
  const other = s.host.connect(s.unit);
  // Both go out at once: the answer to the one says nothing of whether the path has lost the other.
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1), request(READ, 2n, 8192n, 512));
  s.host.settle();
  s.host.must(s.host.core.connectionClose(s.client.handle));
  s.host.advance(10_000);
  t.is(stalled(s), 0);
  t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS), 1);
  s.host.keepLog = true;
  other.send(request(READ, 2n, 8192n, 512));
  s.host.advance(1);
  t.deepEqual(
    s.host.log.map(({ timeoutMs }) => timeoutMs),
    [30_001],
  );
});

test("a path that has lost a command and answers nothing keeps the long time: it would not answer an abort either", (t) => {
  const s = scene(1);
  lostWrite(s);
  s.host.advance(1000);
  s.host.device = () => undefined;
  s.host.keepLog = true;
  s.client.send(request(READ, 2n, 8192n, 512));
  s.host.advance(3000);
  t.truthy(stalled(s));
  s.host.log.length = 0;
  s.client.send(request(READ, 2n, 16384n, 512));
  s.host.advance(3000);
  const ios = s.host.log.filter((command) => !command.check);
  t.true(ios.length > 0);
  t.deepEqual(new Set(ios.map((command) => command.timeoutMs)), new Set([30_001]));
});

test("both edges of a write are read once more when they are lost, each by itself, and late answers harm neither", (t) => {
  const s = scene();
  s.disk.media.fill(0x11);
  const client = s.host.connect(s.unit, abi.CONNECTION_UNALIGNED);
  const lost = new Set<bigint>();
  s.host.device = (command) => {
    if (command.check || command.cdb[0] !== 0x88) return s.disk.execute(s.host, command);
    const lba = command.cdb.readBigUInt64BE(2);
    if (lost.has(lba)) return s.disk.execute(s.host, command);
    lost.add(lba);
    s.held.push(command);
    return undefined;
  };
  client.send(request(WRITE, 1n, 100n, 1024), Buffer.alloc(1024, 0x22));
  s.host.advance(1000);
  t.deepEqual(errors(client), [[1n, 0]]);
  t.deepEqual([...lost], [0n, 2n]);
  const expected = Buffer.alloc(1536, 0x11).fill(0x22, 100, 1124);
  t.deepEqual(s.disk.media.subarray(0, 1536), expected);
  t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS), 2);
  for (const command of s.held.splice(0)) {
    s.host.bytes(command.buffer, command.bytes).fill(0xbd);
    s.host.answer(command, {});
  }
  s.host.settle();
  t.deepEqual(s.disk.media.subarray(0, 1536), expected);
  t.deepEqual(idle(s), s.free);
});
