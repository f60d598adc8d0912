// A device that knows READ(10) and WRITE(10) only is served with those; no path is blamed for what the device lacks.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host } from "./fixtures/harness.ts";
import { FLUSH, FUA, READ, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import { check } from "./fixtures/scsi.ts";
import type { Answer, Scsi } from "./fixtures/scsi.ts";

const EIO = 5;
const READ_10 = 0x28;
const WRITE_10 = 0x2a;
const READ_16 = 0x88;
const WRITE_16 = 0x8a;
const FUA_BIT = 8;

/** Carries (10) out as the disk does (16); refuses the operations in `refused`. */
function oldDisk(host: Host, disk: Disk, refused: readonly number[]): (command: Scsi) => Answer {
  return (command) => {
    const { cdb } = command;
    const operation = cdb[0] ?? 0;
    if (refused.includes(operation)) return check(5, 0x20, 0);
    if (operation === 0x35) return {};
    if (operation !== READ_10 && operation !== WRITE_10) return disk.execute(host, command);
    const long = Buffer.alloc(16);
    long[0] = operation === READ_10 ? READ_16 : WRITE_16;
    long.writeUInt32BE(cdb.readUInt32BE(2), 6);
    long.writeUInt32BE(cdb.readUInt16BE(7), 10);
    return disk.execute(host, { ...command, cdb: long });
  };
}

function scene({ refused = [READ_16, WRITE_16, 0x91, 0x93], capabilities = 0, blocks = 16_384n, paths = 2 } = {}) {
  const host = new Host();
  host.keepLog = true;
  const disk = new Disk(8 << 20);
  host.device = oldDisk(host, disk, refused);
  const { unit, paths: handles } = host.unit({ blocks, capabilities, paths });
  const client = host.connect(unit);
  const done = (): number[] => host.log.splice(0).map(({ cdb }) => cdb[0] ?? 0);
  const ask = (kind: number, offset: bigint, bytes: number, { fill = 0, flags = 0 } = {}): number | undefined => {
    const sends = kind === WRITE ? Buffer.alloc(bytes, fill) : undefined;
    client.send(request(kind, 1n, offset, bytes, flags), ...(sends === undefined ? [] : [sends]));
    host.settle();
    return replies(client.received, new Map([[1n, kind === READ ? bytes : 0]]))[0]?.error;
  };
  const errorsOf = (path: number): bigint =>
    host.view.getBigUint64(host.core.pathTable() + path * abi.PATH_BYTES + abi.PATH_ERRORS, true);
  return { host, disk, unit, paths: handles, done, ask, errorsOf };
}

test("READ(16) and WRITE(16) that the device does not know go out as (10), and so does all that follows", (t) => {
  const s = scene();
  t.is(s.ask(READ, 0n, 512), 0);
  t.deepEqual(s.done(), [READ_16, READ_10]);
  t.is(s.ask(WRITE, 5n << 20n, 1 << 20, { fill: 7 }), 0);
  t.deepEqual([...new Set(s.done())], [WRITE_10]);
  t.true(s.disk.media.subarray(5 << 20, 6 << 20).every((byte) => byte === 7));
  t.true(s.disk.media.subarray(0, 5 << 20).every((byte) => byte === 0));
  t.is(s.ask(READ, 5n << 20n, 1 << 20), 0);
  t.deepEqual([...new Set(s.done())], [READ_10]);
});

test("many that are under way are all asked again, none is lost, and no path is blamed or left", (t) => {
  const s = scene();
  const client = s.host.connect(s.unit);
  for (let i = 0; i < 16; i++) {
    client.send(request(WRITE, BigInt(i), BigInt(i) * 65_536n, 65_536), Buffer.alloc(65_536, i + 1));
  }
  s.host.settle();
  t.deepEqual(
    replies(client.received).map(({ error }) => error),
    Array.from({ length: 16 }, () => 0),
  );
  for (let i = 0; i < 16; i++) t.is(s.disk.media[i * 65_536 + 65_535], i + 1);
  for (const path of s.paths) {
    t.is(s.errorsOf(path), 0n);
    t.is(s.host.u32(s.host.core.pathTable() + path * abi.PATH_BYTES + abi.PATH_FLAGS) & abi.PATH_FLAG_FAILED, 0);
  }
});

test("zeroing, flush and FUA work on such a device", (t) => {
  const cache = abi.UNIT_CAN_CACHE_WRITES;
  const s = scene({ capabilities: cache | abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_FUA });
  t.is(s.ask(WRITE, 0n, 1 << 20, { fill: 9 }), 0);
  s.done();
  t.is(s.ask(WRITE_ZEROES, 0n, 1 << 19), 0);
  t.true(s.disk.media.subarray(0, 1 << 19).every((byte) => byte === 0));
  t.is(s.disk.media[1 << 19], 9);
  s.done();
  t.is(s.ask(FLUSH, 0n, 0), 0);
  t.deepEqual(s.done(), [0x91, 0x35]);
  t.is(s.ask(WRITE, 0n, 512, { fill: 3, flags: FUA }), 0);
  t.deepEqual(
    s.host.log.splice(0).map(({ cdb }) => [cdb[0], cdb[1]]),
    [[WRITE_10, FUA_BIT]],
  );
});

test("FUA as the first that such a device hears: the write, then a flush", (t) => {
  const s = scene({ capabilities: abi.UNIT_CAN_CACHE_WRITES | abi.UNIT_CAN_FUA });
  t.is(s.ask(WRITE, 0n, 512, { fill: 3, flags: FUA }), 0);
  t.deepEqual(s.done(), [WRITE_16, WRITE_16, WRITE_10, 0x91, 0x35]);
  t.is(s.disk.media[511], 3);
});

test("a device that knows neither fails what is asked, each time after two commands", (t) => {
  const s = scene({ refused: [READ_10, WRITE_10, READ_16, WRITE_16] });
  for (let i = 0; i < 3; i++) {
    t.is(s.ask(READ, 0n, 512), EIO);
    t.deepEqual(s.done(), [READ_16, READ_10]);
  }
  for (let i = 0; i < 3; i++) {
    t.is(s.ask(WRITE, 0n, 512), EIO);
    t.deepEqual(s.done(), [WRITE_16, WRITE_10]);
  }
});

test("blocks that (10) cannot reach are not asked for with it: an address must never be cut short", (t) => {
  const s = scene({ blocks: (1n << 32n) + 64n });
  t.is(s.ask(READ, 0n, 512), 0);
  s.done();
  for (const block of [1n << 32n, (1n << 32n) + 8n]) {
    t.is(s.ask(WRITE, block << 9n, 512, { fill: 5 }), EIO);
    t.deepEqual(s.done(), [WRITE_16]);
  }
  t.true(s.disk.media.every((byte) => byte === 0));
});

test("an invalid field is no unknown operation: the device is asked once, and its answer is the client's", (t) => {
  const s = scene();
  s.host.device = () => check(5, 0x24, 0);
  t.is(s.ask(READ, 0n, 512), EIO);
  t.deepEqual(s.done(), [READ_16]);
});

test("patrol's READ is the short one there", (t) => {
  const s = scene({ paths: 1 });
  t.is(s.ask(READ, 0n, 512), 0);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_PATROL_READ, 1n));
  s.done();
  s.host.advance(200_000);
  const seen = new Set(s.done());
  t.true(seen.has(READ_10));
  t.false(seen.has(READ_16));
});
