// Where there is no room for one more of what is only a help, there is none, and nothing else suffers: errors wait for a
// request slot, late commands for a buffer, and hedges are left out.
import test, { type ExecutionContext } from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host, type Client, type Limits } from "./fixtures/harness.ts";
import { READ, TRIM, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const MIB = 1 << 20;
const EINVAL = 22;
const ENOSPC = 28;

for (const [kind, error] of [
  [READ, EINVAL],
  [WRITE, ENOSPC],
] as const) {
  test(`an error for which there is no request slot is answered when there is one: ${kind === READ ? "READ" : "WRITE"}`, (t) => {
    const host = new Host({ requests: 4 });
    const { unit } = host.unit();
    host.device = () => undefined;
    const client = host.connect(unit);
    const lengths = new Map([1n, 2n, 3n, 5n].map((cookie) => [cookie, 512] as const));
    for (const cookie of [1n, 2n, 3n]) client.send(request(READ, cookie, 0n, 512));
    client.send(request(kind, 4n, 1n << 40n, 512), Buffer.alloc(kind === WRITE ? 512 : 0));
    client.send(request(READ, 5n, 0n, 512));
    host.settle();
    t.is(host.outstanding.length, 3);
    t.deepEqual(client.received, []);
    for (let i = 0; i < 5; i++) {
      for (const command of host.outstanding.slice()) host.answer(command, {});
      host.settle();
    }
    t.deepEqual(
      replies(client.received, lengths).map((reply) => [reply.cookie, reply.error]),
      [
        [1n, 0],
        [2n, 0],
        [3n, 0],
        [4n, error],
        [5n, 0],
      ],
    );
  });
}

test("a request of no bytes between two blocks is answered, and nothing is sent for it", (t) => {
  const host = new Host();
  host.keepLog = true;
  const { unit } = host.unit({ capabilities: abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME });
  const free = [0, 1, 2].map((what) => host.core.inspect(what));
  const client = host.connect(unit, abi.CONNECTION_TRIM | abi.CONNECTION_UNALIGNED);
  const kinds = [READ, WRITE, TRIM, WRITE_ZEROES];
  for (const kind of kinds) client.send(request(kind, BigInt(kind), 100n, 0));
  host.settle();
  t.deepEqual(
    replies(client.received).map(({ cookie, error }) => [Number(cookie), error]),
    kinds.map((kind) => [kind, 0]),
  );
  t.deepEqual(host.log, []);
  t.deepEqual(
    [0, 1, 2].map((what) => host.core.inspect(what)),
    free,
  );
});

interface Setup {
  readonly host: Host;
  readonly unit: number;
  readonly paths: readonly number[];
  readonly client: Client;
  /** I/O that the test answers: that of port 0, and all of other units. */
  readonly held: Scsi[];
  /** I/O that went to other ports of the unit. */
  readonly elsewhere: Scsi[];
  readonly disk: Disk;
}

/** The first unit, whose port 0 answers no I/O. */
function setup(limits: Limits = {}, pathCount = 2, diskBytes = MIB): Setup {
  const host = new Host({ units: 16, paths: 64, ...limits });
  const disk = new Disk(diskBytes);
  for (let at = 0; at < diskBytes; at += 512) disk.media.writeUInt32LE(at + 1, at);
  const held: Scsi[] = [];
  const elsewhere: Scsi[] = [];
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.device = (command) => {
    if (command.check) return undefined;
    if (command.port === 0 || command.port >= 100) {
      held.push(command);
      return undefined;
    }
    elsewhere.push(command);
    return disk.execute(host, command);
  };
  const { unit, paths } = host.unit({
    blocks: BigInt(diskBytes / 512),
    paths: pathCount,
    depth: 256,
    capabilities: abi.UNIT_CAN_UNMAP,
  });
  return { host, unit, paths, client: host.connect(unit), held, elsewhere, disk };
}

/** Other units take what is left of a pool of 32 MiB of which one page is taken. Answers the read of one page. */
function fill(t: ExecutionContext, { host, held }: Setup): Scsi {
  for (const bytes of [31 * MIB, ...[512, 256, 128, 64, 32, 16, 8, 4].map((kib) => kib * 1024)]) {
    const { unit } = host.unit({ blocks: 1n << 20n, paths: 1, depth: 256 });
    host.connect(unit).send(request(READ, 1n, 0n, bytes));
    host.settle();
  }
  t.is(host.core.inspect(2), 0, "nothing is left");
  const last = held.at(-1);
  if (last?.bytes !== 4096) throw new Error("the last one is not of one page");
  return last;
}

for (const [name, kind] of [
  ["READ", READ],
  ["TRIM", TRIM],
] as const) {
  test(`a ${name} on a silent path goes out again as soon as there is a buffer for that, and not before`, (t) => {
    const s = setup({ pool: 32 * MIB });
    s.client.send(request(kind, 2n, 0n, 4096));
    s.host.settle();
    t.is(s.held.length, 1);
    const page = fill(t, s);
    s.host.advance(8000);
    t.deepEqual(s.elsewhere, []);
    t.deepEqual(s.client.received, []);
    s.host.answer(page, {});
    s.host.advance(50);
    t.is(s.elsewhere.length, 1);
    const [reply] = replies(s.client.received, new Map([[2n, kind === READ ? 4096 : 0]]));
    t.is(reply?.error, 0);
    if (kind === READ) t.deepEqual(reply?.data, s.disk.media.subarray(0, 4096));
  });
}

test("no more than 40 pieces of a READ wait in buffers of their own; the others wait for their path", (t) => {
  const s = setup({}, 2, 20 * MIB);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, 256n));
  s.client.send(request(READ, 2n, 0n, 20 * MIB));
  s.host.settle();
  t.is(s.held.length, 160);
  s.host.advance(3000);
  t.is(s.elsewhere.length, 40);
  t.deepEqual(s.client.received, []);
  for (const command of s.held.splice(0)) s.host.answer(command, s.disk.execute(s.host, command));
  s.host.advance(10);
  const [reply] = replies(s.client.received, new Map([[2n, 20 * MIB]]));
  t.is(reply?.error, 0);
  t.true(reply?.data.equals(s.disk.media));
  t.is(s.host.core.inspect(2), 64 * MIB);
});

test("a write that overlaps one whose client has gone is not sent again beside it", (t) => {
  const s = setup();
  const other = s.host.connect(s.unit);
  for (const [client, byte] of [
    [other, 1],
    [s.client, 2],
  ] as const) {
    client.send(request(WRITE, 1n, 0n, 4096), Buffer.alloc(4096, byte));
    s.host.settle();
  }
  const [first, second] = s.held;
  if (first === undefined || second === undefined) return t.fail();
  other.gone = true;
  s.host.advance(1500);
  t.deepEqual(s.elsewhere, [], "landing late, the first would undo it");
  s.host.answer(first, s.disk.execute(s.host, first));
  s.host.advance(100);
  t.is(replies(s.client.received)[0]?.error, 0);
  t.is(s.elsewhere.length, 1);
  t.true(s.disk.media.subarray(0, 4096).every((byte) => byte === 2));
});

/** 300 reads of a page have been answered after 100 us each. */
function learned(s: Setup, budget: bigint): void {
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_HEDGE_BUDGET, budget));
  for (let i = 0; i < 300; i++) {
    s.client.send(request(READ, 2n, 0n, 4096));
    s.host.settle();
    s.host.advance(0.1);
    for (const command of s.held.splice(0)) s.host.answer(command, {});
    s.host.settle();
  }
  mustBeInTime(s);
  s.client.received.length = 0;
  s.elsewhere.length = 0;
}

/** None of them was late. */
function mustBeInTime(s: Setup): void {
  if (s.elsewhere.length > 0) throw new Error("a read was hedged while the threshold was learned");
}

/** Reads of a page that are late; answers how many were sent a second time before they count as stalled. */
function late(s: Setup, count: number): number {
  for (let i = 0; i < count; i++) s.client.send(request(READ, 2n, 0n, 4096));
  s.host.settle();
  s.host.advance(10);
  return s.elsewhere.length;
}

test("a late read is hedged where there is room: once", (t) => {
  const s = setup();
  learned(s, 200n);
  t.is(late(s, 1), 1);
});

test("a hedge is left out when no other path may have it", (t) => {
  const s = setup({}, 1);
  learned(s, 200n);
  t.is(late(s, 1), 0);
  t.is(s.held.length, 1);
});

test("a hedge is left out when no command slot is free, and when there is no buffer for it", (t) => {
  const slots = setup({ commands: 2 });
  learned(slots, 200n);
  slots.host.connect(slots.host.unit({ paths: 1 }).unit).send(request(READ, 1n, 0n, 512));
  slots.host.settle();
  t.is(slots.host.core.inspect(1), 1);
  t.is(late(slots, 1), 0);
  const buffers = setup({ pool: 32 * MIB });
  learned(buffers, 200n);
  buffers.client.send(request(READ, 2n, 0n, 4096));
  buffers.host.settle();
  fill(t, buffers);
  buffers.host.advance(10);
  t.deepEqual(buffers.elsewhere, []);
});

test("hedges are left out when the budget is spent: 300 reads have earned three of a hundredth", (t) => {
  const s = setup();
  learned(s, 100n);
  t.is(late(s, 12), 3);
});

test("a late hedge is not sent again while another command for its piece waits for a path", (t) => {
  const s = setup({}, 3);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MIN_MS, 20n));
  learned(s, 200n);
  for (const path of s.paths.slice(0, 2)) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_DEPTH, 1n));
  const asked = [0, 0, 0];
  let hedge: Scsi | undefined;
  s.host.device = (command) => {
    if (command.check) return undefined;
    asked[command.port] = (asked[command.port] ?? 0) + 1;
    if (command.port === 1) hedge = command;
    return command.port === 2 ? { status: 8 } : undefined;
  };
  s.client.send(request(READ, 2n, 4096n, 4096));
  s.host.advance(10);
  t.deepEqual(asked, [1, 1, 0], "it is hedged");
  s.host.advance(12);
  t.deepEqual(asked, [1, 1, 1], "and sent again; the device is busy there, the other paths are full");
  s.host.advance(12);
  t.deepEqual([asked[0], asked[1]], [1, 1]);
  if (hedge === undefined) return t.fail();
  s.host.answer(hedge, s.disk.execute(s.host, hedge));
  s.host.settle();
  const [reply] = replies(s.client.received, new Map([[2n, 4096]]));
  t.deepEqual(reply?.data, s.disk.media.subarray(4096, 8192));
});
