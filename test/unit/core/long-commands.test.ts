// Commands that may rightly take long: several at a time, in their own time, and no path is blamed that answers others.
import test, { type ExecutionContext } from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host } from "./fixtures/harness.ts";
import { SYNC, UNMAP, WRITE_SAME, errors, idle, pass, scene, type Scene } from "./fixtures/long.ts";
import { FLUSH, FUA, READ, TRIM, WRITE, WRITE_ZEROES, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const EIO = 5;
const MIB = 1 << 20;
/** Long commands of one request under way at a time. */
const PIECES_MAX = 16;

const BAD = abi.PATH_FLAG_FAILED | abi.PATH_FLAG_MARGINAL | abi.PATH_FLAG_STALLED | abi.PATH_FLAG_SUSPECT;

/** Nothing is held against any path, and nobody was reset. */
function unblamed(t: ExecutionContext, s: Scene): void {
  for (const path of s.paths) {
    t.is(s.host.flags(path) & BAD, 0, `path ${path}`);
    t.is(s.host.pathCount64(path, abi.PATH_ERRORS), 0n, `path ${path}`);
  }
  t.deepEqual(s.host.resets, []);
  const kinds = new Set(s.host.events.map(({ kind }) => kind));
  for (const kind of [abi.EVENT_STALL, abi.EVENT_MARGINAL, abi.EVENT_SUSPECT, abi.EVENT_FAILOVER_STARTED]) {
    t.false(kinds.has(kind), `event ${kind}`);
  }
}

const trim = (cookie: number, mib: number, atMib = 0): Buffer =>
  request(TRIM, BigInt(cookie), BigInt(atMib * MIB), mib * MIB);

test("a TRIM of 4095 MiB on a device that takes 1.2 s for an UNMAP is carried out, several at a time, each once", (t) => {
  const s = scene();
  s.takesMs.set(UNMAP, 1200);
  s.client.send(trim(1, 4095));
  pass(s, 30_000);
  t.deepEqual(errors(s.client), [[1, 0]]);
  t.is(s.sent.length, 64);
  t.is(s.most, PIECES_MAX);
  unblamed(t, s);
  t.deepEqual(idle(s.host), s.free);
});

test("each UNMAP under way has a parameter list of its own", (t) => {
  const s = scene();
  s.host.device = ({ check }) => (check ? {} : undefined);
  s.client.send(trim(1, 4096 - 1));
  s.host.settle();
  const under = s.host.outstanding;
  t.is(under.length, PIECES_MAX);
  t.is(new Set(under.map(({ buffer }) => buffer)).size, PIECES_MAX);
  t.deepEqual(
    under.map((command) => Number(s.host.bytes(command.buffer, command.bytes).readBigUInt64BE(8))),
    Array.from({ length: PIECES_MAX }, (_, piece) => piece * 131_072),
  );
  for (let i = 0; i < 100; i++) {
    for (const command of s.host.outstanding.slice()) s.host.answer(command, {});
    s.host.settle();
  }
  t.deepEqual(errors(s.client), [[1, 0]]);
  t.deepEqual(idle(s.host), s.free);
});

test("where there is no buffer for more parameter lists, a TRIM goes on with the one it has", (t) => {
  const s = scene({ pool: 32 << 20 });
  s.host.device = ({ check }) => (check ? {} : undefined);
  s.client.send(trim(1, 1024));
  const other = s.host.connect(s.unit);
  const third = s.host.connect(s.unit);
  s.host.settle();
  for (const command of s.host.outstanding.slice()) s.host.answer(command, {});
  t.is(s.host.core.inspect(2) > 0, true);
  other.send(request(READ, 2n, 0n, 16 * MIB));
  third.send(request(READ, 2n, 0n, 8 * MIB));
  for (let i = 0; i < 200; i++) {
    s.host.settle();
    for (const command of s.host.outstanding.slice()) s.host.answer(command, {});
  }
  t.deepEqual(errors(s.client), [[1, 0]]);
});

test("a request of many commands has its time anew with each that is done: TRIM, WRITE SAME, zeroes that are written", (t) => {
  for (const [capabilities, operation, pieces] of [
    [abi.UNIT_CAN_UNMAP, UNMAP, 16],
    [abi.UNIT_CAN_WRITE_SAME, WRITE_SAME, 16],
    [0, 0x8a, 1024],
  ] as const) {
    const s = scene({ capabilities });
    s.takesMs.set(operation, operation === 0x8a ? 100 : 4000);
    s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MIN_MS, operation === 0x8a ? 5000n : 20n));
    s.oneByOne = true;
    if (operation === UNMAP) s.client.send(trim(1, 1024));
    else s.client.send(request(WRITE_ZEROES, 1n, 0n, 1024 * MIB, 2));
    pass(s, 59_000);
    t.deepEqual(errors(s.client), []);
    pass(s, 60_000);
    t.deepEqual(errors(s.client), [[1, 0]], `operation ${operation}`);
    if (operation !== 0x8a) t.is(s.sent.length, pieces);
    unblamed(t, s);
    t.deepEqual(idle(s.host), s.free);
  }
});

test("without progress a request of many commands ends at its deadline", (t) => {
  const s = scene();
  s.takesMs.set(UNMAP, 70_000);
  s.client.send(trim(1, 1024));
  pass(s, 60_100);
  t.deepEqual(errors(s.client), [[1, EIO]]);
  t.deepEqual(s.host.resets, [], "commands that are slow are not lost");
  pass(s, 60_000);
  unblamed(t, s);
  t.deepEqual(idle(s.host), s.free);
});

test("what waits for its turn behind a request that makes progress does not run out of time", (t) => {
  const s = scene();
  s.takesMs.set(UNMAP, 5000);
  s.oneByOne = true;
  s.client.send(trim(1, 1024), trim(2, 128, 2048));
  pass(s, 79_000);
  t.deepEqual(errors(s.client), []);
  pass(s, 20_000);
  t.deepEqual(errors(s.client), [
    [1, 0],
    [2, 0],
  ]);
  unblamed(t, s);
});

test("a flush of 6 s is sent once, and no path is blamed for it", (t) => {
  const s = scene();
  s.takesMs.set(SYNC, 6000);
  for (let i = 1; i <= 10; i++) {
    s.client.send(request(FLUSH, BigInt(i), 0n, 0));
    pass(s, 6100);
    t.deepEqual(errors(s.client), [[i, 0]]);
  }
  t.is(s.sent.length, 10);
  unblamed(t, s);
});

test("a flush of 20 s while the paths answer others is sent once", (t) => {
  const s = scene();
  s.takesMs.set(SYNC, 20_000);
  s.client.send(request(FLUSH, 1n, 0n, 0));
  for (let i = 0; i < 200; i++) {
    s.client.send(request(READ, 1000n, 0n, 512));
    pass(s, 100);
  }
  pass(s, 100);
  t.true(errors(s.client).some(([cookie, error]) => cookie === 1 && error === 0));
  t.is(s.sent.length, 1);
  unblamed(t, s);
});

test("a path that answers nothing beside a long command is asked, and left when it is silent", (t) => {
  for (const [name, kind] of [
    ["flush", FLUSH],
    ["trim", TRIM],
  ] as const) {
    const s = scene({ paths: 2 });
    s.holes.add(0);
    s.client.send(request(kind, 1n, 0n, kind === FLUSH ? 0 : 4096));
    s.host.advance(5100);
    t.deepEqual(errors(s.client), [[1, 0]], name);
    t.truthy(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED, name);
    t.is(s.host.flags(s.paths[1] ?? -1) & BAD, 0, name);
  }
});

test("a long command that is lost on a path that answers others is sent again in its own time", (t) => {
  for (const [name, operation] of [
    ["flush", FLUSH],
    ["trim", TRIM],
  ] as const) {
    const s = scene({ paths: 2 });
    let lost = false;
    const usual = s.host.device;
    s.host.device = (command) => {
      if (lost || (command.cdb[0] !== SYNC && command.cdb[0] !== UNMAP)) return usual(command);
      lost = true;
      return undefined;
    };
    s.client.send(request(operation, 1n, 0n, operation === FLUSH ? 0 : 4096));
    pass(s, 29_000);
    t.deepEqual(errors(s.client), [], name);
    pass(s, 2000);
    t.deepEqual(errors(s.client), [[1, 0]], name);
    t.true(
      s.host.events.some(({ kind }) => kind === abi.EVENT_STALL),
      "it is told",
    );
    s.host.events.length = 0;
    unblamed(t, s);
  }
});

test("a write over a lost UNMAP is let through before its own time is over", (t) => {
  const s = scene({ paths: 2 });
  let lost = false;
  const usual = s.host.device;
  s.host.device = (command) => {
    if (lost || command.cdb[0] !== UNMAP) return usual(command);
    lost = true;
    return undefined;
  };
  s.client.send(request(TRIM, 1n, 0n, 4096));
  pass(s, 31_000);
  t.deepEqual(errors(s.client), [[1, 0]]);
  s.client.send(request(WRITE, 2n, 0n, 4096), Buffer.alloc(4096, 7));
  pass(s, 20_000);
  t.deepEqual(s.host.resets.length, 1);
  s.host.complete(s.host.resets[0]?.tag ?? 0, 0);
  pass(s, 100);
  t.deepEqual(errors(s.client), [[2, 0]]);
});

test("a flush that is lost on a path that answers others resets nothing where that is turned off", (t) => {
  const s = scene({ paths: 2 });
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 0n));
  const lost: Scsi[] = [];
  const usual = s.host.device;
  s.host.device = (command) => {
    if (lost.length > 0 || command.cdb[0] !== SYNC) return usual(command);
    lost.push(command);
    return undefined;
  };
  s.client.send(request(FLUSH, 1n, 0n, 0));
  pass(s, 300_000);
  t.deepEqual(errors(s.client), [[1, 0]]);
  t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS), 1);
  t.deepEqual(s.host.resets, []);
  for (const command of lost) s.host.answer(command, {});
  s.host.settle();
  t.deepEqual(idle(s.host), s.free);
});

test("UNMAPs none of which is answered are slow, not lost: what waits for one resets no sooner than the host ends it", (t) => {
  const s = scene({ paths: 1 });
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 3_600_000n));
  const usual = s.host.device;
  s.host.device = (command) => (command.cdb[0] === UNMAP ? undefined : usual(command));
  const gone = s.host.connect(s.unit);
  gone.send(request(TRIM, 1n, 0n, 4096), request(TRIM, 2n, 1n << 20n, 4096));
  pass(s, 1000);
  const [first] = s.host.outstanding;
  if (first === undefined) return t.fail();
  gone.gone = true;
  const endsMs = first.timeoutMs;
  pass(s, endsMs - 10_000);
  s.client.send(request(WRITE, 3n, 0n, 4096), Buffer.alloc(4096, 7));
  pass(s, 9000);
  t.deepEqual(s.host.resets, []);
  pass(s, 3000);
  t.is(s.host.resets.length, 1);
  s.host.complete(s.host.resets[0]?.tag ?? 0, 0);
  pass(s, 100);
  t.deepEqual(errors(s.client), [[3, 0]]);
});

test("a failed path that answers, and is busy, is not asked again and again beside a long command", (t) => {
  const host = new Host();
  const identity = [3, 1, 0x60, 1, 2, 3, 4, 5, 6, 7];
  const { unit, paths } = host.unit({ paths: 2, capabilities: abi.UNIT_CAN_UNMAP, identity });
  const disk = new Disk(4 * MIB, 512, identity);
  let busy = false;
  let checks = 0;
  host.device = (command) => {
    const { check, port } = command;
    if (!busy) return check || port === 1 ? disk.execute(host, command) : undefined;
    if (check && port === 0) checks++;
    return check ? { status: 0x28 } : undefined;
  };
  host.advance(5000);
  const client = host.connect(unit);
  // An orphan of a read, and an UNMAP, on a path that fails then.
  client.send(request(READ, 1000n, 0n, 512), trim(1, 1));
  host.advance(1000);
  t.deepEqual(
    host.outstanding.map(({ port, cdb }) => [port, cdb[0]]),
    [
      [0, 0x88],
      [0, UNMAP],
    ],
  );
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_FAILED, 1n));
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_FAILED, 0n));
  busy = true;
  host.advance(5000);
  t.true(checks > 0 && checks < 200, `${checks} checks in 5 s`);
});

test("a policy does not take a path for slow because of a long command", (t) => {
  const s = scene({ paths: 2 });
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ADAPTIVE)));
  const read = (): void => {
    for (let i = 0; i < 400; i++) {
      s.client.send(request(READ, 1000n, 0n, 512));
      s.host.advance(1);
    }
    s.client.received.length = 0;
  };
  read();
  s.takesMs.set(SYNC, 4000);
  for (let i = 1; i < 6; i++) {
    s.client.send(request(FLUSH, BigInt(i), 0n, 0));
    pass(s, 4100);
  }
  t.deepEqual(
    errors(s.client).map(([, error]) => error),
    [0, 0, 0, 0, 0],
  );
  for (const path of s.paths) {
    const ns = s.host.pathField(path, abi.PATH_SERVICE_NS);
    t.true(ns < 1_000_000_000, `path ${path}: ${ns} ns`);
  }
});

test("a trim of more bytes than one leg has makes progress from leg to leg", (t) => {
  const s = scene();
  const wide = s.host.connect(s.unit, abi.CONNECTION_STRUCTURED | abi.CONNECTION_EXTENDED | abi.CONNECTION_TRIM);
  s.takesMs.set(UNMAP, 5000);
  s.oneByOne = true;
  const header = Buffer.alloc(32);
  header.writeUInt32BE(0x21e41c71, 0);
  header.writeUInt16BE(TRIM, 6);
  header.writeBigUInt64BE(1n, 8);
  header.writeBigUInt64BE(1n << 33n, 24);
  wide.send(header);
  pass(s, 128 * 5000 - 1000);
  t.is(wide.received.length, 0);
  pass(s, 20_000);
  t.is(Buffer.concat(wide.received).readUInt32BE(0), 0x6e8a278c);
  t.is(s.sent.length, 129, "64 MiB each, and what one leg leaves");
  unblamed(t, s);
});

test("a path that has answered others beside a flush, and then nothing, is not asked for the sake of the flush", (t) => {
  const s = scene({ paths: 1 });
  for (let i = 0; i < 200; i++) s.client.send(request(READ, 1000n, 0n, 512));
  s.host.settle();
  s.client.received.length = 0;
  s.takesMs.set(SYNC, 1900);
  s.client.send(request(FLUSH, 1n, 0n, 0));
  pass(s, 100);
  s.client.send(request(READ, 1000n, 0n, 512));
  pass(s, 100);
  s.holes.add(0);
  s.client.send(request(READ, 1000n, 0n, 512));
  pass(s, 400);
  t.truthy(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED);
  const asked = s.host.outstanding.filter((command) => command.check).length;
  pass(s, 1000);
  t.is(s.host.outstanding.filter((command) => command.check).length, asked);
  pass(s, 500);
  t.true(errors(s.client).some(([cookie, error]) => cookie === 1 && error === 0));
  t.is(s.sent.length, 1);
});

test("a zeroing of which one piece was done elsewhere ends when the time of the other is over", (t) => {
  const s = scene({ paths: 2, capabilities: abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_CACHE_WRITES });
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_WRITE_SAME_BLOCKS_MAX, BigInt(MIB / 512)));
  const first = new Set<number>();
  const own = s.host.device;
  // The first piece is lost once, the second one always.
  s.host.device = (command) => {
    if (command.cdb[0] !== WRITE_SAME) return own(command);
    s.sent.push(command);
    const lba = Number(command.cdb.readBigUInt64BE(2));
    if (lba !== 0 || !first.has(lba)) {
      first.add(lba);
      return undefined;
    }
    return {};
  };
  s.client.send(request(WRITE_ZEROES, 1n, 0n, 2 * MIB, 2));
  // The device is not slow with everything.
  pass(s, 1000);
  s.client.send(request(FLUSH, 2n, 0n, 0));
  let doneS = -1;
  let endedS = -1;
  for (let at = 0; at < 200 && endedS < 0; at++) {
    s.client.send(request(READ, 1000n, BigInt(4 * MIB - 512), 512));
    pass(s, 1000);
    const times = s.sent.filter(({ cdb }) => cdb[0] === WRITE_SAME && cdb.readBigUInt64BE(2) === 0n).length;
    if (doneS < 0 && times > 1) doneS = at;
    if (errors(s.client).some(([cookie, error]) => cookie === 1 && error === EIO)) endedS = at;
  }
  t.true(doneS > 0, "the first piece was sent again");
  t.true(Math.abs(endedS - doneS - 60) <= 1, `done after ${doneS} s, ended after ${endedS} s`);
});

test("the flush behind a large FUA write is sent again as often as any flush", (t) => {
  const s = scene({ paths: 6 });
  const own = s.host.device;
  s.host.device = (command) => {
    // From then on no path answers anything.
    if (command.cdb[0] === SYNC) for (let port = 0; port < 6; port++) s.holes.add(port);
    return own(command);
  };
  s.client.send(request(WRITE, 1n, 0n, 128 << 10, FUA), Buffer.alloc(128 << 10, 1));
  s.host.advance(50_000);
  t.true(s.sent.length > 4, `${s.sent.length} times`);
});

test("UNMAPs of several clients have a parameter list each", (t) => {
  const s = scene();
  s.host.device = ({ check }) => (check ? {} : undefined);
  const clients = [s.client, s.host.connect(s.unit), s.host.connect(s.unit)];
  clients.forEach((client, index) => client.send(request(TRIM, 1n, BigInt(index * MIB), 65_536)));
  s.host.settle();
  const under = s.host.outstanding;
  t.is(under.length, 3);
  t.is(new Set(under.map(({ buffer }) => buffer)).size, 3);
  t.deepEqual(
    under.map((command) => Number(s.host.bytes(command.buffer, command.bytes).readBigUInt64BE(8))),
    [0, 2048, 4096],
  );
});

test("a path that was a suspect, and was cleared in its absence, is asked itself before it counts as stalled", (t) => {
  const s = scene({ paths: 2 });
  const [busy = -1] = s.paths;
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL, 0n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_STATIC)));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 100n));
  s.host.must(s.host.core.pathSet(busy, abi.PATH_SET_INITIATOR_PORT, 1n));
  s.host.must(s.host.core.pathSet(busy, abi.PATH_SET_TARGET_PORT, 2n));
  s.takesMs.set(UNMAP, 2000);
  s.client.send(trim(1, 1));
  pass(s, 40);
  t.is(s.sent.length, 1);
  // Another core loses a command; a path of the same nexus is asked there.
  s.host.must(s.host.core.sharedFault(1, 2, 0xffffffff, 1, 0));
  pass(s, 40);
  s.host.must(s.host.core.sharedAnswer(1, 2));
  pass(s, 2000);
  t.deepEqual(errors(s.client), [[1, 0]]);
  t.is(s.sent.length, 1);
  t.false(s.host.events.some(({ kind }) => kind === abi.EVENT_STALL));
  t.is(s.host.flags(busy) & BAD, 0);
  t.deepEqual(s.host.resets, []);
});
