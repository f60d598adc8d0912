// Zeroings of many pieces take turns with everybody else, and let nobody wait for all of their pieces.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import type { Client } from "./fixtures/harness.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import type { Answer, Scsi } from "./fixtures/scsi.ts";
import { check } from "./fixtures/scsi.ts";

const EIO = 5;
const MIB = 1 << 20;
const GIB = 1 << 30;
/** Pieces of a zeroing under way at a time. */
const PIECES_MAX = 16;

interface Scene {
  host: Host;
  unit: number;
  paths: number[];
  client: Client;
  free: number[];
}

const idle = (host: Host): number[] => [0, 1, 2].map((what) => host.core.inspect(what));

function scene(options: { capabilities?: number; depth?: number; paths?: number } = {}): Scene {
  const host = new Host();
  host.device = ({ check: isCheck }) => (isCheck ? {} : undefined);
  const { unit, paths } = host.unit({ blocks: 1n << 40n, ...options });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  return { host, unit, paths, client: host.connect(unit), free: idle(host) };
}

const zero = (cookie: number, bytes: number, atMib = cookie * 8192): Buffer =>
  request(WRITE_ZEROES, BigInt(cookie), BigInt(atMib) * BigInt(MIB), bytes, 2);

const lbaOf = (command: Scsi): number => Number(command.cdb.readBigUInt64BE(2)) / 2048;

/** Answers what is outstanding, oldest first, `count` at a time until nothing is. */
function answerAll(s: Scene, count = 4, answer: Answer = {}): void {
  for (let i = 0; i < 100_000; i++) {
    s.host.settle();
    const some = s.host.outstanding.slice(0, count);
    if (some.length === 0) return;
    for (const command of some) s.host.answer(command, answer);
  }
}

const errors = (client: Client): [number, number][] =>
  replies(client.received, new Map([[1000n, 4096]])).map(({ cookie, error }) => [Number(cookie), error]);

/** A device of 1 GB/s that carries out one command after the other. */
class SlowDevice {
  readonly #host: Host;
  readonly #due: { command: Scsi; atNs: bigint }[] = [];
  #freeNs = 0n;

  constructor(host: Host) {
    this.#host = host;
    host.device = (command) => {
      const begin = this.#freeNs > host.now ? this.#freeNs : host.now;
      this.#freeNs = begin + 10_000n + BigInt(command.bytes);
      this.#due.push({ command, atNs: this.#freeNs });
      return undefined;
    };
  }

  /** Lets time pass until `done`; answers how long that took, ms. */
  run(msMax: number, done: () => boolean): number {
    const began = this.#host.now;
    const end = began + BigInt(msMax) * 1_000_000n;
    this.#host.settle();
    while (this.#host.now < end && !done()) {
      const next = this.#due.shift();
      if (next === undefined) break;
      if (next.atNs > this.#host.now) this.#host.now = next.atNs;
      this.#host.answer(next.command, {});
      this.#host.settle();
    }
    return Number(this.#host.now - began) / 1e6;
  }
}

test("a read behind sixteen zeroings of 1 GiB is answered within a few of their pieces", (t) => {
  const s = scene();
  const device = new SlowDevice(s.host);
  for (let i = 1; i <= 16; i++) s.client.send(zero(i, GIB));
  s.host.settle();
  const reader = s.host.connect(s.unit);
  reader.send(request(READ, 1000n, 0n, 4096));
  let found: [number, number][] = [];
  const ms = device.run(60_000, () => (found = errors(reader)).length > 0);
  t.deepEqual(found, [[1000, 0]]);
  t.true(ms < 2 * PIECES_MAX, `${ms} ms`);
});

test("zeroings are carried out one after the other, each in order, so that most of them end early", (t) => {
  const s = scene();
  for (const cookie of [1, 2, 3]) s.client.send(zero(cookie, 100 * MIB));
  const ended: number[] = [];
  const order: number[] = [];
  const seen = new Set<Scsi>();
  for (let i = 0; i < 1000 && ended.length < 3; i++) {
    s.host.settle();
    for (const command of s.host.outstanding) {
      if (!seen.has(command)) order.push(lbaOf(command));
      seen.add(command);
    }
    t.true(s.host.outstanding.length <= 2 * PIECES_MAX);
    const [oldest] = s.host.outstanding;
    if (oldest !== undefined) s.host.answer(oldest, {});
    s.host.settle();
    ended.push(...errors(s.client).map(([cookie]) => cookie));
  }
  t.deepEqual(ended, [1, 2, 3]);
  t.deepEqual(
    order,
    [1, 2, 3].flatMap((cookie) => Array.from({ length: 100 }, (_, piece) => cookie * 8192 + piece)),
  );
  t.deepEqual(idle(s.host), s.free);
});

test("a zeroing takes its turn with others, by bytes: 64 small ones for one of its pieces", (t) => {
  const s = scene({ depth: 1, paths: 1 });
  s.client.send(zero(1, 8 * MIB));
  for (let i = 10; i < 50; i++) s.client.send(request(WRITE, BigInt(i), BigInt(i) << 12n, 4096), Buffer.alloc(4096));
  const order: string[] = [];
  for (let i = 0; i < 48; i++) {
    s.host.settle();
    const [command] = s.host.outstanding;
    if (command === undefined) break;
    order.push(command.bytes === MIB ? "z" : "w");
    s.host.answer(command, {});
  }
  t.is(order.join(""), `z${"w".repeat(40)}${"z".repeat(7)}`);
});

test("small I/O that never ends does not starve a zeroing", (t) => {
  const s = scene({ depth: 4, paths: 1 });
  let cookie = 2000n;
  const feed = (): void => {
    while (s.client.pending.length < 28 * 8) s.client.send(request(READ, 1000n, (cookie++ % 1000n) << 12n, 4096));
  };
  feed();
  s.host.settle();
  const other = s.host.connect(s.unit);
  other.send(zero(1, 32 * MIB));
  let done = false;
  for (let i = 0; i < 10_000 && !done; i++) {
    feed();
    s.host.settle();
    const [oldest] = s.host.outstanding;
    if (oldest !== undefined) s.host.answer(oldest, {});
    s.host.settle();
    s.client.received.length = 0;
    done = errors(other).length > 0;
  }
  t.true(done);
});

test("zeroings of one piece are like any write: as many at a time as the path takes", (t) => {
  const s = scene({ paths: 1 });
  s.client.send(zero(1, 100 * MIB));
  for (let i = 2; i < 102; i++) s.client.send(zero(i, 4096));
  s.host.settle();
  t.is(s.host.outstanding.filter(({ bytes }) => bytes === 4096).length, 100);
  answerAll(s);
  t.is(errors(s.client).length, 101);
  t.deepEqual(idle(s.host), s.free);
});

test("WRITE SAME in many pieces takes turns too, and so does what is left when the device refuses it", (t) => {
  for (const refuses of [false, true]) {
    const s = scene({ capabilities: abi.UNIT_CAN_WRITE_SAME });
    s.host.device = ({ cdb, check: isCheck }) => {
      if (isCheck) return {};
      return refuses && cdb[0] === 0x93 ? check(5, 0x20, 0) : undefined;
    };
    for (const cookie of [1, 2]) s.client.send(zero(cookie, 2 * GIB));
    s.client.send(request(READ, 1000n, 0n, 4096));
    s.host.settle();
    t.true(s.host.outstanding.length <= 2 * PIECES_MAX + 1);
    t.true(s.host.outstanding.some(({ cdb }) => cdb[0] === 0x88));
    answerAll(s, 16);
    t.deepEqual(
      errors(s.client).toSorted(([a], [b]) => a - b),
      [
        [1, 0],
        [2, 0],
        [1000, 0],
      ],
    );
    t.deepEqual(idle(s.host), s.free);
  }
});

test("a zeroing that fails, or reaches its deadline, passes its turn on", (t) => {
  const failing = scene();
  for (const cookie of [1, 2]) failing.client.send(zero(cookie, 100 * MIB));
  failing.host.settle();
  const [first] = failing.host.outstanding;
  if (first === undefined) return t.fail();
  failing.host.answer(first, check(3, 0x0c, 0));
  answerAll(failing);
  t.deepEqual(errors(failing.client), [
    [1, EIO],
    [2, 0],
  ]);
  t.deepEqual(idle(failing.host), failing.free);

  const late = scene();
  late.host.must(late.host.core.unitSet(late.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n));
  late.client.send(zero(1, 100 * MIB));
  late.host.advance(500);
  for (const cookie of [2, 3]) late.client.send(zero(cookie, 20 * MIB));
  late.host.advance(600);
  t.deepEqual(errors(late.client), [[1, EIO]]);
  const others = late.host.outstanding.filter((command) => lbaOf(command) >= 2 * 8192);
  t.is(others.length, PIECES_MAX, "the next one has begun");
  answerAll(late);
  t.deepEqual(errors(late.client), [
    [2, 0],
    [3, 0],
  ]);
  t.deepEqual(idle(late.host), late.free);
});

test("zeroings that wait for their turn are answered in time when no path is left", (t) => {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 1000n));
  for (const cookie of [1, 2, 3]) s.client.send(zero(cookie, 100 * MIB));
  s.host.settle();
  s.host.device = () => ({ hostStatus: 1 });
  for (const command of s.host.outstanding.slice()) s.host.answer(command, { hostStatus: 1 });
  s.host.advance(900);
  t.deepEqual(errors(s.client), []);
  s.host.advance(200);
  t.deepEqual(errors(s.client), [
    [1, EIO],
    [2, EIO],
    [3, EIO],
  ]);
  t.deepEqual(idle(s.host), s.free);
});

test("zeroings of a client that has gone end by themselves, and a release ends all of them", (t) => {
  const gone = scene();
  const other = gone.host.connect(gone.unit);
  for (const cookie of [1, 2]) gone.client.send(zero(cookie, 40 * MIB));
  other.send(zero(3, 40 * MIB));
  gone.host.settle();
  gone.host.must(gone.host.core.connectionClose(gone.client.handle));
  gone.host.settle();
  answerAll(gone);
  t.deepEqual(errors(other), [[3, 0]]);
  t.deepEqual(idle(gone.host), gone.free);

  const released = scene();
  for (const cookie of [1, 2, 3]) released.client.send(zero(cookie, 40 * MIB));
  released.host.settle();
  for (const path of released.paths) released.host.must(released.host.core.pathSet(path, abi.PATH_SET_ENABLED, 0n));
  released.host.must(released.host.core.unitSet(released.unit, abi.UNIT_SET_RELEASED, 1n));
  released.host.settle();
  t.is(errors(released.client).length, 3);
  answerAll(released);
  t.deepEqual(idle(released.host), released.free);
});

test("a zeroing that has to wait for an orphan lets the others go on meanwhile", (t) => {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 100n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 0n));
  s.client.send(request(WRITE, 7n, 0n, 4096), Buffer.alloc(4096, 1));
  s.host.advance(200);
  const [orphan, ...duplicates] = s.host.outstanding;
  if (orphan === undefined || duplicates.length === 0) return t.fail();
  for (const duplicate of duplicates) s.host.answer(duplicate, {});
  s.host.settle();
  t.deepEqual(errors(s.client), [[7, 0]]);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  s.client.send(zero(1, 40 * MIB, 0), zero(2, 40 * MIB));
  for (let i = 0; i < 100; i++) {
    s.host.settle();
    for (const command of s.host.outstanding.slice()) if (command !== orphan) s.host.answer(command, {});
  }
  t.deepEqual(errors(s.client), [[2, 0]]);
  s.host.answer(orphan, {});
  answerAll(s);
  t.deepEqual(errors(s.client), [[1, 0]]);
  t.deepEqual(idle(s.host), s.free);
});

test("zeroings leave command slots to other units", (t) => {
  const s = scene({ depth: 512 });
  for (let i = 1; i <= 16; i++) s.client.send(zero(i, GIB));
  s.host.settle();
  t.true(s.host.core.inspect(1) >= 256 - PIECES_MAX, `${s.host.core.inspect(1)} slots are free`);
});
