// Requests in legs, where something comes between them: power is lost before their flush, commands of an earlier daemon are found.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host, type Client } from "./fixtures/harness.ts";
import { FUA, READ, WRITE, WRITE_ZEROES, extendedRequest, replies, request } from "./fixtures/nbd-client.ts";
import { check, type Scsi } from "./fixtures/scsi.ts";

const EIO = 5;
const GIB = 1n << 30n;
const UNALIGNED = abi.CONNECTION_UNALIGNED;
const CACHE = abi.UNIT_CAN_CACHE_WRITES;
const SYNC = 0x91;
const SAME = 0x93;

const errors = (client: Client): [number, number][] =>
  replies(client.received, new Map([[9n, 512]])).map(({ cookie, error }) => [Number(cookie), error]);

for (const [name, offset, bytes] of [
  ["a tail only", 512, 700],
  ["a head only", 100, 924],
  ["head and tail", 100, 2000],
  ["head and tail in two blocks", 500, 100],
  ["one block only, its head", 0, 100],
  ["one block only, its tail", 412, 100],
  ["the middle of one block", 100, 100],
] as const) {
  for (const capabilities of [CACHE, CACHE | abi.UNIT_CAN_WRITE_SAME]) {
    for (const kind of [WRITE, WRITE_ZEROES]) {
      test(`power is lost before the flush of FUA, ${name}, ${kind === WRITE ? "written" : "zeroed"}, ${capabilities}: all of it is there`, (t) => {
        const host = new Host();
        const disk = new Disk(1 << 20);
        disk.media.fill(0xee);
        const before = Buffer.from(disk.media);
        let losses = 0;
        host.device = (command) => {
          if (command.cdb[0] !== SYNC || losses === 2) return disk.execute(host, command);
          losses++;
          before.copy(disk.media);
          return check(6, 0x29, 1);
        };
        const { unit } = host.unit({ blocks: 2048n, capabilities });
        const client = host.connect(unit, UNALIGNED);
        const data = Buffer.alloc(kind === WRITE ? bytes : 0, 7);
        client.send(request(kind, 1n, BigInt(offset), bytes, FUA), data);
        host.settle();
        t.deepEqual(errors(client), [[1, 0]]);
        t.is(losses, 2);
        t.true(disk.media.equals(Buffer.from(before).fill(kind === WRITE ? 7 : 0, offset, offset + bytes)));
      });
    }
  }
}

test("power is lost before the flush of a zeroing of 5 GiB with FUA: all of its spans are zeroed again", (t) => {
  const host = new Host();
  const zeroed: { from: bigint; to: bigint }[] = [];
  let lost = false;
  host.device = ({ cdb }) => {
    if (cdb[0] === SAME) {
      const from = cdb.readBigUInt64BE(2);
      zeroed.push({ from, to: from + BigInt(cdb.readUInt32BE(10)) });
    }
    if (cdb[0] !== SYNC || lost) return {};
    lost = true;
    zeroed.length = 0;
    return check(6, 0x29, 0);
  };
  const { unit } = host.unit({ blocks: 1n << 40n, capabilities: CACHE | abi.UNIT_CAN_WRITE_SAME });
  const client = host.connect(unit, abi.CONNECTION_STRUCTURED | abi.CONNECTION_EXTENDED);
  client.send(extendedRequest(WRITE_ZEROES, 1n, GIB, 5n * GIB, FUA));
  host.settle();
  t.deepEqual(errors(client), [[1, 0]]);
  t.true(lost);
  let at = GIB / 512n;
  for (const { from, to } of zeroed.toSorted((a, b) => Number(a.from - b.from))) {
    t.is(from, at);
    at = to;
  }
  t.is(at, (6n * GIB) / 512n);
});

interface Scene {
  host: Host;
  disk: Disk;
  unit: number;
  client: Client;
  other: Client;
}

/** One path that takes one command at a time; commands stay outstanding. A read of another client has it. */
function crowded(reads: number): Scene {
  const host = new Host();
  const disk = new Disk(1 << 20);
  disk.media.fill(0xee);
  host.device = (command) => (command.check ? disk.execute(host, command) : undefined);
  const { unit } = host.unit({ blocks: 2048n, paths: 1, depth: 1 });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  const [client, other] = [host.connect(unit, UNALIGNED), host.connect(unit)];
  for (let i = 0; i < reads; i++) other.send(request(READ, 9n, 65536n, 512));
  host.settle();
  return { host, disk, unit, client, other };
}

/** Carries the oldest command out; answers its operation code. */
function next(s: Scene): number | undefined {
  const [command]: (Scsi | undefined)[] = s.host.outstanding;
  if (command === undefined) return undefined;
  s.host.answer(command, s.disk.execute(s.host, command));
  s.host.settle();
  return command.cdb[0];
}

test("commands of an earlier daemon are found before a write with edges has read any: it waits, and does not fail", (t) => {
  const s = crowded(1);
  s.client.send(request(WRITE, 1n, 100n, 1000), Buffer.alloc(1000, 7));
  s.host.settle();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, 1n));
  t.is(next(s), 0x88);
  t.is(next(s), undefined, "nothing of the write goes out");
  t.deepEqual([errors(s.client), errors(s.other)], [[], [[9, 0]]]);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, 0n));
  s.host.settle();
  const operations: (number | undefined)[] = [];
  while (s.host.outstanding.length > 0) operations.push(next(s));
  t.deepEqual(operations, [0x88, 0x88, 0x8a]);
  t.deepEqual(errors(s.client), [[1, 0]]);
  t.true(s.disk.media.equals(Buffer.alloc(1 << 20, 0xee).fill(7, 100, 1100)));
});

test("commands of an earlier daemon are found before a write with edges, which it has read, has its turn: it fails", (t) => {
  const s = crowded(1);
  s.client.send(request(WRITE, 1n, 100n, 100), Buffer.alloc(100, 7));
  s.host.settle();
  for (let i = 0; i < 3; i++) s.other.send(request(READ, 9n, 65536n, 512));
  s.host.settle();
  t.is(next(s), 0x88);
  // Of whoever waits now, one has the path; go on until it is the one that reads the edge.
  const isEdge = (): boolean => s.host.outstanding[0]?.cdb.readBigUInt64BE(2) === 0n;
  for (let i = 0; i < 5 && !isEdge(); i++) next(s);
  t.true(isEdge());
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, 1n));
  while (s.host.outstanding.length > 0) t.is(next(s), 0x88, "reads of others go on, nothing is written");
  t.deepEqual(errors(s.client), [[1, EIO]]);
  t.deepEqual(
    errors(s.other).map(([, error]) => error),
    [0, 0, 0, 0],
  );
  t.deepEqual(
    [0, 1, 2].map((what) => s.host.core.inspect(what)),
    [256, 256, 64 << 20],
  );
});
