// What a client gets for what is wrong, and that nothing is left behind.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host } from "./fixtures/harness.ts";
import {
  CACHE,
  DF,
  FAST_ZERO,
  FUA,
  NO_HOLE,
  READ,
  TRIM,
  WRITE,
  WRITE_ZEROES,
  replies,
  request,
} from "./fixtures/nbd-client.ts";

const EPERM = 1;
const EINVAL = 22;
const ENOSPC = 28;
const EOVERFLOW = 75;
const ENOTSUP = 95;
const SIZE = 1n << 20n;

function setup(capabilities = 0): { host: Host; unit: number } {
  const host = new Host();
  const disk = new Disk(Number(SIZE));
  host.device = (command) => disk.execute(host, command);
  return { host, unit: host.unit({ blocks: SIZE / 512n, capabilities }).unit };
}

function free(host: Host): number[] {
  return [0, 1, 2].map((what) => host.core.inspect(what));
}

const ALLOCATION = abi.CONNECTION_STRUCTURED | abi.CONNECTION_ALLOCATION;
const cases: [string, number, bigint, number, number, number, number, number][] = [
  // name, kind, offset, length, flags, error, connection flags, capabilities
  ["read past the end", READ, SIZE - 512n, 1024, 0, EINVAL, 0, 0],
  ["read far past the end", READ, 0xffff_ffff_ffff_fe00n, 1024, 0, EINVAL, 0, 0],
  ["read past the end, structured", READ, SIZE, 512, 0, EINVAL, abi.CONNECTION_STRUCTURED, 0],
  ["write past the end", WRITE, SIZE - 512n, 1024, 0, ENOSPC, 0, 0],
  ["zeroes past the end", WRITE_ZEROES, SIZE - 512n, 1024, 0, ENOSPC, 0, 0],
  ["trim past the end", TRIM, SIZE - 512n, 1024, 0, EINVAL, abi.CONNECTION_TRIM, 0],
  ["trim that was not announced", TRIM, 0n, 512, 0, EINVAL, 0, abi.UNIT_CAN_UNMAP],
  ["trim that was announced, of a device that has lost it", TRIM, 0n, 512, 0, 0, abi.CONNECTION_TRIM, 0],
  ["cache past the end", CACHE, SIZE, 512, 0, EINVAL, 0, 0],
  ["read of part of a block", READ, 0n, 100, 0, EINVAL, 0, 0],
  ["read at part of a block", READ, 100n, 512, 0, EINVAL, 0, 0],
  ["write of part of a block", WRITE, 0n, 100, 0, EINVAL, 0, 0],
  ["write at part of a block", WRITE, 1n, 512, 0, EINVAL, 0, 0],
  ["unknown command", 77, 0n, 512, 0, EINVAL, 0, 0],
  ["block status that was not agreed", 7, 0n, 512, 0, EINVAL, abi.CONNECTION_STRUCTURED, 0],
  ["block status of nothing", 7, 0n, 0, 0, EINVAL, ALLOCATION, 0],
  ["block status past the end", 7, SIZE, 512, 0, EINVAL, ALLOCATION, 0],
  ["block status of part of a block", 7, 100n, 512, 0, EINVAL, ALLOCATION, 0],
  ["unknown flag", READ, 0n, 512, 0x80, EINVAL, 0, 0],
  ["unknown flag of a write", WRITE, 0n, 512, 0x80, EINVAL, 0, 0],
  ["DF without structured replies", READ, 0n, 512, DF, EINVAL, 0, 0],
  ["NO_HOLE on a write", WRITE, 0n, 512, NO_HOLE, EINVAL, 0, 0],
  ["fast zero that was not announced", WRITE_ZEROES, 0n, 512, FAST_ZERO, EINVAL, 0, 0],
  ["fast zero that is not fast", WRITE_ZEROES, 0n, 512, FAST_ZERO, ENOTSUP, abi.CONNECTION_FAST_ZERO, 0],
  ["fast zero", WRITE_ZEROES, 0n, 512, FAST_ZERO, 0, abi.CONNECTION_FAST_ZERO, abi.UNIT_CAN_WRITE_SAME],
  ["write on a read-only export", WRITE, 0n, 512, 0, EPERM, abi.CONNECTION_READ_ONLY, 0],
  ["trim on a read-only export", TRIM, 0n, 512, 0, EPERM, abi.CONNECTION_READ_ONLY, 0],
  ["zeroes on a read-only export", WRITE_ZEROES, 0n, 512, 0, EPERM, abi.CONNECTION_READ_ONLY, 0],
  ["write on a write-protected unit", WRITE, 0n, 512, 0, EPERM, 0, abi.UNIT_CAN_NOT_WRITE],
  ["read of nothing", READ, 0n, 0, 0, 0, 0, 0],
  ["write of nothing", WRITE, 0n, 0, 0, 0, 0, 0],
  ["FUA on a read", READ, 0n, 0, FUA, 0, 0, 0],
];

for (const [name, kind, offset, length, flags, error, connectionFlags, capabilities] of cases) {
  test(`${name} is answered ${error}, and the connection goes on`, (t) => {
    const { host, unit } = setup(capabilities);
    const before = free(host);
    const client = host.connect(unit, connectionFlags);
    const payload = kind === WRITE ? Buffer.alloc(length, 0x25) : Buffer.alloc(0);
    client.send(request(kind, 7n, offset, length, flags), payload, request(READ, 8n, 0n, 512));
    host.settle();
    const found = replies(client.received, new Map([[8n, 512]])).toSorted((a, b) => Number(a.cookie - b.cookie));
    t.deepEqual(
      found.map((reply) => [reply.cookie, reply.error]),
      [
        [7n, error],
        [8n, 0],
      ],
    );
    t.deepEqual(free(host), before);
  });
}

test("oversize: a read is EINVAL or EOVERFLOW, a write is thrown away and EOVERFLOW, an absurd write closes", (t) => {
  const host = new Host();
  host.device = () => ({});
  const { unit } = host.unit({ blocks: 1n << 30n });
  const client = host.connect(unit, abi.CONNECTION_STRUCTURED);
  const large = abi.NBD_PAYLOAD_BYTES_MAX + 512;
  client.send(request(READ, 1n, 0n, large), request(READ, 2n, 0n, large, DF));
  client.send(request(WRITE, 3n, 0n, large), Buffer.alloc(large), request(READ, 4n, 0n, 512));
  host.settle();
  const found = replies(client.received).toSorted((a, b) => Number(a.cookie - b.cookie));
  t.deepEqual(
    found.map((reply) => reply.error),
    [EINVAL, EOVERFLOW, EOVERFLOW, 0],
  );
  t.deepEqual(
    found.map((reply) => reply.chunks.length > 0),
    [true, true, false, true],
    "only what was read is answered in chunks",
  );
  client.send(request(WRITE, 5n, 0n, 0xffff_fe00));
  host.settle();
  t.true(client.closed);
});

test("a wrong magic closes this connection and no other", (t) => {
  const { host, unit } = setup();
  const bad = host.connect(unit);
  const good = host.connect(unit);
  bad.send(Buffer.alloc(28, 1));
  good.send(request(READ, 1n, 0n, 512));
  host.settle();
  t.true(bad.closed);
  t.is(replies(good.received, new Map([[1n, 512]])).length, 1);
});

test("a client that vanishes leaves nothing: in a header, in a payload small and large, with replies due", (t) => {
  const scenes: [string, Buffer, boolean][] = [
    ["header", request(READ, 1n, 0n, 512).subarray(0, 11), true],
    ["small payload", Buffer.concat([request(WRITE, 1n, 0n, 4096), Buffer.alloc(100)]), true],
    ["large payload", Buffer.concat([request(WRITE, 1n, 0n, 1 << 20), Buffer.alloc(100_000)]), true],
    ["payload to be thrown away", Buffer.concat([request(WRITE, 1n, 1n, 4096), Buffer.alloc(100)]), true],
    ["large payload, closed by control", Buffer.concat([request(WRITE, 1n, 0n, 1 << 20), Buffer.alloc(70_000)]), false],
    ["request in flight", request(READ, 1n, 0n, 1 << 20), true],
    ["request in flight, closed by control", request(READ, 1n, 0n, 1 << 20), false],
  ];
  for (const [name, stream, ends] of scenes) {
    const { host, unit } = setup();
    host.device = () => undefined;
    const before = free(host);
    const client = host.connect(unit);
    client.send(stream);
    host.settle();
    if (ends) client.ended = true;
    else t.is(host.core.connectionClose(client.handle), 0);
    host.settle();
    for (const command of host.outstanding.slice()) host.answer(command, {});
    host.settle();
    t.deepEqual(free(host), before, name);
    t.true(client.closed, name);
    t.is(host.unitField(unit, abi.UNIT_CONNECTIONS), 0, name);
  }
});

test("control calls answer mistakes and change nothing", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit();
  const { core } = host;
  const [first = -1, second = -1] = paths;
  t.is(core.init(1, 1, 1, 64 << 20, 1, 1, 16, 1 << 20), -abi.ERROR_BUSY);
  t.is(core.unitSet(99, abi.UNIT_SET_BLOCKS, 1n), -abi.ERROR_HANDLE);
  t.is(core.unitSet(unit, 999, 1n), -abi.ERROR_PROPERTY);
  t.is(core.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, 1000n), -abi.ERROR_RANGE);
  t.is(core.unitSet(unit, abi.UNIT_SET_BLOCKS, -1n), -abi.ERROR_RANGE);
  t.is(core.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, 0n), -abi.ERROR_RANGE);
  t.is(core.unitSet(unit, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, 7n), -abi.ERROR_RANGE);
  t.is(core.unitSet(unit, abi.UNIT_SET_POLICY, 99n), -abi.ERROR_RANGE);
  t.is(core.unitRemove(unit), -abi.ERROR_BUSY);
  t.is(core.pathAdd(unit, 0, 5, 1, 1, 8), -abi.ERROR_PRIORITY_IN_USE);
  t.is(core.pathAdd(unit, 0, 5, 0, 1, 8), -abi.ERROR_RANGE);
  t.is(core.pathAdd(unit, 0, 5, 255, 1, 8), -abi.ERROR_RANGE);
  t.is(core.pathAdd(unit, 0, 5, 9, 1, 0), -abi.ERROR_RANGE);
  t.is(core.pathAdd(77, 0, 5, 9, 1, 8), -abi.ERROR_HANDLE);
  t.is(core.pathSet(first, abi.PATH_SET_PRIORITY, 1n), -abi.ERROR_PRIORITY_IN_USE);
  t.is(core.pathSet(first, abi.PATH_SET_FAILED, 0n), -abi.ERROR_NOT_FAILED);
  t.is(core.pathSet(first, 999, 0n), -abi.ERROR_PROPERTY);
  t.is(core.pathSwap(first, 99), -abi.ERROR_HANDLE);
  t.is(core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 0n), -abi.ERROR_RANGE);
  t.is(core.modeSet(99, 0n), -abi.ERROR_PROPERTY);
  t.is(core.modeSet(abi.MODE_CLUSTER, 1n), 0);
  t.is(core.unitSet(unit, abi.UNIT_SET_POLICY, 1n), -abi.ERROR_CLUSTER_MODE);
  t.is(core.connectionAdd(1, 99, 0, 0), -abi.ERROR_HANDLE);
  t.is(core.connectionAdd(1, unit, 0, 70_000), -abi.ERROR_RANGE);
  t.is(core.connectionAdd(1, unit, 128, 0), -abi.ERROR_RANGE);
  t.is(core.connectionClose(3), -abi.ERROR_HANDLE);
  t.is(core.pathSwap(first, second), 0);
});

test("limits outside their range are refused by init", (t) => {
  for (const limits of [
    { pool: 31 << 20 },
    { connections: 5000 },
    { requests: 0 },
    { commands: 70_000 },
    { units: 0 },
    { paths: 0 },
    { events: 8 },
  ]) {
    t.throws(() => new Host(limits), { message: `init answered ${-abi.ERROR_RANGE}` });
  }
});

test("completions that belong to nothing are counted and change nothing", (t) => {
  const { host, unit } = setup();
  host.device = () => undefined;
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  host.settle();
  const [command] = host.outstanding;
  if (command === undefined) return t.fail();
  for (const tag of [0, 0xffff_ffff, 0x1fff_ffff, command.tag ^ 0x10_0000, 0x5000_0000, 0x2000_0fff, 0x4000_0000]) {
    host.complete(tag, 0);
  }
  host.settle();
  t.is(host.core.inspect(3), 7);
  t.is(replies(client.received).length, 0);
  host.answer(command, {});
  host.complete(command.tag, 0);
  host.settle();
  t.is(host.core.inspect(3), 8);
  t.is(replies(client.received, new Map([[1n, 512]])).length, 1);
});
