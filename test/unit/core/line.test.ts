// Whoever waits for room that others hold gets it as soon as it is there, also when one before it goes, and nothing of it is lost.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import type { Client, Limits } from "./fixtures/harness.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import { check } from "./fixtures/scsi.ts";

const EIO = 5;
const KIB = 1 << 10;
const MIB = 1 << 20;
const UNALIGNED = abi.CONNECTION_UNALIGNED;

const idle = (host: Host): number[] => [0, 1, 2].map((what) => host.core.inspect(what));

interface Room {
  host: Host;
  /** A client of a unit of its own that reads so many bytes; the read stays outstanding. */
  hold: (bytes: number) => Client;
  /** Answers the read of `hold`'s n-th client. */
  release: (index: number) => void;
}

function room(limits: Limits = {}): Room {
  const host = new Host({ pool: 32 * MIB, units: 32, paths: 64, connections: 64, ...limits });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.device = () => undefined;
  const held: Client[] = [];
  const hold = (bytes: number): Client => {
    const { unit } = host.unit({ blocks: 1n << 30n, paths: 1 });
    host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
    const client = host.connect(unit);
    client.send(request(READ, 1n, 0n, bytes));
    host.settle();
    held.push(client);
    return client;
  };
  const release = (index: number): void => {
    for (const command of host.outstanding.slice()) if (command.port === index * 100) host.answer(command, {});
    host.settle();
  };
  return { host, hold, release };
}

const answers = (client: Client, bytes: number): number[] =>
  replies(client.received, new Map([[1n, bytes]])).map(({ error }) => error);

for (const leaves of ["is closed by control", "goes away"] as const) {
  test(`the head of the line ${leaves}: whoever waits behind it for less gets it at once`, (t) => {
    const { host, hold, release } = room();
    hold(20 * MIB);
    const head = hold(20 * MIB);
    const next = hold(MIB);
    const strays = host.core.inspect(3);
    const ports = (): Set<number> => new Set(host.outstanding.map(({ port }) => port));
    t.deepEqual(ports(), new Set([0]), "the head gets what it needs before anybody behind it");
    if (leaves === "goes away") head.gone = true;
    else host.must(host.core.connectionClose(head.handle));
    host.settle();
    t.deepEqual(ports(), new Set([0, 200]));
    t.is(host.core.inspect(3), strays, "its record is free when its CLOSE is completed, and not before");
    release(2);
    t.deepEqual(answers(next, MIB), [0]);
    release(0);
    t.deepEqual(idle(host), [256, 256, 32 * MIB]);
  });
}

test("one that waits for its unit's share goes away: whoever waits behind it for less gets it at once", (t) => {
  const { host } = room();
  const { unit } = host.unit({ blocks: 1n << 30n, paths: 1 });
  const [small, large, waiting] = [host.connect(unit), host.connect(unit), host.connect(unit)];
  const reads = (client: Client, bytes: number): number => {
    client.send(request(READ, 1n, 0n, bytes));
    host.settle();
    return 32 * MIB - host.core.inspect(2);
  };
  t.is(reads(small, 4 * KIB), 4 * KIB);
  t.is(reads(large, 20 * MIB), 20 * MIB + 4 * KIB);
  t.is(reads(waiting, 10 * MIB), 20 * MIB + 4 * KIB);
  t.is(reads(small, MIB), 20 * MIB + 4 * KIB, "one before it waits, and it holds something already");
  waiting.gone = true;
  host.settle();
  t.is(32 * MIB - host.core.inspect(2), 21 * MIB + 4 * KIB);
});

test("a client that holds nothing takes a quarter of what is free past its unit's share, and no more", (t) => {
  for (const [bytes, goes] of [
    [MIB, true],
    [2 * MIB, false],
  ] as const) {
    const { host, hold } = room();
    hold(20 * MIB);
    hold(8 * MIB);
    t.is(host.core.inspect(2), 4 * MIB);
    const other = host.connect(0);
    other.send(request(READ, 1n, 0n, bytes));
    host.settle();
    t.is(host.core.inspect(2), goes ? 4 * MIB - bytes : 4 * MIB);
  }
});

test("a pool of more than 256 MiB is used whole, and free again", (t) => {
  const { host, hold } = room({ pool: 320 * MIB, commands: 2048 });
  const before = idle(host);
  for (let i = 0; i < 10; i++) hold(32 * MIB);
  t.is(host.core.inspect(2), 0);
  while (host.outstanding.length > 0) {
    for (const command of host.outstanding.slice()) host.answer(command, check(3, 0x11, 0));
    host.settle();
  }
  t.deepEqual(idle(host), before);
});

test("bytes that are free but do not lie together: nothing of them is kept, and the read goes on when they do", (t) => {
  const { host, hold, release } = room();
  hold(31 * MIB);
  for (let i = 0; i < 4; i++) hold(256 * KIB);
  t.is(host.core.inspect(2), 0);
  release(1);
  release(3);
  const free = idle(host);
  t.is(free[2], 512 * KIB);
  const reader = hold(512 * KIB);
  t.deepEqual(idle(host), free, "it waits, and holds nothing meanwhile");
  release(2);
  release(5);
  t.deepEqual(answers(reader, 512 * KIB), [0]);
  release(0);
  release(4);
  t.deepEqual(idle(host), [256, 256, 32 * MIB]);
});

test("a read whose first MiB finds room and whose rest does not keeps neither, and goes on when both do", (t) => {
  const { host, hold, release } = room();
  hold(30 * MIB);
  hold(MIB);
  for (let i = 0; i < 4; i++) hold(256 * KIB);
  t.is(host.core.inspect(2), 0);
  for (const index of [1, 2, 4]) release(index);
  const free = idle(host);
  t.is(free[2], MIB + 512 * KIB);
  const reader = hold(MIB + 512 * KIB);
  t.deepEqual(idle(host), free, "it waits, and holds nothing meanwhile");
  release(3);
  for (let i = 0; i < 2; i++) release(6);
  t.deepEqual(answers(reader, MIB + 512 * KIB), [0]);
  release(0);
  release(5);
  t.deepEqual(idle(host), [256, 256, 32 * MIB]);
});

test("a write whose data finds room and whose edges do not takes neither, and goes on when both do", (t) => {
  const { host, hold, release } = room();
  for (const bytes of [31 * MIB, 512, 256, 128, 64, 32].map((some) => (some < MIB ? some * KIB : some))) hold(bytes);
  for (let i = 0; i < 8; i++) hold(4 * KIB);
  t.is(host.core.inspect(2), 0);
  for (const index of [6, 8, 10, 12]) release(index);
  const free = idle(host);
  t.is(free[2], 16 * KIB);
  const { unit } = host.unit({ blocks: 1n << 30n, paths: 1 });
  const writer = host.connect(unit, UNALIGNED);
  writer.send(request(WRITE, 1n, 10n, 100), Buffer.alloc(100, 1));
  host.settle();
  t.deepEqual(idle(host), free);
  for (const index of [7, 9, 11]) release(index);
  for (let i = 0; i < 2; i++) release(14);
  t.deepEqual(answers(writer, 0), [0]);
  for (let index = 0; index < 14; index++) release(index);
  t.deepEqual(idle(host), [256, 256, 32 * MIB]);
});

test("a unit that asks again while it waits for a command slot keeps its place, and has one only", (t) => {
  const { host, hold, release } = room({ commands: 1 });
  hold(4 * KIB);
  const clients = [hold(4 * KIB), hold(4 * KIB)];
  const more = host.connect(1);
  for (let i = 0; i < 3; i++) more.send(request(READ, 1n, 0n, 4 * KIB));
  host.settle();
  const order: number[] = [];
  for (let i = 0; i < 6; i++) {
    const [command] = host.outstanding;
    if (command === undefined) return t.fail(`nothing goes on after ${order.join()}`);
    t.is(host.outstanding.length, 1);
    order.push(command.port / 100);
    release(command.port / 100);
  }
  t.deepEqual(order.slice(0, 3), [0, 1, 2], "first come, first served");
  t.deepEqual(order.slice(3), [1, 1, 1]);
  for (const client of clients) t.deepEqual(answers(client, 4 * KIB), [0]);
  t.deepEqual(idle(host), [256, 1, 32 * MIB]);
});

test("a unit that is removed while it waits for a command slot gets none, and nobody loses his for it", (t) => {
  const { host, hold, release } = room({ commands: 1 });
  hold(4 * KIB);
  const going = hold(4 * KIB);
  const staying = hold(4 * KIB);
  host.must(host.core.unitSet(1, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n));
  host.advance(1000);
  t.deepEqual(answers(going, 4 * KIB), [EIO]);
  going.gone = true;
  host.settle();
  host.must(host.core.pathRemove(1));
  host.settle();
  host.must(host.core.unitRemove(1));
  // A new one takes its record, and its place at the end of the line.
  const { unit } = host.unit({ blocks: 1n << 30n, paths: 1 });
  t.is(unit, 1);
  const coming = host.connect(unit);
  coming.send(request(READ, 1n, 0n, 4 * KIB));
  host.settle();
  const order: number[] = [];
  for (let i = 0; i < 3; i++) {
    const [command] = host.outstanding;
    if (command === undefined) return t.fail(`nothing goes on after ${order.join()}`);
    order.push(command.port / 100);
    release(command.port / 100);
  }
  t.deepEqual(order, [0, 2, 1]);
  t.deepEqual([answers(staying, 4 * KIB), answers(coming, 4 * KIB)], [[0], [0]]);
});

for (const behind of [true, false]) {
  test(`a unit that waited for a command slot and wants none any more leaves it to ${behind ? "the next" : "whoever comes"}`, (t) => {
    const { host, hold, release } = room({ commands: 1 });
    hold(4 * KIB);
    const late = hold(4 * KIB);
    host.must(host.core.unitSet(1, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n));
    const before = behind ? hold(4 * KIB) : null;
    host.advance(1000);
    t.deepEqual(answers(late, 4 * KIB), [EIO]);
    release(0);
    const next = before ?? hold(4 * KIB);
    t.deepEqual(
      host.outstanding.map(({ port }) => port),
      [200],
    );
    release(2);
    t.deepEqual(answers(next, 4 * KIB), [0]);
    t.deepEqual(idle(host), [256, 1, 32 * MIB]);
  });
}

test("a unit that is removed between two turns, when a slot was just freed for it, leaves that to the next", (t) => {
  const { host, hold, release } = room({ commands: 1 });
  const failing = hold(4 * KIB);
  // Its read keeps the slot while it waits for a path.
  for (const command of host.outstanding.slice()) host.answer(command, { hostStatus: 1 });
  host.settle();
  const going = hold(4 * KIB);
  host.must(host.core.unitSet(1, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n));
  const next = hold(4 * KIB);
  host.advance(1000);
  going.gone = true;
  host.settle();
  host.must(host.core.pathRemove(1));
  host.settle();
  t.deepEqual(answers(failing, 4 * KIB), []);
  host.must(host.core.unitSet(0, abi.UNIT_SET_RELEASED, 1n));
  host.must(host.core.unitRemove(1));
  host.settle();
  t.deepEqual(answers(failing, 4 * KIB), [EIO]);
  release(2);
  t.deepEqual(answers(next, 4 * KIB), [0]);
  t.deepEqual(idle(host), [256, 1, 32 * MIB]);
});
