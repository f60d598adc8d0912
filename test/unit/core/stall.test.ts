// Paths that answer nothing: the I/O goes on, the orphan does no harm, and is settled.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { errors, idle, scene } from "./fixtures/holes.ts";
import { FLUSH, FUA, READ, TRIM, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import { check, type Scsi } from "./fixtures/scsi.ts";

const EIO = 5;

test("a read on a silent path is answered by another within the bound, with buffers of their own", (t) => {
  const s = scene();
  s.disk.media.fill(0x77, 0, 1 << 20);
  s.holes.add(0);
  s.client.send(request(READ, 2n, 0n, 1 << 20));
  s.host.advance(100);
  const [reply] = replies(s.client.received, new Map([[2n, 1 << 20]]));
  t.true(reply?.data.every((byte) => byte === 0x77));
  const [orphan] = s.held;
  if (orphan === undefined) return t.fail();
  t.truthy(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED);
  t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS), 1);
  t.true(s.host.kinds().includes(abi.EVENT_STALL));
  const bytes = idle(s);
  t.true((s.free[2] ?? 0) - (bytes[2] ?? 0) >= 1 << 20, "the orphan's buffer is still its own");
  s.host.bytes(orphan.buffer, orphan.bytes).fill(0xbd);
  s.host.answer(orphan, {});
  s.host.settle();
  t.deepEqual(idle(s), s.free);
  t.is(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED, 0, "it has answered");
});

test("time in which the host works, and looks for no answers, is not a path's silence", (t) => {
  const s = scene();
  s.holes.add(0);
  s.client.send(request(READ, 2n, 0n, 4096));
  s.host.settle();
  for (let turn = 0; turn < 10; turn++) {
    s.host.works(80);
    s.host.turn();
  }
  t.is(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED, 0);
  t.false(s.host.kinds().includes(abi.EVENT_STALL));
  const [slow] = s.held;
  if (slow === undefined) return t.fail();
  s.host.answer(slow, s.disk.execute(s.host, slow));
  s.host.settle();
  t.deepEqual(errors(s.client, 4096), [[2n, 0]]);
  t.is(s.held.length, 1);
});

test("a path that stays silent while the host waits is found, however long the host has worked before", (t) => {
  const s = scene();
  s.holes.add(0);
  s.client.send(request(READ, 2n, 0n, 4096));
  s.host.settle();
  s.host.works(3000);
  s.host.advance(100);
  t.truthy(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED);
  t.deepEqual(errors(s.client, 4096), [[2n, 0]]);
});

test("a host that is never idle finds a silent path as soon as any", (t) => {
  const s = scene();
  s.holes.add(0);
  s.client.send(request(READ, 2n, 0n, 4096));
  s.host.settle();
  for (let turn = 0; turn < 100; turn++) {
    s.host.works(1);
    s.host.turn();
  }
  t.truthy(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED);
});

test("a check that the host had no time to fetch the answer of is not overdue", (t) => {
  const s = scene();
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL, 1n));
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL_TIMEOUT_MS, 500n));
  s.host.device = () => undefined;
  while (s.host.outstanding.length === 0) s.host.advance(1000);
  s.host.works(900);
  s.host.turn();
  for (const command of s.host.outstanding.slice()) s.host.answer(command, {});
  s.host.settle();
  for (const path of s.paths) t.is(s.host.flags(path) & abi.PATH_FLAG_FAILED, 0);
});

test("the orphan's late answer wins when it comes first, whole", (t) => {
  const s = scene();
  s.disk.media.fill(0x31, 0, 4096);
  s.holes.add(0).add(1);
  s.client.send(request(READ, 2n, 0n, 4096));
  s.host.advance(100);
  const [first, ...others] = s.held;
  if (first === undefined) return t.fail();
  t.true(others.length > 0);
  t.is(new Set(s.held.map((command) => command.buffer)).size, s.held.length);
  s.host.answer(first, s.disk.execute(s.host, first));
  s.host.settle();
  t.true(replies(s.client.received, new Map([[2n, 4096]]))[0]?.data.every((byte) => byte === 0x31));
  for (const other of others) s.host.answer(other, { hostStatus: 3 });
  s.host.settle();
  t.deepEqual(idle(s), s.free);
});

for (const [name, kind] of [
  ["write", WRITE],
  ["trim", TRIM],
  ["zeroing", WRITE_ZEROES],
] as const) {
  test(`after a retried write an overlapping ${name} waits for the orphan; reads and the rest go on`, (t) => {
    const s = scene(2, abi.UNIT_CAN_UNMAP);
    s.holes.add(0);
    s.client.send(request(WRITE, 1n, 8192n, 8192), Buffer.alloc(8192, 1));
    s.host.advance(100);
    t.deepEqual(errors(s.client), [[1n, 0]]);
    const late = (length: number): Buffer => (kind === WRITE ? Buffer.alloc(length, 2) : Buffer.alloc(0));
    s.client.send(request(kind, 3n, 12_288n, 8192), late(8192), request(READ, 4n, 12_288n, 512));
    s.client.send(request(kind, 5n, 0n, 8192), late(8192), request(kind, 7n, 16_384n, 512), late(512));
    s.host.advance(100);
    t.deepEqual(
      errors(s.client)
        .map(([cookie]) => cookie)
        .toSorted(),
      [4n, 5n, 7n],
    );
    t.is(s.disk.media[12_288], 1);
    const [orphan] = s.held;
    if (orphan === undefined) return t.fail();
    s.holes.clear();
    s.host.answer(orphan, s.disk.execute(s.host, orphan));
    s.host.advance(100);
    t.deepEqual(errors(s.client), [[3n, 0]]);
    t.is(s.disk.media[12_288], kind === WRITE ? 2 : 0);
    t.is(s.disk.media[8192], 1);
    t.deepEqual(idle(s), s.free);
  });
}

test("a write answered by the late first command leaves the second one as an orphan that holds back", (t) => {
  const s = scene();
  s.holes.add(0).add(1);
  s.client.send(request(WRITE, 1n, 0n, 4096), Buffer.alloc(4096, 1));
  s.host.advance(100);
  const [first, ...others] = s.held;
  if (first === undefined) return t.fail();
  t.true(others.length > 0);
  s.host.answer(first, s.disk.execute(s.host, first));
  s.holes.clear();
  s.host.advance(1);
  t.deepEqual(errors(s.client), [[1n, 0]]);
  s.client.send(request(WRITE, 3n, 0n, 4096), Buffer.alloc(4096, 2));
  s.host.advance(500);
  t.deepEqual(errors(s.client), []);
  for (const other of others) s.host.answer(other, s.disk.execute(s.host, other));
  s.host.advance(1);
  t.deepEqual(errors(s.client), [[3n, 0]]);
  t.is(s.disk.media[0], 2);
});

test("a write is not issued beside itself while an overlapping one is under way", (t) => {
  const s = scene();
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 4096), Buffer.alloc(4096, 1));
  s.client.send(request(WRITE, 3n, 2048n, 4096), Buffer.alloc(4096, 2));
  s.host.advance(1000);
  t.is(s.held.length, 2);
  t.deepEqual(errors(s.client), []);
  const [first] = s.held;
  if (first === undefined) return t.fail();
  s.host.answer(first, s.disk.execute(s.host, first));
  s.host.advance(100);
  t.deepEqual(
    errors(s.client).toSorted(),
    [
      [1n, 0],
      [3n, 0],
    ],
    "the other one was free to go",
  );
});

test("a failed write with an open orphan holds overlapping reads too; their deadline answers without harm", (t) => {
  const s = scene(1);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 2000n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 0n));
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 4096), Buffer.alloc(4096, 1));
  s.host.advance(2100);
  t.deepEqual(errors(s.client), [[1n, EIO]]);
  s.holes.clear();
  for (const command of s.host.outstanding.slice()) if (command.check) s.host.answer(command, {});
  s.host.must(s.host.core.pathSet(s.paths[0] ?? -1, abi.PATH_SET_FAILED, 0n));
  s.host.advance(1);
  s.client.send(request(READ, 2n, 0n, 512), request(READ, 4n, 8192n, 512));
  s.host.advance(1000);
  t.deepEqual(errors(s.client), [[4n, 0]]);
  s.host.advance(1100);
  t.deepEqual(errors(s.client), [[2n, EIO]]);
  t.true(s.held.length > 0);
  for (const orphan of s.held) s.host.answer(orphan, s.disk.execute(s.host, orphan));
  s.client.send(request(READ, 6n, 0n, 512));
  s.host.advance(10);
  t.deepEqual(errors(s.client), [[6n, 0]]);
  t.deepEqual(idle(s), s.free);
});

test("a flush waits for no orphan, and is itself issued again when it does not answer", (t) => {
  const s = scene(2, abi.UNIT_CAN_CACHE_WRITES);
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512, 1));
  s.host.advance(100);
  t.deepEqual(errors(s.client), [[1n, 0]]);
  s.client.send(request(FLUSH, 3n, 0n, 0));
  s.host.advance(10);
  t.deepEqual(errors(s.client), [[3n, 0]]);
  t.is(s.disk.flushes, 2);
  const silent = scene(2, abi.UNIT_CAN_CACHE_WRITES);
  silent.holes.add(0);
  silent.client.send(request(FLUSH, 1n, 0n, 0));
  silent.host.advance(5100);
  t.deepEqual(errors(silent.client), [[1n, 0]]);
});

for (const silent of [1, 2, 3]) {
  test(`${silent} of 4 paths silent: no read and no write waits longer than 100 ms`, (t) => {
    const s = scene(4);
    s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ROUND_ROBIN)));
    for (let port = 0; port < silent; port++) s.holes.add(port);
    for (let i = 0; i < 40; i++) {
      const offset = BigInt(i) * 4096n;
      s.client.send(request(i % 2 === 0 ? READ : WRITE, BigInt(i), offset, 512), Buffer.alloc(i % 2 === 0 ? 0 : 512));
    }
    s.host.advance(500);
    t.is(errors(s.client).filter(([, error]) => error === 0).length, 40);
    const longest = s.host.view.getBigUint64(
      s.host.core.unitTable() + s.unit * abi.UNIT_BYTES + abi.UNIT_LATENCY_NS_MAX,
      true,
    );
    t.true(longest <= 100_000_000n, `${longest} ns`);
  });
}

test("an orphan that stays meets resets that escalate, and is ended by one when its path has answered", (t) => {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 10_000n));
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.advance(100);
  s.client.send(request(WRITE, 3n, 0n, 512), Buffer.alloc(512, 2));
  s.host.advance(9800);
  t.is(s.host.resets.length, 0);
  s.host.advance(300);
  t.deepEqual(
    s.host.resets.map((reset) => [reset.port, reset.scope]),
    [[0, abi.RESET_DEVICE]],
  );
  s.host.complete(s.host.resets[0]?.tag ?? 0, -5);
  s.host.advance(10_000);
  t.is(s.host.resets[1]?.scope, abi.RESET_TARGET);
  t.deepEqual(errors(s.client).length, 1);
  s.host.complete(s.host.resets[1]?.tag ?? 0, 0);
  s.host.advance(10);
  t.deepEqual(errors(s.client), [], "the device may not have had it yet");
  s.holes.clear();
  for (const command of s.host.outstanding.slice()) if (command.check) s.host.answer(command, { hostStatus: 8 });
  s.host.advance(3000);
  t.is(s.host.resets[2]?.scope, abi.RESET_DEVICE, "its READ was answered: a small one will do");
  s.host.complete(s.host.resets[2]?.tag ?? 0, 0);
  s.host.advance(10);
  t.deepEqual(errors(s.client), [[3n, 0]]);
  t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS), 0);
  const settled = s.host.events.find((event) => event.kind === abi.EVENT_ORPHAN_SETTLED);
  t.is(settled?.arg0, abi.SETTLED_RESET);
  t.not(s.host.core.inspect(1), s.free[1], "the slot is the host's until it gives it back");
  const [orphan] = s.held;
  if (orphan === undefined) return t.fail();
  s.host.answer(orphan, { hostStatus: 8 });
  s.host.settle();
  t.deepEqual(idle(s), s.free);
});

test("a silent path that does not answer a check either has failed, and comes back when it answers", (t) => {
  const s = scene();
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL, 3n));
  s.holes.add(0);
  s.client.send(request(READ, 2n, 0n, 512));
  s.host.advance(12_000);
  t.truthy(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_FAILED);
  s.holes.clear();
  for (const command of s.host.outstanding.slice()) s.host.answer(command, {});
  s.host.advance(10_000);
  t.is(s.host.flags(s.paths[0] ?? -1) & (abi.PATH_FLAG_FAILED | abi.PATH_FLAG_STALLED), 0);
});

test("a device that has become slow on every path is learned, and not sent everything twice", (t) => {
  const s = scene();
  const due: { at: bigint; command: Scsi }[] = [];
  s.host.device = (command) => {
    due.push({ at: s.host.now + 150_000_000n, command });
    return undefined;
  };
  let sent = 0;
  let done = 0;
  for (let ms = 0; ms < 60_000; ms += 10) {
    if (sent - done < 4) s.client.send(request(READ, BigInt((sent++ % 25) * 2), 0n, 512));
    s.host.advance(10);
    while (due[0] !== undefined && due[0].at <= s.host.now) {
      const command = due.shift()?.command;
      if (command !== undefined) s.host.answer(command, {});
    }
    s.host.settle();
    done += errors(s.client).length;
  }
  s.host.events.length = 0;
  for (let ms = 0; ms < 5000; ms += 10) {
    if (sent - done < 4) s.client.send(request(READ, BigInt((sent++ % 25) * 2), 0n, 512));
    s.host.advance(10);
    while (due[0] !== undefined && due[0].at <= s.host.now) {
      const command = due.shift()?.command;
      if (command !== undefined) s.host.answer(command, {});
    }
    s.host.settle();
    done += errors(s.client).length;
  }
  t.false(s.host.kinds().includes(abi.EVENT_STALL));
});

test("release answers what hangs on silent paths too", (t) => {
  const s = scene();
  s.holes.add(0).add(1);
  s.client.send(request(READ, 2n, 0n, 512), request(WRITE, 1n, 0n, 512), Buffer.alloc(512));
  s.host.advance(1000);
  t.deepEqual(errors(s.client), []);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_RELEASED, 1n));
  s.host.advance(1);
  t.deepEqual(errors(s.client).toSorted(), [
    [1n, EIO],
    [2n, EIO],
  ]);
});

test("a piece that waits for a silent path does not stop the requests behind it", (t) => {
  const s = scene(2);
  for (const path of s.paths) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_DEPTH, 1n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ROUND_ROBIN)));
  s.holes.add(0);
  s.client.send(request(READ, 2n, 0n, 512), request(READ, 4n, 0n, 512));
  s.host.advance(200);
  errors(s.client);
  s.host.device = (command) => {
    if (command.port === 0) return undefined;
    return command.cdb[9] === 8
      ? { status: 2, sense: [0x72, 6, 0x29, 0, 0, 0, 0, 0] }
      : s.disk.execute(s.host, command);
  };
  s.client.send(request(READ, 6n, 4096n, 512));
  for (let i = 0; i < 5; i++) s.client.send(request(READ, BigInt(8 + 2 * i), 0n, 512));
  s.host.advance(200);
  t.is(errors(s.client).length, 5);
});

test("a write that was begun before an orphan arose is not continued under it", (t) => {
  const s = scene(2);
  for (const path of s.paths) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_DEPTH, 1n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MIN_MS, 0n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 2000n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 0n));
  s.holes.add(0).add(1);
  s.client.send(request(WRITE, 1n, 1n << 20n, 4096), Buffer.alloc(4096, 1));
  s.host.advance(10);
  s.host.must(s.host.core.pathSet(s.paths[0] ?? -1, abi.PATH_SET_ENABLED, 0n));
  s.host.advance(1900);
  s.client.send(request(WRITE, 3n, 0n, 2 << 20), Buffer.alloc(2 << 20, 2));
  s.host.advance(100);
  t.deepEqual(errors(s.client), [[1n, EIO]]);
  const [orphan, begun] = s.held;
  if (orphan === undefined || begun === undefined) return t.fail();
  s.holes.clear();
  s.host.answer(begun, s.disk.execute(s.host, begun));
  s.host.advance(100);
  t.deepEqual(errors(s.client), [], "its second piece waits");
  s.host.answer(orphan, s.disk.execute(s.host, orphan));
  s.host.advance(100);
  t.deepEqual(errors(s.client), [[3n, 0]]);
  t.true(s.disk.media.subarray(0, 2 << 20).every((byte) => byte === 2));
  t.deepEqual(idle(s), s.free);
});

test("a failed path that answers what was long given up is asked whether it is back, unless recovery is turned off", (t) => {
  for (const patrol of [0n, 1n, 2n, 3n]) {
    const s = scene();
    s.host.must(s.host.core.modeSet(abi.MODE_PATROL, patrol));
    s.holes.add(0);
    s.client.send(request(READ, 2n, 0n, 512));
    s.host.advance(100);
    const [orphan] = s.held;
    if (orphan === undefined) return t.fail();
    s.client.send(request(READ, 4n, 0n, 512));
    s.host.advance(100);
    for (const command of s.held.slice(1)) s.host.answer(command, { hostStatus: 1 });
    for (const command of s.host.outstanding.slice()) if (command.check) s.host.answer(command, { hostStatus: 1 });
    s.host.advance(1);
    if ((s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_FAILED) === 0) {
      s.host.device = (command) => (command.port === 0 ? { hostStatus: 1 } : s.disk.execute(s.host, command));
      s.host.must(s.host.core.pathSet(s.paths[1] ?? -1, abi.PATH_SET_ENABLED, 0n));
      s.client.send(request(READ, 6n, 0n, 512));
      s.host.advance(1);
      s.host.must(s.host.core.pathSet(s.paths[1] ?? -1, abi.PATH_SET_ENABLED, 1n));
    }
    t.truthy(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_FAILED);
    s.host.device = (command) => (command.check ? undefined : s.disk.execute(s.host, command));
    const checks = (): number => s.host.outstanding.filter((command) => command.check && command.port === 0).length;
    const before = checks();
    s.host.answer(orphan, {});
    s.host.settle();
    t.is(checks() - before, patrol >= 2n ? 1 : 0, `patrol ${patrol}`);
  }
});

test("a read that has failed already is not sent again for its other piece", (t) => {
  const s = scene();
  const sent: Scsi[] = [];
  s.host.device = (command) => {
    if (command.check) return {};
    sent.push(command);
    return sent.length === 1 ? check(3, 0x11, 0) : undefined;
  };
  s.client.send(request(READ, 1n, 0n, 2 << 20));
  s.host.advance(20_000);
  const lbas = sent.map(({ cdb }) => cdb.readBigUInt64BE(2));
  t.deepEqual([lbas.length, new Set(lbas).size], [2, 2]);
});
