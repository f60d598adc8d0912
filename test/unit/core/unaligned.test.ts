// A client that did not ask for block sizes may read and write any bytes, and harms nobody who writes beside it.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import type { Client } from "./fixtures/harness.ts";
import { Host } from "./fixtures/harness.ts";
import { DF, FUA, READ, TRIM, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";
import { check } from "./fixtures/scsi.ts";

const MIB = 1 << 20;
const EIO = 5;
const UNALIGNED = abi.CONNECTION_UNALIGNED | abi.CONNECTION_TRIM;

interface Scene {
  host: Host;
  disk: Disk;
  unit: number;
  paths: number[];
  client: Client;
  free: number[];
}

const idle = (host: Host): number[] => [0, 1, 2].map((what) => host.core.inspect(what));

/** A unit of 4 MiB whose bytes are told apart by where they are. `held`: commands stay outstanding. */
function scene(options: { blockBytes?: number; capabilities?: number; held?: boolean; flags?: number } = {}): Scene {
  const host = new Host();
  const blockBytes = options.blockBytes ?? 512;
  const disk = new Disk(4 * MIB, blockBytes);
  for (let i = 0; i < disk.media.length; i++) disk.media[i] = 1 + (i % 251);
  host.keepLog = true;
  host.device = (command) => (options.held === true && !command.check ? undefined : disk.execute(host, command));
  const capabilities = options.capabilities ?? 0;
  const { unit, paths } = host.unit({ blocks: BigInt(disk.media.length / blockBytes), blockBytes, capabilities });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  return { host, disk, unit, paths, client: host.connect(unit, options.flags ?? UNALIGNED), free: idle(host) };
}

const answered = (client: Client, lengths: [bigint, number][] = []): [number, number][] =>
  replies(client.received, new Map(lengths)).map(({ cookie, error }) => [Number(cookie), error]);

/** Carries one outstanding command out. */
function carryOut(s: Scene, command: Scsi | undefined): void {
  if (command === undefined) throw new Error("nothing is outstanding");
  s.host.answer(command, s.disk.execute(s.host, command));
  s.host.settle();
}

const isRead = ({ cdb }: Scsi): boolean => cdb[0] === 0x88;
const isWrite = ({ cdb }: Scsi): boolean => cdb[0] === 0x8a;

const RANGES: readonly [number, number][] = [
  [0, 1],
  [1, 1],
  [511, 1],
  [511, 2],
  [100, 300],
  [0, 700],
  [100, 412],
  [300, 4000],
  [4096, 5000],
  [4095, 4097],
  [12345, 70001],
  [MIB - 1, 2],
  [MIB - 3, MIB + 7],
  [1, 3 * MIB],
];

for (const blockBytes of [512, 4096]) {
  test(`any bytes are read, with simple and structured replies, blocks of ${blockBytes} bytes`, (t) => {
    for (const flags of [UNALIGNED, UNALIGNED | abi.CONNECTION_STRUCTURED]) {
      const { host, disk, client, free } = scene({ blockBytes, flags });
      for (const [at, bytes] of RANGES) {
        const command = (flags & abi.CONNECTION_STRUCTURED) !== 0 ? DF : 0;
        client.send(request(READ, 1n, BigInt(at), bytes, command));
        host.settle();
        const [reply] = replies(client.received, new Map([[1n, bytes]]));
        t.is(reply?.error, 0);
        t.true(reply?.data.equals(disk.media.subarray(at, at + bytes)), `${at}+${bytes}`);
      }
      t.deepEqual(idle(host), free);
    }
  });

  test(`any bytes are written, and none beside them, blocks of ${blockBytes} bytes`, (t) => {
    const { host, disk, client, free } = scene({ blockBytes });
    const model = Buffer.from(disk.media);
    for (const [at, bytes] of RANGES) {
      const data = Buffer.alloc(bytes, at);
      data.copy(model, at);
      client.send(request(WRITE, 1n, BigInt(at), bytes), data);
      host.settle();
      t.deepEqual(answered(client), [[1, 0]]);
      t.true(disk.media.equals(model), `${at}+${bytes}`);
    }
    t.deepEqual(idle(host), free);
  });

  for (const capabilities of [0, abi.UNIT_CAN_WRITE_SAME, abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_UNMAP]) {
    test(`any bytes are zeroed, a trim leaves edges alone, blocks of ${blockBytes} bytes, ${capabilities}`, (t) => {
      const { host, disk, client, free } = scene({ blockBytes, capabilities });
      const model = Buffer.from(disk.media);
      for (const [at, bytes] of RANGES) {
        client.send(request(WRITE_ZEROES, 1n, BigInt(at), bytes));
        host.settle();
        t.deepEqual(answered(client), [[1, 0]]);
        model.fill(0, at, at + bytes);
        t.true(disk.media.equals(model), `zeroes ${at}+${bytes}`);
      }
      disk.media.fill(7);
      model.fill(7);
      for (const [at, bytes] of RANGES) {
        client.send(request(TRIM, 1n, BigInt(at), bytes));
        host.settle();
        t.deepEqual(answered(client), [[1, 0]]);
        const [first, end] = [Math.ceil(at / blockBytes), Math.floor((at + bytes) / blockBytes)];
        if ((capabilities & abi.UNIT_CAN_UNMAP) !== 0 && first < end)
          model.fill(0, first * blockBytes, end * blockBytes);
        t.true(disk.media.equals(model), `trim ${at}+${bytes}`);
      }
      t.deepEqual(idle(host), free);
    });
  }
}

test("a payload of 32 MiB need not be aligned either; where the pool is too small for its edges it is refused", (t) => {
  for (const pool of [32 << 20, 64 << 20]) {
    const host = new Host({ pool });
    const disk = new Disk(40 * MIB);
    host.device = (command) => disk.execute(host, command);
    const { unit } = host.unit({ blocks: BigInt(disk.media.length / 512) });
    const client = host.connect(unit, UNALIGNED);
    const free = idle(host);
    const data = Buffer.alloc(32 * MIB, 0x5a);
    client.send(request(WRITE, 1n, 1n, data.length), data, request(READ, 2n, 1n, data.length));
    host.settle();
    const found = replies(client.received, new Map([[2n, data.length]]));
    if (pool === 64 << 20) {
      t.deepEqual(
        found.map(({ error }) => error),
        [0, 0],
      );
      t.true(found[1]?.data.equals(data));
    } else
      t.deepEqual(
        found.map(({ error }) => error),
        [75, 22],
      );
    t.deepEqual(idle(host), free);
  }
});

test("FUA holds for edges: the bit, or a flush behind all of it", (t) => {
  const bit = scene({ capabilities: abi.UNIT_CAN_FUA | abi.UNIT_CAN_CACHE_WRITES });
  bit.client.send(request(WRITE_ZEROES, 1n, 100n, 3000, FUA));
  bit.host.settle();
  const written = bit.host.log.filter(isWrite);
  t.true(written.length > 0 && written.every(({ cdb }) => cdb[1] === 8));
  const flush = scene({ capabilities: abi.UNIT_CAN_CACHE_WRITES });
  flush.client.send(request(WRITE, 1n, 100n, 3000, FUA), Buffer.alloc(3000));
  flush.host.settle();
  t.deepEqual(
    flush.host.log.map(({ cdb }) => cdb[0]),
    [0x88, 0x88, 0x8a, 0x91],
  );
  t.deepEqual(answered(flush.client), [[1, 0]]);
});

test("two writes into one block keep each other's bytes, whichever comes first", (t) => {
  const s = scene({ held: true });
  const other = s.host.connect(s.unit, UNALIGNED);
  const model = Buffer.from(s.disk.media);
  s.client.send(request(WRITE, 1n, 10n, 100), Buffer.alloc(100, 0xaa));
  other.send(request(WRITE, 2n, 200n, 100), Buffer.alloc(100, 0xbb));
  s.host.settle();
  t.is(s.host.outstanding.length, 1, "the second one waits until the first is written");
  model.fill(0xaa, 10, 110);
  model.fill(0xbb, 200, 300);
  for (let i = 0; i < 4; i++) carryOut(s, s.host.outstanding[0]);
  t.deepEqual(
    [...answered(s.client), ...answered(other)],
    [
      [1, 0],
      [2, 0],
    ],
  );
  t.true(s.disk.media.equals(model));
  t.deepEqual(idle(s.host), s.free);
});

for (const [name, kind] of [
  ["a write", WRITE],
  ["a zeroing", WRITE_ZEROES],
  ["a trim", TRIM],
] as const) {
  test(`${name} of whole blocks that is under way is waited for, and one that comes waits`, (t) => {
    const s = scene({ held: true, capabilities: abi.UNIT_CAN_UNMAP });
    const other = s.host.connect(s.unit);
    const whole = (cookie: bigint): Buffer =>
      Buffer.concat([request(kind, cookie, 0n, 1024), Buffer.alloc(kind === WRITE ? 1024 : 0, 0xcc)]);
    const model = Buffer.from(s.disk.media);
    other.send(whole(1n));
    s.host.settle();
    s.client.send(request(WRITE, 2n, 500n, 100), Buffer.alloc(100, 0xdd));
    s.host.settle();
    t.is(s.host.outstanding.filter(isRead).length, 0, "what is under way would change what it reads");
    carryOut(s, s.host.outstanding[0]);
    other.send(whole(3n));
    s.host.settle();
    for (let i = 0; i < 3; i++) {
      t.is(s.host.outstanding.length, 1, `command ${i} is alone`);
      carryOut(s, s.host.outstanding[0]);
    }
    t.deepEqual(answered(s.client), [[2, 0]]);
    t.deepEqual(answered(other), [[1, 0]]);
    model.fill(kind === WRITE ? 0xcc : 0, 0, 1024);
    model.fill(0xdd, 500, 600);
    t.true(s.disk.media.equals(model));
    carryOut(s, s.host.outstanding[0]);
    t.deepEqual(answered(other), [[3, 0]]);
    t.deepEqual(idle(s.host), s.free);
  });
}

test("reads, flushes and writes elsewhere wait for nothing", (t) => {
  const s = scene({ held: true });
  const other = s.host.connect(s.unit);
  s.client.send(request(WRITE, 1n, 10n, 100), Buffer.alloc(100));
  other.send(request(READ, 2n, 0n, 512), request(WRITE, 3n, 512n, 512), Buffer.alloc(512), request(3, 4n, 0n, 0));
  s.host.settle();
  t.is(s.host.outstanding.length, 3);
  t.deepEqual(answered(other), [[4, 0]]);
});

test("writes of others that keep coming do not starve one with edges", (t) => {
  const s = scene({ held: true });
  const other = s.host.connect(s.unit);
  let cookie = 100n;
  const more = (): void => other.send(request(WRITE, cookie++, 0n, 512), Buffer.alloc(512, 1));
  more();
  s.host.settle();
  s.client.send(request(WRITE, 1n, 10n, 100), Buffer.alloc(100));
  s.host.settle();
  let commands = 0;
  while (commands < 10 && answered(s.client).length === 0) {
    more();
    s.host.settle();
    carryOut(s, s.host.outstanding[0]);
    commands++;
  }
  t.is(commands, 3, "the write before it, its read, its write");
});

test("a read of an edge that is late, and was asked elsewhere, changes nothing of what is written", (t) => {
  const s = scene({ held: true });
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 100n));
  const model = Buffer.from(s.disk.media);
  s.client.send(request(WRITE, 1n, 10n, 100), Buffer.alloc(100, 0xaa));
  s.host.advance(120);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  const [late, again] = s.host.outstanding.filter(isRead);
  if (late === undefined || again === undefined) return t.fail();
  carryOut(s, again);
  // The late one brings whatever it likes while the write is under way.
  s.host.bytes(late.buffer, late.bytes).fill(0xee);
  s.host.answer(late, {});
  s.host.settle();
  carryOut(s, s.host.outstanding.find(isWrite));
  t.deepEqual(answered(s.client), [[1, 0]]);
  model.fill(0xaa, 10, 110);
  t.true(s.disk.media.equals(model));
  t.deepEqual(idle(s.host), s.free);
});

test("its write waits for an orphan, and so does its read", (t) => {
  const s = scene({ held: true });
  const { host } = s;
  host.must(host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 100n));
  host.must(host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 0n));
  host.must(host.core.unitSet(s.unit, abi.UNIT_SET_LOST_RESET_MS, 0n));
  const other = host.connect(s.unit);
  other.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 0x11));
  host.advance(120);
  host.must(host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  const [orphan, again] = host.outstanding.filter(isWrite);
  if (orphan === undefined || again === undefined) return t.fail();
  carryOut(s, again);
  t.deepEqual(answered(other), [[1, 0]]);
  s.client.send(request(WRITE, 2n, 10n, 100), Buffer.alloc(100, 0xaa));
  host.settle();
  t.deepEqual(host.outstanding, [orphan]);
  carryOut(s, orphan);
  carryOut(s, host.outstanding.find(isRead));
  carryOut(s, host.outstanding.find(isWrite));
  t.deepEqual(answered(s.client), [[2, 0]]);
});

test("at its deadline what the host has of it is an orphan that the next one waits for", (t) => {
  const s = scene({ held: true });
  const { host } = s;
  host.must(host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n));
  s.client.send(request(WRITE, 1n, 10n, 100), Buffer.alloc(100, 0xaa));
  host.settle();
  carryOut(s, host.outstanding.find(isRead));
  host.advance(900);
  const other = host.connect(s.unit, UNALIGNED);
  other.send(request(WRITE, 2n, 200n, 100), Buffer.alloc(100, 0xbb));
  host.advance(200);
  t.deepEqual(answered(s.client), [[1, EIO]]);
  t.is(host.outstanding.filter(isWrite).length, 1);
  t.is(host.outstanding.filter(isRead).length, 0, "the orphan may still write the block");
  carryOut(s, host.outstanding.find(isWrite));
  carryOut(s, host.outstanding.find(isRead));
  carryOut(s, host.outstanding.find(isWrite));
  t.deepEqual(answered(other), [[2, 0]]);
  t.true(s.disk.media.subarray(10, 110).every((byte) => byte === 0xaa));
  t.true(s.disk.media.subarray(200, 300).every((byte) => byte === 0xbb));
  t.deepEqual(idle(host), s.free);
});

test("commands of an earlier daemon that are found between its read and its write fail it", (t) => {
  const s = scene({ held: true });
  s.client.send(request(WRITE, 1n, 10n, 100), Buffer.alloc(100, 0xaa));
  s.host.settle();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, 1n));
  carryOut(s, s.host.outstanding.find(isRead));
  t.deepEqual(answered(s.client), [[1, EIO]]);
  t.is(s.host.outstanding.length, 0);
  s.client.send(request(WRITE, 2n, 10n, 100), Buffer.alloc(100, 0xaa));
  s.host.settle();
  t.is(s.host.outstanding.length, 0);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, 0n));
  s.host.settle();
  carryOut(s, s.host.outstanding.find(isRead));
  carryOut(s, s.host.outstanding.find(isWrite));
  t.deepEqual(answered(s.client), [[2, 0]]);
  t.deepEqual(idle(s.host), s.free);
});

test("an edge that cannot be read fails the write, nothing is written, and others go on", (t) => {
  const s = scene();
  const before = Buffer.from(s.disk.media);
  s.host.device = (command) => (isRead(command) ? check(3, 0x11, 0) : s.disk.execute(s.host, command));
  s.client.send(request(WRITE, 1n, 10n, 100), Buffer.alloc(100, 0xaa), request(WRITE, 2n, 10n, 100));
  s.client.send(Buffer.alloc(100, 0xaa));
  s.host.settle();
  t.deepEqual(answered(s.client), [
    [1, EIO],
    [2, EIO],
  ]);
  t.true(s.disk.media.equals(before));
  t.deepEqual(idle(s.host), s.free);
});

test("a client that has gone lets those go on that waited for it", (t) => {
  const s = scene({ held: true });
  const other = s.host.connect(s.unit);
  s.client.send(request(WRITE, 1n, 10n, 100), Buffer.alloc(100, 0xaa));
  other.send(request(WRITE, 2n, 0n, 512), Buffer.alloc(512, 0xbb));
  s.host.settle();
  s.client.gone = true;
  s.host.settle();
  t.is(s.host.outstanding.filter(isWrite).length, 1, "it has only read");
  for (const command of s.host.outstanding.slice()) carryOut(s, command);
  t.deepEqual(answered(other), [[2, 0]]);
  t.true(s.disk.media.subarray(0, 512).every((byte) => byte === 0xbb));
  t.deepEqual(idle(s.host), s.free);
});

test("what an aligned client may not, it still may not", (t) => {
  const s = scene({ flags: abi.CONNECTION_TRIM });
  s.client.send(request(READ, 1n, 1n, 512), request(WRITE, 2n, 0n, 100), Buffer.alloc(100));
  s.host.settle();
  t.deepEqual(answered(s.client), [
    [1, 22],
    [2, 22],
  ]);
});

for (const [name, kind, offset, bytes, error] of [
  ["a read", READ, 0n, 512, 22],
  ["a write", WRITE, 0n, 512, 28],
  ["a write with edges", WRITE, 100n, 512, 28],
  ["a zeroing", WRITE_ZEROES, 0n, 4096, 28],
  ["a zeroing with edges", WRITE_ZEROES, 100n, 4096, 28],
  ["a trim", TRIM, 0n, 4096, 22],
] as const) {
  test(`${name} that every path answers with "past the end" fails as the client's request does, not as a part of it`, (t) => {
    const s = scene({ capabilities: abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME });
    s.host.device = (command) => (command.check ? s.disk.execute(s.host, command) : check(5, 0x21, 0));
    s.client.send(request(kind, 1n, offset, bytes), Buffer.alloc(kind === WRITE ? bytes : 0));
    s.host.advance(1000);
    t.deepEqual(answered(s.client), [[1, error]]);
    t.deepEqual(idle(s.host), s.free);
  });
}

test("a write of the very next block does not wait", (t) => {
  const s = scene({ held: true });
  const other = s.host.connect(s.unit);
  s.client.send(request(WRITE, 1n, 10n, 502), Buffer.alloc(502));
  s.host.settle();
  other.send(request(WRITE, 3n, 512n, 512), Buffer.alloc(512), request(WRITE, 5n, 0n, 512), Buffer.alloc(512));
  s.host.settle();
  t.deepEqual(
    s.host.outstanding.filter(isWrite).map(({ cdb }) => Number(cdb.readBigUInt64BE(2))),
    [1],
  );
});
