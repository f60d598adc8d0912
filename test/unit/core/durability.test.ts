// What a client was told to be on the medium is there, whatever the device's write cache does and control learns of it.
import test, { type ExecutionContext } from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import type { Client, Limits } from "./fixtures/harness.ts";
import { Host } from "./fixtures/harness.ts";
import { FLUSH, FUA, READ, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import { check } from "./fixtures/scsi.ts";
import type { Answer, Scsi } from "./fixtures/scsi.ts";

const EIO = 5;
const CACHE = abi.UNIT_CAN_CACHE_WRITES;
/** Operation code and second byte of commands. */
const WRITE_PLAIN = [0x8a, 0];
const WRITE_FUA = [0x8a, 8];
const SYNC = [0x91, 0];

interface Scene {
  host: Host;
  disk: Disk;
  unit: number;
  client: Client;
  /** Operation code and second byte of each command that was carried out. */
  done: () => number[][];
}

function scene(capabilities: number, depth = 128, limits: Limits = {}): Scene {
  const host = new Host(limits);
  host.keepLog = true;
  const disk = new Disk(1 << 20);
  host.device = (command) => disk.execute(host, command);
  const { unit } = host.unit({ blocks: 2048n, capabilities, depth });
  const done = (): number[][] => host.log.splice(0).map(({ cdb }) => [cdb[0] ?? 0, cdb[1] ?? 0]);
  return { host, disk, unit, client: host.connect(unit), done };
}

function set(s: Scene, capabilities: number): void {
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_CAPABILITIES, BigInt(capabilities)));
}

function errors(t: ExecutionContext, client: Client, expected: readonly [bigint, number][]): void {
  const found = replies(client.received).map(({ cookie, error }): [bigint, number] => [cookie, error]);
  t.deepEqual(found, [...expected]);
}

const cases: [string, number, number, number[][]][] = [
  // what control learns, capabilities before and after, commands
  ["the bit is gone: a flush follows", abi.UNIT_CAN_FUA | CACHE, CACHE, [WRITE_PLAIN, SYNC]],
  ["bit and cache are new: the bit", 0, abi.UNIT_CAN_FUA | CACHE, [WRITE_FUA]],
  ["the cache is new: a flush follows", 0, CACHE, [WRITE_PLAIN, SYNC]],
  ["the bit is new: the bit alone", CACHE, abi.UNIT_CAN_FUA | CACHE, [WRITE_FUA]],
  ["the cache is gone: nothing follows", CACHE, 0, [WRITE_PLAIN]],
];

for (const [name, before, after, expected] of cases) {
  test(`FUA of a write that waits while control learns something new of the device: ${name}`, (t) => {
    const s = scene(before, 1);
    const kept: Scsi[] = [];
    s.host.device = (command) => {
      if (kept.length > 0) return s.disk.execute(s.host, command);
      kept.push(command);
      return undefined;
    };
    s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
    s.client.send(request(WRITE, 3n, 4096n, 512, FUA), Buffer.alloc(512, 3));
    s.host.settle();
    t.is(s.done().length, 1, "the path takes one at a time");
    set(s, after);
    for (const command of kept) s.host.answer(command, s.disk.execute(s.host, command));
    s.host.settle();
    t.deepEqual(s.done(), expected);
    errors(t, s.client, [
      [1n, 0],
      [3n, 0],
    ]);
  });
}

test("FUA of a write that went out without the bit: a flush follows when the device has a cache by then", (t) => {
  const s = scene(0);
  s.host.device = () => undefined;
  s.client.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512, 1));
  s.host.settle();
  set(s, abi.UNIT_CAN_FUA | CACHE);
  s.host.device = (command) => s.disk.execute(s.host, command);
  for (const command of s.host.outstanding.slice()) s.host.answer(command, s.disk.execute(s.host, command));
  s.host.settle();
  t.deepEqual(s.done(), [WRITE_PLAIN, SYNC]);
  errors(t, s.client, [[1n, 0]]);
});

/** The device answers the next command of the kind `operation` on port `port` with `answer`, once. */
function once(s: Scene, operation: number, answer: Answer, port = 0): void {
  let pending = true;
  s.host.device = (command) => {
    if (!pending || command.cdb[0] !== operation || command.port !== port) return s.disk.execute(s.host, command);
    pending = false;
    return answer;
  };
}

for (const ascq of [0, 1]) {
  test(`a cache that was switched on since control looked is flushed: attention 2A/0${ascq} to a write`, (t) => {
    const s = scene(0);
    once(s, 0x8a, check(6, 0x2a, ascq));
    s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
    s.host.settle();
    s.client.send(request(FLUSH, 2n, 0n, 0));
    s.host.settle();
    s.client.send(request(WRITE, 3n, 0n, 512, FUA), Buffer.alloc(512, 3));
    s.host.settle();
    errors(t, s.client, [
      [1n, 0],
      [2n, 0],
      [3n, 0],
    ]);
    t.deepEqual(s.done(), [WRITE_PLAIN, WRITE_PLAIN, SYNC, WRITE_PLAIN, SYNC]);
    set(s, 0);
    s.client.send(request(FLUSH, 4n, 0n, 0));
    s.host.settle();
    t.deepEqual(s.done(), [SYNC], "what control says may be older than the attention");
  });
}

test("a cache that was switched on since control looked is flushed: attention to a check of the path", (t) => {
  const s = scene(0);
  once(s, 0x00, check(6, 0x2a, 1));
  s.host.advance(12_000);
  s.done();
  s.client.send(request(FLUSH, 2n, 0n, 0));
  s.host.settle();
  t.deepEqual(s.done(), [SYNC]);
  errors(t, s.client, [[2n, 0]]);
});

test("FUA of a write whose own attention says that the cache is on: a flush follows", (t) => {
  const s = scene(0);
  once(s, 0x8a, check(6, 0x2a, 1));
  s.client.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512, 1));
  s.host.settle();
  t.deepEqual(s.done(), [WRITE_PLAIN, WRITE_PLAIN, SYNC]);
  errors(t, s.client, [[1n, 0]]);
});

test("attentions that are not about the cache change nothing about flushes", (t) => {
  const s = scene(0);
  for (const ascq of [3, 4, 5, 9, 0x10]) {
    once(s, 0x8a, check(6, 0x2a, ascq));
    s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1), request(FLUSH, 2n, 0n, 0));
    s.host.settle();
  }
  t.is(s.disk.flushes, 0);
});

test("a device without a cache that does not know SYNCHRONIZE CACHE has nothing to flush; one with a cache has", (t) => {
  for (const [capabilities, error] of [
    [0, 0],
    [CACHE, EIO],
  ] as const) {
    const s = scene(capabilities);
    let told = false;
    s.host.device = (command) => {
      if (command.cdb[0] === 0x91) return check(5, 0x20, 0);
      if (told || command.cdb[0] !== 0x8a) return s.disk.execute(s.host, command);
      told = true;
      return check(6, 0x2a, 1);
    };
    s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
    s.host.settle();
    s.client.send(request(FLUSH, 2n, 0n, 0));
    s.host.settle();
    errors(t, s.client, [
      [1n, 0],
      [2n, error],
    ]);
  }
});

const SYNC_SHORT = [0x35, 0];
const ASSUMED = CACHE | abi.UNIT_CAN_ASSUMED_CACHE;

/** The device answers each command with one of these operation codes, and those that ask for FUA, with an ILLEGAL REQUEST. */
function refuse(s: Scene, operations: readonly number[], asc: number, fua = false): void {
  s.host.device = (command) => {
    const [operation = 0, flags = 0] = command.cdb;
    if (operations.includes(operation) || (fua && operation === 0x8a && (flags & 8) !== 0)) return check(5, asc, 0);
    return operation === 0x35 ? {} : s.disk.execute(s.host, command);
  };
}

function ask(s: Scene, kind: number, flags = 0): number | undefined {
  const bytes = kind === FLUSH ? 0 : 512;
  s.client.send(request(kind, 1n, 0n, bytes, flags), Buffer.alloc(bytes, 1));
  s.host.settle();
  return replies(s.client.received)[0]?.error;
}

const lacks = (s: Scene): number[] =>
  s.host.events
    .splice(0)
    .filter(({ kind }) => kind === abi.EVENT_LACKS)
    .map(({ arg0 }) => arg0);

for (const asc of [0x20, 0x24]) {
  const refusal = `05/${asc.toString(16)}`;
  test(`a device that says nothing of a cache and knows no SYNCHRONIZE CACHE (${refusal}) has none: flush and FUA are good`, (t) => {
    const s = scene(ASSUMED);
    refuse(s, [0x91, 0x35], asc);
    t.is(ask(s, WRITE, FUA), 0);
    t.deepEqual(s.done(), [WRITE_PLAIN, SYNC, SYNC_SHORT]);
    t.is(ask(s, FLUSH), 0);
    t.is(ask(s, WRITE, FUA), 0);
    t.deepEqual(s.done(), [WRITE_PLAIN], "it is not asked again");
    set(s, ASSUMED);
    t.is(ask(s, FLUSH), 0);
    t.deepEqual(s.done(), [SYNC_SHORT], "control has looked again");
    t.deepEqual(lacks(s), [abi.LACKS_SYNCHRONIZE_CACHE], "told once");
  });

  test(`a device that knows only the short SYNCHRONIZE CACHE (${refusal}) is flushed by that, whatever it says of a cache`, (t) => {
    for (const capabilities of [ASSUMED, CACHE]) {
      const s = scene(capabilities);
      refuse(s, [0x91], asc);
      t.is(ask(s, FLUSH), 0);
      t.is(ask(s, FLUSH), 0);
      t.deepEqual(s.done(), [SYNC, SYNC_SHORT, SYNC_SHORT]);
      t.deepEqual(lacks(s), []);
    }
  });

  test(`FUA that is refused (${refusal}) falls back to a write and a flush, and to the write where there is no cache`, (t) => {
    const scenes: [number, number[], number[][], number[][]][] = [
      [CACHE, [], [WRITE_FUA, WRITE_PLAIN, SYNC], [WRITE_PLAIN, SYNC]],
      [ASSUMED, [0x91, 0x35], [WRITE_FUA, WRITE_PLAIN, SYNC, SYNC_SHORT], [WRITE_PLAIN]],
      [0, [], [WRITE_FUA, WRITE_PLAIN], [WRITE_PLAIN]],
    ];
    for (const [capabilities, operations, first, later] of scenes) {
      const s = scene(capabilities | abi.UNIT_CAN_FUA);
      refuse(s, operations, asc, true);
      t.is(ask(s, WRITE, FUA), 0);
      t.deepEqual(s.done(), first);
      t.is(ask(s, WRITE, FUA), 0);
      t.deepEqual(s.done(), later);
      t.true(lacks(s).includes(abi.LACKS_FUA));
    }
  });
}

test("a device that says that it has a cache, and knows no SYNCHRONIZE CACHE, fails a flush", (t) => {
  const s = scene(CACHE);
  refuse(s, [0x91, 0x35], 0x20);
  t.is(ask(s, FLUSH), EIO);
  t.is(ask(s, WRITE, FUA), EIO);
  t.deepEqual(lacks(s), []);
});

test("every piece of a large FUA write is done again without the bit when that is refused, and a flush follows once", (t) => {
  const s = scene(CACHE | abi.UNIT_CAN_FUA);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, 64n));
  refuse(s, [], 0x24, true);
  s.client.send(request(WRITE, 1n, 0n, 131_072, FUA), Buffer.alloc(131_072, 9));
  s.host.settle();
  errors(t, s.client, [[1n, 0]]);
  const done = s.done();
  t.is(done.filter(([operation, flags]) => operation === 0x8a && flags === 0).length, 4);
  t.is(done.filter(([operation]) => operation === 0x91).length, 1);
  t.deepEqual(done.at(-1), SYNC);
  t.true(s.disk.media.subarray(0, 131_072).every((byte) => byte === 9));
});

// Between a write and the flush that makes its FUA the array may lose power, and with it what its cache held. It comes back
// with a unit attention; what was written before has to be written again, or the flush says what is not true.
for (const [name, kind, offset, bytes, flags, again] of [
  ["a write", WRITE, 0n, 512, 0, [WRITE_PLAIN, SYNC]],
  ["a zeroing", WRITE_ZEROES, 0n, 512, 0, [[0x93, 0], SYNC]],
  ["a write with edges", WRITE, 100n, 1000, abi.CONNECTION_UNALIGNED, [WRITE_PLAIN, SYNC]],
  [
    "a zeroing with edges",
    WRITE_ZEROES,
    100n,
    2000,
    abi.CONNECTION_UNALIGNED,
    [WRITE_PLAIN, WRITE_PLAIN, [0x93, 0], SYNC],
  ],
] as const) {
  for (const told of ["to the flush", "to another command"] as const) {
    for (const ascq of [0, 1, 4]) {
      test(`FUA of ${name}, power lost before its flush, 29/0${ascq} told ${told}: written again`, (t) => {
        const s = scene(CACHE | abi.UNIT_CAN_WRITE_SAME);
        s.disk.media.fill(0xee);
        const before = Buffer.from(s.disk.media);
        const client = s.host.connect(s.unit, flags);
        let lost = false;
        const kept: Scsi[] = [];
        s.host.device = (command) => {
          if (command.cdb[0] !== SYNC[0] || lost) return s.disk.execute(s.host, command);
          lost = true;
          before.copy(s.disk.media);
          if (told === "to the flush") return check(6, 0x29, ascq);
          kept.push(command);
          return undefined;
        };
        const data = Buffer.alloc(kind === WRITE ? bytes : 0, 7);
        client.send(request(kind, 1n, offset, bytes, FUA), data);
        s.host.settle();
        if (told === "to another command") {
          once(s, 0x88, check(6, 0x29, ascq));
          s.client.send(request(READ, 2n, 0n, 512));
          s.host.settle();
          for (const command of kept) s.host.answer(command, {});
          s.host.settle();
        }
        errors(t, client, [[1n, 0]]);
        const expected = Buffer.from(before).fill(kind === WRITE ? 7 : 0, Number(offset), Number(offset) + bytes);
        t.true(s.disk.media.equals(expected));
        t.deepEqual(
          s
            .done()
            .filter(([operation]) => [0x8a, 0x93, 0x91].includes(operation ?? 0))
            .slice(-again.length),
          [...again],
        );
      });
    }
  }
}

test("FUA, and a path that only says that it was away: nothing is written twice", (t) => {
  const s = scene(CACHE);
  once(s, SYNC[0] ?? 0, check(6, 0x29, 7));
  s.client.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512, 1));
  s.host.settle();
  errors(t, s.client, [[1n, 0]]);
  t.is(s.done().filter(([operation]) => operation === 0x8a).length, 1);
});

test("FUA, and a device that loses power before each flush: the write fails in the end", (t) => {
  const s = scene(CACHE);
  s.host.device = (command) =>
    command.cdb[0] === SYNC[0] && s.host.log.at(-2)?.cdb[0] === WRITE_PLAIN[0]
      ? check(6, 0x29, 1)
      : s.disk.execute(s.host, command);
  s.client.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512, 1));
  s.host.settle();
  errors(t, s.client, [[1n, EIO]]);
  t.is(s.done().filter(([operation]) => operation === 0x8a).length, 17);
});

test("a write that has met no loss of power may meet one, whatever the write before it met", (t) => {
  const s = scene(CACHE);
  let losses = 20;
  s.host.device = (command) =>
    command.cdb[0] === SYNC[0] && s.host.log.at(-2)?.cdb[0] === WRITE_PLAIN[0] && losses-- > 0
      ? check(6, 0x29, 1)
      : s.disk.execute(s.host, command);
  const write = (): void => {
    s.client.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512, 1));
    s.host.settle();
  };
  write();
  errors(t, s.client, [[1n, EIO]]);
  losses = 2;
  write();
  errors(t, s.client, [[1n, 0]]);
});

test("how often a write was done again says nothing about the next one in its place", (t) => {
  const s = scene(CACHE, 128, { requests: 1 });
  let losses = 15;
  s.host.device = (command) =>
    command.cdb[0] === SYNC[0] && s.host.log.at(-2)?.cdb[0] === WRITE_PLAIN[0] && losses-- > 0
      ? check(6, 0x29, 1)
      : s.disk.execute(s.host, command);
  for (const again of [15, 2]) {
    losses = again;
    s.client.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512, 1));
    s.host.settle();
    errors(t, s.client, [[1n, 0]]);
  }
});
