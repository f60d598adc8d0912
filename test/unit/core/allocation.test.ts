// BLOCK_STATUS tells what the device tells by GET LBA STATUS, and that all is data where it tells nothing.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import type { Client } from "./fixtures/harness.ts";
import { Host } from "./fixtures/harness.ts";
import type { Reply } from "./fixtures/nbd-client.ts";
import {
  BLOCK_STATUS,
  CACHE,
  FLUSH,
  PAYLOAD_LENGTH,
  READ,
  REQ_ONE,
  TRIM,
  WRITE,
  WRITE_ZEROES,
  extendedRequest,
  replies,
  request,
} from "./fixtures/nbd-client.ts";
import type { Answer, Scsi } from "./fixtures/scsi.ts";
import { check } from "./fixtures/scsi.ts";

const ALLOCATION = abi.CONNECTION_STRUCTURED | abi.CONNECTION_ALLOCATION;
const EXTENDED = ALLOCATION | abi.CONNECTION_EXTENDED | abi.CONNECTION_TRIM;
const STATUS = abi.UNIT_CAN_LBA_STATUS;
const DATA = 0n;
const ZERO = 2n;
const HOLE = 3n;
const TIB = 1n << 40n;

interface Scene {
  host: Host;
  unit: number;
  client: Client;
  free: number[];
  asked: Scsi[];
}

const idle = (host: Host): number[] => [0, 1, 2].map((what) => host.core.inspect(what));

/** Parameter data of GET LBA STATUS. */
function lbaStatus(descriptors: readonly (readonly [bigint | number, number, number])[], length?: number): Buffer {
  const data = Buffer.alloc(8 + 16 * descriptors.length);
  data.writeUInt32BE(length ?? data.length - 4, 0);
  descriptors.forEach(([lba, blocks, status], i) => {
    data.writeBigUInt64BE(BigInt(lba), 8 + 16 * i);
    data.writeUInt32BE(blocks, 16 + 16 * i);
    data[20 + 16 * i] = status;
  });
  return data;
}

/** A unit of 1 TiB whose device answers GET LBA STATUS with `tell`. */
function scene(
  tell: Buffer | Answer,
  options: { flags?: number; blockBytes?: number; capabilities?: number } = {},
): Scene {
  const host = new Host();
  const asked: Scsi[] = [];
  host.device = (command) => {
    if (command.cdb[0] !== 0x9e) return {};
    asked.push(command);
    if (!Buffer.isBuffer(tell)) return tell;
    tell.copy(host.bytes(command.buffer, command.bytes));
    return { residual: command.bytes - tell.length };
  };
  const blockBytes = options.blockBytes ?? 512;
  const { unit } = host.unit({
    blocks: TIB / BigInt(blockBytes),
    blockBytes,
    capabilities: options.capabilities ?? STATUS,
  });
  return { host, unit, client: host.connect(unit, options.flags ?? ALLOCATION), free: idle(host), asked };
}

function ask(s: Scene, offset: number | bigint, length: number, flags = 0): Reply | undefined {
  s.client.send(request(BLOCK_STATUS, 9n, BigInt(offset), length, flags));
  s.host.settle();
  return replies(s.client.received)[0];
}

const extents = (s: Scene, offset: number | bigint, length: number, flags = 0): unknown =>
  ask(s, offset, length, flags)?.extents;

test("mapped is data, deallocated a hole that reads as zeroes, anchored zeroes; neighbours of one kind are one extent", (t) => {
  const s = scene(
    lbaStatus([
      [8, 8, 0],
      [16, 8, 1],
      [24, 8, 1],
      [32, 8, 2],
      [40, 8, 3],
      [48, 8, 4],
      [56, 8, 9],
    ]),
  );
  t.deepEqual(extents(s, 4096, 1 << 20), [
    [4096n, DATA],
    [8192n, HOLE],
    [4096n, ZERO],
    [12288n, DATA],
  ]);
  t.deepEqual([...(s.asked[0]?.cdb ?? [])], [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0x10, 0, 0, 0]);
  t.deepEqual(idle(s.host), s.free);
});

test("no extent reaches beyond what was asked, and REQ_ONE gets one", (t) => {
  const s = scene(
    lbaStatus([
      [0, 100, 1],
      [100, 100, 0],
      [200, 4000, 1],
    ]),
  );
  t.deepEqual(extents(s, 0, 150 * 512), [
    [51200n, HOLE],
    [25600n, DATA],
  ]);
  t.deepEqual(extents(s, 0, 150 * 512, REQ_ONE), [[51200n, HOLE]]);
  t.deepEqual(extents(s, 0, 512, REQ_ONE), [[512n, HOLE]]);
  t.deepEqual(extents(s, 99 * 512, 1024), [
    [512n, HOLE],
    [512n, DATA],
  ]);
});

test("what a device tells is not trusted: gaps, steps back, nothing, the end of the unit, lengths that lie", (t) => {
  const blocks = TIB / 512n;
  const cases: [string, Buffer | Answer, bigint, unknown][] = [
    ["nothing", lbaStatus([]), 0n, [[8192n, DATA]]],
    ["no bytes", { residual: 4096 }, 0n, [[8192n, DATA]]],
    ["zero blocks", lbaStatus([[0, 0, 1]]), 0n, [[8192n, DATA]]],
    ["begins behind what was asked", lbaStatus([[1, 8, 1]]), 0n, [[8192n, DATA]]],
    ["ends before what was asked", lbaStatus([[0, 1, 1]]), 4096n, [[8192n, DATA]]],
    [
      "a gap",
      lbaStatus([
        [0, 4, 1],
        [5, 8, 1],
      ]),
      0n,
      [[2048n, HOLE]],
    ],
    [
      "a step back",
      lbaStatus([
        [0, 4, 1],
        [2, 80, 0],
      ]),
      0n,
      [[2048n, HOLE]],
    ],
    ["beyond the end", lbaStatus([[blocks - 16n, 17, 1]]), TIB - 8192n, [[8192n, DATA]]],
    ["LBAs that overflow", lbaStatus([[0xffff_ffff_ffff_ffffn, 2, 1]]), 0n, [[8192n, DATA]]],
    ["a length of more than came", lbaStatus([[0, 4, 1]], 4000), 0n, [[2048n, HOLE]]],
    ["a length that overflows", lbaStatus([[0, 4, 1]], 0xffff_fffc), 0n, [[2048n, HOLE]]],
    [
      "a length of less than came",
      lbaStatus(
        [
          [0, 4, 1],
          [4, 4, 1],
        ],
        20,
      ),
      0n,
      [[2048n, HOLE]],
    ],
    [
      "a length that ends within a descriptor",
      lbaStatus(
        [
          [0, 4, 1],
          [4, 4, 1],
        ],
        35,
      ),
      0n,
      [[2048n, HOLE]],
    ],
  ];
  for (const [name, tell, offset, expected] of cases) {
    t.deepEqual(extents(scene(tell), offset, 8192), expected, name);
  }
});

test("a full page of descriptors is told, and no more", (t) => {
  const many = Array.from({ length: 255 }, (_, i): [number, number, number] => [i, 1, i % 2]);
  const s = scene(lbaStatus(many));
  t.deepEqual(
    extents(s, 0, 1 << 20),
    many.map(([, , status]) => [512n, status === 1 ? HOLE : DATA]),
  );
});

test("the longest extent of 32 bits is followed by the next one, and one that had to be cut is the last", (t) => {
  const longest = 0xffff_f000 / 512;
  const s = scene(
    lbaStatus([
      [0, longest, 1],
      [longest, 8, 0],
    ]),
  );
  t.deepEqual(extents(s, 0, 0xffff_fe00), [
    [0xffff_f000n, HOLE],
    [0xe00n, DATA],
  ]);
  const cut = scene(
    lbaStatus([
      [0, longest + 1, 1],
      [longest + 1, 8, 0],
    ]),
  );
  t.deepEqual(extents(cut, 0, 0xffff_fe00), [[0xffff_f000n, HOLE]]);
});

test("a device that cannot tell is not asked again: all is data", (t) => {
  for (const answer of [check(5, 0x20, 0), check(5, 0x24, 0)]) {
    const s = scene(answer);
    t.deepEqual(extents(s, 0, 1 << 20), [[1n << 20n, DATA]]);
    t.deepEqual(extents(s, 4096, 4096), [[4096n, DATA]]);
    t.is(s.asked.length, 1);
  }
  const never = scene({}, { capabilities: 0 });
  t.deepEqual(extents(never, 0, 0xffff_fe00), [[0xffff_f000n, DATA]], "the longest extent of 32 bits, whole blocks");
  t.is(never.asked.length, 0);
  t.deepEqual(idle(never.host), never.free);
});

test("a device that errs tells nothing: data; one that is reserved for others refuses", (t) => {
  t.deepEqual(extents(scene(check(3, 0x11, 0)), 0, 4096), [[4096n, DATA]]);
  const reserved = ask(scene({ status: 0x18 }), 0, 4096);
  t.is(reserved?.error, 1);
  t.deepEqual(reserved?.chunks, [0x8001]);
});

test("a path that does not answer holds nobody up, and what it brings late changes no reply", (t) => {
  const s = scene({});
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 100n));
  s.host.device = ({ check: isCheck }) => (isCheck ? {} : undefined);
  s.client.holdSends = true;
  s.client.send(request(BLOCK_STATUS, 9n, 0n, 8192));
  s.host.advance(120);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  const [late, again] = s.host.outstanding;
  if (late === undefined || again === undefined) return t.fail();
  t.not(late.buffer, again.buffer);
  const tell = lbaStatus([[0, 16, 1]]);
  tell.copy(s.host.bytes(again.buffer, again.bytes));
  s.host.answer(again, { residual: again.bytes - tell.length });
  s.host.settle();
  s.host.bytes(late.buffer, late.bytes).fill(0xee);
  s.host.answer(late, {});
  s.host.settle();
  s.client.holdSends = false;
  s.host.settle();
  t.deepEqual(replies(s.client.received)[0]?.extents, [[8192n, HOLE]]);
  for (const command of s.host.outstanding.slice()) s.host.answer(command, {});
  s.host.settle();
  t.deepEqual(idle(s.host), s.free);
});

test("where block sizes were not asked for, extents begin and end with what was asked", (t) => {
  const s = scene(
    lbaStatus([
      [0, 4, 1],
      [4, 4, 0],
    ]),
    { flags: ALLOCATION | abi.CONNECTION_UNALIGNED },
  );
  t.deepEqual(extents(s, 100, 3000), [
    [1948n, HOLE],
    [1052n, DATA],
  ]);
});

test("extended headers: every command has one chunk with the offset that was asked for, and 64 bits of length", (t) => {
  const s = scene(
    lbaStatus([
      [0, 1 << 30, 1],
      [1 << 30, (1 << 30) - 1, 1],
      [2 ** 31 - 1, 1, 0],
    ]),
    {
      flags: EXTENDED,
    },
  );
  const { host, client } = s;
  const data = Buffer.alloc(4096, 0x11);
  host.device = ((device) => (command: Scsi) => {
    if (command.cdb[0] === 0x88) host.bytes(command.buffer, command.bytes).fill(0x22);
    return device(command);
  })(host.device);
  client.send(extendedRequest(WRITE, 1n, 4096n, 4096n, PAYLOAD_LENGTH), data);
  client.send(extendedRequest(READ, 2n, 8192n, 4096n), extendedRequest(FLUSH, 3n, 0n, 0n));
  client.send(extendedRequest(TRIM, 4n, 0n, 1n << 33n), extendedRequest(CACHE, 5n, 0n, 1n << 39n));
  client.send(extendedRequest(BLOCK_STATUS, 6n, 0n, TIB), extendedRequest(READ, 7n, TIB, 512n));
  client.send(extendedRequest(READ, 8n, 512n, 0n), extendedRequest(77, 10n, 5n, 1n));
  host.settle();
  const found = replies(client.received).toSorted((a, b) => Number(a.cookie - b.cookie));
  t.deepEqual(
    found.map(({ cookie, error, chunks, offset, data: { length } }) => [cookie, error, chunks.join(), offset, length]),
    [
      [1n, 0, "0", 4096n, 0],
      [2n, 0, "1", 8192n, 4096],
      [3n, 0, "0", 0n, 0],
      [4n, 0, "0", 0n, 0],
      [5n, 0, "0", 0n, 0],
      [6n, 0, "6", 0n, 0],
      [7n, 22, "32769", TIB, 0],
      [8n, 0, "0", 512n, 0],
      [10n, 22, "32769", 5n, 0],
    ],
  );
  t.deepEqual(found[5]?.extents, [
    [TIB - 512n, HOLE],
    [512n, DATA],
  ]);
  t.deepEqual(idle(host), s.free);
});

test("extended headers: zeroes and trims of more than 32 bits are carried out to their end", (t) => {
  const capabilities = abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_UNMAP;
  const s = scene({}, { flags: EXTENDED, capabilities });
  for (const property of [abi.UNIT_SET_WRITE_SAME_BLOCKS_MAX, abi.UNIT_SET_UNMAP_BLOCKS_MAX]) {
    s.host.must(s.host.core.unitSet(s.unit, property, 1n << 21n));
  }
  for (const [kind, operation] of [
    [WRITE_ZEROES, 0x93],
    [TRIM, 0x42],
  ] as const) {
    const covered: [bigint, bigint][] = [];
    s.host.device = (command) => {
      if (command.cdb[0] !== operation) return {};
      const list = s.host.bytes(command.buffer, command.bytes);
      if (operation === 0x42) covered.push([list.readBigUInt64BE(8), BigInt(list.readUInt32BE(16))]);
      else covered.push([command.cdb.readBigUInt64BE(2), BigInt(command.cdb.readUInt32BE(10))]);
      return {};
    };
    s.client.send(extendedRequest(kind, 1n, 1n << 20n, 10n << 30n));
    s.host.settle();
    t.deepEqual(
      replies(s.client.received).map(({ error }) => error),
      [0],
    );
    let next = (1n << 20n) / 512n;
    for (const [lba, blocks] of covered.toSorted(([a], [b]) => Number(a - b))) {
      t.is(lba, next);
      next += blocks;
    }
    t.is(next, ((10n << 30n) + (1n << 20n)) / 512n);
  }
  t.deepEqual(idle(s.host), s.free);
});

test("extended headers: a payload where none belongs is skipped, an absurd one closes, a plain header closes", (t) => {
  const s = scene({}, { flags: EXTENDED });
  s.client.send(extendedRequest(READ, 1n, 0n, 512n, PAYLOAD_LENGTH), Buffer.alloc(512, 0x25));
  s.client.send(extendedRequest(READ, 2n, 0n, 512n));
  s.host.settle();
  t.deepEqual(
    replies(s.client.received).map(({ cookie, error }) => [cookie, error]),
    [
      [1n, 22],
      [2n, 0],
    ],
  );
  s.client.send(extendedRequest(READ, 3n, 0n, 1n << 62n, PAYLOAD_LENGTH));
  s.host.settle();
  t.true(s.client.closed);
  const plain = scene({}, { flags: EXTENDED });
  plain.client.send(request(READ, 1n, 0n, 512), Buffer.alloc(4));
  plain.host.settle();
  t.true(plain.client.closed);
});
