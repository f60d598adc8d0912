// Every command reaches the medium and comes back as it should.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host } from "./fixtures/harness.ts";
import {
  CACHE,
  DF,
  DISC,
  FAST_ZERO,
  FLUSH,
  FUA,
  NO_HOLE,
  READ,
  TRIM,
  WRITE,
  WRITE_ZEROES,
  replies,
  request,
} from "./fixtures/nbd-client.ts";

interface Setup {
  host: Host;
  disk: Disk;
  unit: number;
  paths: number[];
}

function setup(
  options: { capabilities?: number; blockBytes?: number; megabytes?: number; paths?: number } = {},
): Setup {
  const host = new Host();
  host.keepLog = true;
  const bytes = (options.megabytes ?? 1) << 20;
  const disk = new Disk(bytes, options.blockBytes ?? 512);
  host.device = (command) => disk.execute(host, command);
  const blocks = BigInt(bytes / disk.blockBytes);
  const made = host.unit({ ...options, blocks, paths: options.paths ?? 2 });
  return { host, disk, ...made };
}

/** Nothing is in use when nothing is under way. */
function isIdle(host: Host, unit: number): boolean {
  return (
    host.core.inspect(0) === 256 &&
    host.core.inspect(1) === 256 &&
    host.core.inspect(2) === 64 << 20 &&
    host.unitField(unit, abi.UNIT_REQUESTS) === 0
  );
}

function operations(host: Host): string[] {
  return host.log.splice(0).map((command) => (command.cdb[0] ?? 0).toString(16));
}

for (const blockBytes of [512, 4096]) {
  test(`a write is read back, blocks of ${blockBytes} bytes, simple and structured`, (t) => {
    for (const flags of [0, abi.CONNECTION_STRUCTURED]) {
      const { host, disk, unit } = setup({ blockBytes });
      const client = host.connect(unit, flags);
      const data = Buffer.from(Array.from({ length: 8192 }, (_, i) => (i * 7) & 255));
      client.send(request(WRITE, 1n, 8192n, 8192), data, request(READ, 2n, 8192n, 8192));
      host.settle();
      const found = replies(client.received, new Map([[2n, 8192]]));
      t.deepEqual(
        found.map((reply) => [reply.cookie, reply.error]),
        [
          [1n, 0],
          [2n, 0],
        ],
      );
      t.deepEqual(found[1]?.data, data);
      t.deepEqual(disk.media.subarray(8192, 16384), data);
      t.true(isIdle(host, unit));
    }
  });
}

test("32 MiB are written and read in pieces of at most 1 MiB, of the transfer limit when that is less", (t) => {
  for (const limitBlocks of [0n, 256n, 1000n]) {
    const { host, disk, unit } = setup({ megabytes: 40 });
    host.must(host.core.unitSet(unit, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, limitBlocks));
    const client = host.connect(unit);
    const data = Buffer.alloc(32 << 20);
    for (let i = 0; i < data.length; i += 4096) data.writeUInt32LE(i, i);
    client.send(request(WRITE, 1n, 1n << 20n, data.length), data);
    host.settle();
    const limit = limitBlocks === 0n ? 1 << 20 : (Number(limitBlocks) * 512) & ~4095;
    t.true(host.log.length > 0 && host.log.every((command) => command.bytes <= limit));
    t.true(data.equals(disk.media.subarray(1 << 20, 33 << 20)));
    client.send(request(READ, 2n, 1n << 20n, data.length));
    host.settle();
    const found = replies(client.received, new Map([[2n, data.length]]));
    t.true(found[1]?.data.equals(data));
    t.true(isIdle(host, unit));
  }
});

test("payloads of every length arrive whole, however they are cut on the way", (t) => {
  const { host, disk, unit } = setup({ megabytes: 8 });
  const client = host.connect(unit);
  let at = 0;
  const expected = Buffer.alloc(8 << 20);
  const stream: Buffer[] = [];
  for (const blocks of [1, 7, 32, 33, 64, 127, 129, 2048, 2049, 3000]) {
    const data = Buffer.alloc(blocks * 512, blocks);
    data.copy(expected, at);
    stream.push(request(WRITE, BigInt(blocks), BigInt(at), data.length), data);
    at += data.length;
  }
  const all = Buffer.concat(stream);
  for (let sent = 0, step = 1; sent < all.length; sent += step, step = ((step * 31) % 70001) + 1) {
    client.send(all.subarray(sent, sent + step));
    host.settle();
  }
  t.true(expected.equals(disk.media));
  t.is(replies(client.received).filter((reply) => reply.error === 0).length, 10);
  t.true(isIdle(host, unit));
});

test("bytes that were received before the hand-over are parsed", (t) => {
  const { host, unit } = setup();
  const client = host.connect(
    unit,
    0,
    Buffer.concat([request(READ, 9n, 0n, 512), request(READ, 10n, 0n, 512).subarray(0, 5)]),
  );
  host.settle();
  client.send(request(READ, 10n, 0n, 512).subarray(5));
  host.settle();
  const found = replies(client.received, new Map([9n, 10n].map((cookie) => [cookie, 512])));
  t.deepEqual(
    found.map((reply) => reply.cookie),
    [9n, 10n],
  );
});

test("a flush is SYNCHRONIZE CACHE where there is a cache, and nothing where there is none", (t) => {
  const cached = setup({ capabilities: abi.UNIT_CAN_CACHE_WRITES });
  const client = cached.host.connect(cached.unit);
  client.send(request(FLUSH, 1n, 0n, 0));
  cached.host.settle();
  t.deepEqual(operations(cached.host), ["91"]);
  const plain = setup();
  const other = plain.host.connect(plain.unit);
  other.send(request(FLUSH, 1n, 0n, 0));
  plain.host.settle();
  t.deepEqual(operations(plain.host), []);
  t.is(replies(client.received)[0]?.error, 0);
  t.is(replies(other.received)[0]?.error, 0);
});

test("FUA is the bit where the device has it, and a flush behind the write where it has not", (t) => {
  const bit = setup({ capabilities: abi.UNIT_CAN_CACHE_WRITES | abi.UNIT_CAN_FUA });
  const client = bit.host.connect(bit.unit);
  client.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512));
  bit.host.settle();
  t.is(bit.host.log[0]?.cdb[1], 8);
  t.deepEqual(operations(bit.host), ["8a"]);
  const flush = setup({ capabilities: abi.UNIT_CAN_CACHE_WRITES });
  const held: number[] = [];
  flush.host.device = (command) => {
    held.push(command.cdb[0] ?? 0);
    return command.cdb[0] === 0x91 ? undefined : {};
  };
  const other = flush.host.connect(flush.unit);
  other.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512));
  flush.host.settle();
  t.deepEqual(held, [0x8a, 0x91]);
  t.is(replies(other.received).length, 0, "not acknowledged before it is on the medium");
  const [sync] = flush.host.outstanding;
  if (sync !== undefined) flush.host.answer(sync, {});
  flush.host.settle();
  t.is(replies(other.received)[0]?.error, 0);
});

test("a trim is UNMAP in pieces, one at a time, and nothing where the device cannot", (t) => {
  const { host, disk, unit } = setup({ capabilities: abi.UNIT_CAN_UNMAP, megabytes: 2 });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_UNMAP_BLOCKS_MAX, 1000n));
  disk.media.fill(1);
  const client = host.connect(unit);
  client.send(request(TRIM, 1n, 512n, 1 << 20));
  host.settle();
  t.deepEqual(operations(host), ["42", "42", "42"]);
  t.is(disk.media.indexOf(0), 512);
  t.true(disk.media.subarray(512, 512 + (1 << 20)).every((byte) => byte === 0));
  t.is(disk.media[512 + (1 << 20)], 1);
  t.is(replies(client.received)[0]?.error, 0);
  t.true(isIdle(host, unit));
  const cannot = setup();
  const other = cannot.host.connect(cannot.unit);
  other.send(request(TRIM, 1n, 0n, 4096));
  cannot.host.settle();
  t.deepEqual(operations(cannot.host), []);
  t.is(replies(other.received)[0]?.error, 0);
});

test("zeroes are written as the device can: WRITE SAME with and without unmapping, or WRITE", (t) => {
  const same = abi.UNIT_CAN_WRITE_SAME;
  const unmap = abi.UNIT_CAN_WRITE_SAME_UNMAP;
  for (const [capabilities, flags, operation, bits] of [
    [same | unmap, 0, 0x93, 8],
    [same | unmap, NO_HOLE, 0x93, 0],
    [same, 0, 0x93, 0],
    [0, 0, 0x8a, 0],
  ] as const) {
    const { host, disk, unit } = setup({ capabilities, megabytes: 4 });
    disk.media.fill(0xee);
    const client = host.connect(unit);
    client.send(request(WRITE_ZEROES, 1n, 4096n, 3 << 20, flags));
    host.settle();
    t.true(host.log.length > 0 && host.log.every((command) => command.cdb[0] === operation && command.cdb[1] === bits));
    t.true(disk.media.subarray(4096, 4096 + (3 << 20)).every((byte) => byte === 0));
    t.is(disk.media[4095], 0xee);
    t.is(disk.media[4096 + (3 << 20)], 0xee);
    t.is(replies(client.received)[0]?.error, 0);
    t.true(isIdle(host, unit));
  }
});

test("a device that refuses the WRITE SAME it announced gets WRITE instead", (t) => {
  const { host, disk, unit } = setup({ capabilities: abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_WRITE_SAME_UNMAP });
  disk.media.fill(0xee);
  host.device = (command) =>
    command.cdb[0] === 0x93 ? { status: 2, sense: [0x72, 5, 0x20, 0, 0, 0, 0, 0] } : disk.execute(host, command);
  const client = host.connect(unit);
  client.send(request(WRITE_ZEROES, 1n, 0n, 1 << 20));
  host.settle();
  t.is(replies(client.received)[0]?.error, 0);
  t.true(disk.media.every((byte) => byte === 0));
  client.send(request(WRITE_ZEROES, 2n, 0n, 4096));
  host.log.length = 0;
  host.settle();
  t.deepEqual(operations(host), ["8a"]);
});

test("a device that refuses the WRITE SAME it announced fails a fast zeroing rather than write it slowly", (t) => {
  const { host, disk, unit } = setup({ capabilities: abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_WRITE_SAME_UNMAP });
  host.device = (command) =>
    command.cdb[0] === 0x93 ? { status: 2, sense: [0x72, 5, 0x20, 0, 0, 0, 0, 0] } : disk.execute(host, command);
  const client = host.connect(unit, abi.CONNECTION_FAST_ZERO);
  client.send(request(WRITE_ZEROES, 1n, 0n, 1 << 20, FAST_ZERO));
  host.settle();
  t.is(replies(client.received)[0]?.error, 95);
  t.deepEqual(operations(host), ["93", "93"]);
  t.true(isIdle(host, unit));
});

test("structured reads: data, a hole for zeroes, DF in one chunk, nothing for length 0", (t) => {
  const { host, disk, unit } = setup();
  disk.media.fill(3, 0, 4096);
  const client = host.connect(unit, abi.CONNECTION_STRUCTURED);
  client.send(request(READ, 1n, 0n, 4096), request(READ, 2n, 65536n, 65536), request(READ, 3n, 0n, 0));
  client.send(request(READ, 4n, 0n, 131072, DF), request(CACHE, 5n, 0n, 4096));
  host.settle();
  const found = replies(client.received).toSorted((a, b) => Number(a.cookie - b.cookie));
  t.deepEqual(
    found.map((reply) => [reply.error, reply.chunks.join(), reply.data.length]),
    [
      [0, "1", 4096],
      [0, "2", 65536],
      [0, "0", 0],
      [0, "1", 131072],
      [0, "", 0],
    ],
  );
});

test("a structured read of several MiB is a hole only when every byte of it is zero", (t) => {
  const bytes = (3 << 20) + 65536;
  for (const at of [0, 63, 1 << 20, (2 << 20) - 1, 3 << 20, bytes - 64, bytes - 1, null]) {
    const { host, disk, unit } = setup({ megabytes: 4 });
    if (at !== null) disk.media[512 + at] = 1;
    // Its neighbours are none of it.
    disk.media.fill(2, 0, 512).fill(2, 512 + bytes);
    const client = host.connect(unit, abi.CONNECTION_STRUCTURED);
    client.send(request(READ, 1n, 512n, bytes));
    host.settle();
    const [reply] = replies(client.received);
    t.is(reply?.chunks.join(), at === null ? "2" : "1", `byte ${at}`);
    t.true(reply?.data.equals(disk.media.subarray(512, 512 + bytes)));
  }
});

test("DISC lets outstanding requests finish, answers them, then closes", (t) => {
  const { host, unit } = setup();
  host.device = () => undefined;
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512), request(DISC, 0n, 0n, 0), request(READ, 2n, 0n, 512));
  host.settle();
  t.false(client.closed);
  for (const command of host.outstanding.slice()) host.answer(command, {});
  host.settle();
  t.is(replies(client.received, new Map([[1n, 512]])).length, 1);
  t.true(client.closed);
  t.true(host.kinds().includes(abi.EVENT_CONNECTION_CLOSED));
  t.true(isIdle(host, unit));
  t.is(host.unitField(unit, abi.UNIT_CONNECTIONS), 0);
});

test("many requests in one RECV leave in few SENDs, and none of them twice", (t) => {
  const { host, unit } = setup();
  const client = host.connect(unit);
  const count = 200;
  for (let i = 0; i < count; i++) client.send(request(READ, BigInt(i), BigInt(i % 8) * 4096n, 4096));
  host.settle();
  const found = replies(client.received, new Map(Array.from({ length: count }, (_, i) => [BigInt(i), 4096])));
  t.is(new Set(found.map((reply) => reply.cookie)).size, count);
  t.is(found.length, count);
  t.true(isIdle(host, unit));
});
