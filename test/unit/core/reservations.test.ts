// A reservation may hold on one path only: a conflict on another, which was merely tried beside it, fails no request. In
// cluster mode writes are not even tried there while the first may still be carried out.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import type { Scene } from "./fixtures/holes.ts";
import { errors, idle, scene } from "./fixtures/holes.ts";
import { READ, TRIM, WRITE, WRITE_ZEROES, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const EPERM = 1;
const CONFLICT = { status: 0x18 };

/** The reservation is held by port 0, which keeps what it gets; `asked`: I/O that the others got. */
function reserved(pathCount = 2): Scene & { asked: Scsi[] } {
  const s = scene(pathCount);
  const asked: Scsi[] = [];
  const usual = s.host.device;
  s.host.device = (command) => {
    if (command.port === 0 || command.check) return usual(command);
    asked.push(command);
    return CONFLICT;
  };
  s.holes.add(0);
  return { ...s, asked };
}

const answer = (s: Scene, command: Scsi): void => s.host.answer(command, s.disk.execute(s.host, command));

for (const [name, kind, cookie] of [
  ["write", WRITE, 1n],
  ["read", READ, 2n],
] as const) {
  test(`a ${name} that was sent again beside a slow path is not failed by a conflict there`, (t) => {
    const s = reserved();
    s.client.send(request(kind, cookie, 0n, 512), Buffer.alloc(kind === WRITE ? 512 : 0, 7));
    s.host.advance(150);
    t.is(s.asked.length, 1, "it was tried, and only once");
    t.deepEqual(errors(s.client), []);
    const [first] = s.held;
    if (first === undefined) return t.fail();
    answer(s, first);
    s.host.settle();
    t.deepEqual(errors(s.client), [[cookie, 0]]);
    if (kind === WRITE) t.is(s.disk.media[0], 7);
    t.deepEqual(idle(s), s.free);
  });
}

test("a conflict that comes behind the failure of the first path is the answer", (t) => {
  const s = reserved();
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.host.advance(100);
  for (const command of s.held) s.host.answer(command, { hostStatus: 1 });
  s.host.settle();
  t.deepEqual(errors(s.client), [[1n, EPERM]]);
});

test("a conflict on the first path does not fail what was sent again and goes well", (t) => {
  const s = scene();
  s.holes.add(0).add(1);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.host.advance(100);
  const [first, second] = s.held;
  if (first === undefined || second === undefined) return t.fail();
  s.host.answer(first, CONFLICT);
  s.host.settle();
  t.deepEqual(errors(s.client), []);
  answer(s, second);
  s.host.settle();
  t.deepEqual(errors(s.client), [[1n, 0]]);
  for (const other of s.host.outstanding.slice()) s.host.answer(other, CONFLICT);
  s.host.settle();
  t.deepEqual(idle(s), s.free);
});

test("cluster mode: writes and zeroes are not sent again beside a silent path, reads are", (t) => {
  const s = scene();
  s.host.must(s.host.core.modeSet(abi.MODE_CLUSTER, 1n));
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.client.send(request(WRITE_ZEROES, 3n, 8192n, 512), request(READ, 2n, 16_384n, 512));
  s.host.advance(10_000);
  t.deepEqual(errors(s.client), [[2n, 0]]);
  t.is(s.held.filter(({ cdb }) => cdb[0] === 0x8a).length, 2);
  t.is(s.host.resets.length, 0, "a reset would end the other hosts' commands too");
  t.truthy(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED, "what comes later avoids the path all the same");
  s.client.send(request(WRITE, 5n, 32_768n, 512), Buffer.alloc(512, 5));
  s.host.advance(1);
  t.deepEqual(errors(s.client), [[5n, 0]]);
});

test("cluster mode: a long command is given back by the kernel while there is time for another path", (t) => {
  for (const [operation, kind, capability] of [
    [0x42, TRIM, abi.UNIT_CAN_UNMAP],
    [0x93, WRITE_ZEROES, abi.UNIT_CAN_WRITE_SAME],
  ] as const) {
    const s = scene();
    s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_CAPABILITIES, BigInt(capability)));
    s.host.must(s.host.core.modeSet(abi.MODE_CLUSTER, 1n));
    s.holes.add(0);
    s.client.send(request(kind, 1n, 0n, 4096));
    s.host.advance(20_000);
    const sent = s.held.filter(({ cdb }) => cdb[0] === operation);
    t.is(sent.length, 1, "it is not sent again beside itself");
    const [command] = sent;
    if (command === undefined) return t.fail();
    t.true(command.timeoutMs <= 30_001, `it has ${command.timeoutMs} ms of 60 s`);
    s.host.advance(command.timeoutMs - 20_000);
    s.host.answer(command, { hostStatus: 3 });
    s.host.settle();
    t.deepEqual(errors(s.client), [[1n, 0]]);
    t.is(s.host.resets.length, 0, "a reset would end the other hosts' commands too");
  }
});

test("cluster mode: long commands that a device carries out one by one have the time of those before them", (t) => {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_CAPABILITIES, BigInt(abi.UNIT_CAN_UNMAP)));
  s.host.must(s.host.core.modeSet(abi.MODE_CLUSTER, 1n));
  s.holes.add(0);
  for (let i = 0; i < 2; i++) s.client.send(request(TRIM, BigInt(i), BigInt(i * 8192), 4096));
  s.host.settle();
  t.deepEqual(
    s.held.filter(({ cdb }) => cdb[0] === 0x42).map(({ timeoutMs }) => timeoutMs),
    [30_001, 60_001],
  );
});

test("cluster mode: a write that the kernel has given back goes to another path", (t) => {
  const s = scene();
  s.host.must(s.host.core.modeSet(abi.MODE_CLUSTER, 1n));
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.host.advance(20_000);
  const write = s.held.find(({ cdb }) => cdb[0] === 0x8a);
  if (write === undefined) return t.fail();
  t.true(write.timeoutMs <= 30_001, "it is, in good time");
  s.host.answer(write, { hostStatus: 3 });
  s.host.settle();
  t.deepEqual(errors(s.client), [[1n, 0]]);
  t.is(s.disk.media[0], 7);
});

test("a conflict is no error of its path, is not tried elsewhere, and is told at most ten times a second", (t) => {
  const s = scene();
  s.host.device = (command) => (command.check ? s.disk.execute(s.host, command) : CONFLICT);
  s.host.keepLog = true;
  const conflicts = (): number[] =>
    s.host.events.filter(({ kind }) => kind === abi.EVENT_RESERVATION_CONFLICT).map(({ arg0 }) => arg0);
  for (let i = 1; i <= 20; i++) {
    s.client.send(request(WRITE, BigInt(2 * i + 1), 0n, 512), Buffer.alloc(512));
    s.host.advance(10);
  }
  t.deepEqual(new Set(errors(s.client).map(([, error]) => error)), new Set([EPERM]));
  const sent = s.host.log.filter(({ check }) => !check);
  t.deepEqual([sent.length, new Set(sent.map(({ port }) => port))], [20, new Set([0])], "each once, on one path");
  t.deepEqual(conflicts(), [1, 10]);
  for (const path of s.paths) {
    t.is(s.host.pathCount64(path, abi.PATH_ERRORS), 0n);
    t.is(s.host.pathField(path, abi.PATH_LAST_SENSE), 0);
    t.is(s.host.flags(path) & abi.PATH_FLAG_FAILED, 0);
  }
});

test("a path whose checks meet a reservation conflict stays good", (t) => {
  const s = scene(2, abi.UNIT_CAN_ALUA);
  s.host.device = (command) => (command.check ? CONFLICT : s.disk.execute(s.host, command));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_PATROL_READ, 1n));
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL, 3n));
  s.host.advance(60_000);
  t.true(s.host.pathCount64(s.paths[1] ?? -1, abi.PATH_CHECKS) > 5n);
  for (const path of s.paths) {
    t.is(s.host.flags(path) & abi.PATH_FLAG_FAILED, 0);
    t.is(s.host.pathCount64(path, abi.PATH_ERRORS), 0n);
  }
});

/** When the unit is reset for a lost write that another one waits for, ms. */
function resetAfter(shared: bigint): number {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_SHARED, shared));
  let lost = true;
  s.host.device = (command) => {
    if (command.port !== 0 || command.check || !lost) return s.disk.execute(s.host, command);
    lost = false;
    return undefined;
  };
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.host.advance(100);
  for (let ms = 100; ms < 20_000; ms += 100) {
    // The path answers others, and this write waits for the lost one.
    if (s.host.resets.length > 0) return ms;
    s.client.send(request(READ, 2n, 65_536n, 512));
    if (ms === 200) s.client.send(request(WRITE, 3n, 0n, 512), Buffer.alloc(512, 8));
    s.host.advance(100);
  }
  return Infinity;
}

test("the reset for a lost command waits four times as long if other hosts are registered", (t) => {
  const [alone, beside] = [resetAfter(0n), resetAfter(1n)];
  t.true(alone >= 2000 && alone < 3000, `${alone} ms`);
  t.true(beside >= 8000 && beside < 9000, `${beside} ms`);
});

test("cluster mode: a long command has half of the time that is left, when that is less than its own", (t) => {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_CAPABILITIES, BigInt(abi.UNIT_CAN_UNMAP)));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 60_000n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 60_000n));
  s.host.must(s.host.core.modeSet(abi.MODE_CLUSTER, 1n));
  s.holes.add(0);
  const enable = (value: bigint): void => {
    for (const path of s.paths) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_ENABLED, value));
  };
  enable(0n);
  s.client.send(request(TRIM, 1n, 0n, 4096));
  s.host.advance(30_000);
  enable(1n);
  s.host.advance(1);
  const command = s.held.find(({ cdb }) => cdb[0] === 0x42);
  t.true(command !== undefined && command.timeoutMs <= 15_001, `it has ${command?.timeoutMs} ms of 30 s`);
});
