// Completions of nothing: told twice, of an earlier submission, never asked for. The core counts each and does nothing else, as
// the comment on SUBMISSION_TAG promises.
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import { scene } from "./fixtures/scene.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const STRAYS = 3;
const EIO = -5;
/** Kinds of a tag's highest four bits that the core uses, and some that it does not. */
const KINDS = [0, 1, 2, 3, 4, 5, 6, 7, 15];

function state(host: Host): unknown {
  return {
    free: [0, 1, 2, 4].map((what) => host.core.inspect(what)),
    paths: [...host.bytes(host.core.pathTable(), 4 * abi.PATH_BYTES)],
    units: [...host.bytes(host.core.unitTable(), abi.UNIT_BYTES)],
    events: host.events.length,
    outstanding: host.outstanding.length,
    resets: host.resets.length,
  };
}

/** Tells `tags`, each of nothing: they are counted, and nothing else has changed. */
function ignored(t: ExecutionContext, host: Host, ...tags: readonly number[]): void {
  host.settle();
  const before = state(host);
  const counted = host.core.inspect(STRAYS);
  for (const tag of tags) {
    host.complete(tag, EIO);
    host.complete(tag, 0);
    host.complete(tag, 512);
  }
  host.settle();
  t.is(host.core.inspect(STRAYS) - counted, 3 * tags.length);
  t.deepEqual(state(host), before);
}

function read(cookie: bigint): Buffer {
  return request(READ, cookie, 0n, 4096);
}

test("what was never asked for, in every kind, generation and place", (t) => {
  const host = new Host();
  host.connect(host.unit().unit);
  host.settle();
  // The connection waits for its RECV and its WATCH, with the generations 2 and 1.
  const pending = new Set([0x2020_0000, 0x6010_0000]);
  const tags = KINDS.flatMap((kind) =>
    [0, 1, 2, 5, 127, 255].flatMap((generation) =>
      [0, 1, 15, 16, 255, 256, 287, 288, 0xfffff].map((index) => ((kind << 28) | (generation << 20) | index) >>> 0),
    ),
  ).filter((tag) => !pending.has(tag));
  for (let at = 0; at < tags.length; at += 50) ignored(t, host, ...tags.slice(at, at + 50));
});

test("a command that is told twice, while its slot is free and while it serves another request", (t) => {
  const host = new Host({ commands: 1 });
  const client = host.connect(host.unit({ paths: 1 }).unit);
  host.settle();
  host.keepLog = true;
  client.send(read(1n));
  host.settle();
  const [first] = host.log;
  if (first === undefined) return t.fail();
  ignored(t, host, first.tag);
  host.device = () => undefined;
  client.send(read(2n));
  host.settle();
  const second = host.log[1];
  if (second === undefined) return t.fail();
  t.is(second.slot, first.slot);
  t.not(second.tag, first.tag);
  ignored(t, host, first.tag);
  t.is(replies(client.received, new Map([[1n, 4096]])).length, 1);
  host.answer(second, {});
  host.settle();
  t.is(replies(client.received, new Map([[2n, 4096]]))[0]?.error, 0);
});

test("a command of an orphan that comes back twice", (t) => {
  const { host, unit, faults } = scene();
  const client = host.connect(unit);
  host.advance(10);
  let held: Scsi | undefined;
  for (const port of [0, 1]) {
    faults.set(port, (command) => {
      if (held !== undefined || command.check || command.cdb[0] !== 0x8a) return undefined;
      held = command;
      return "hang";
    });
  }
  client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512));
  host.advance(1000);
  if (held === undefined) return t.fail();
  t.is(replies(client.received).length, 1);
  host.answer(held, {});
  ignored(t, host, held.tag);
});

test("a check that is told twice", (t) => {
  const {
    host,
    paths: [path = -1],
    faults,
  } = scene(undefined, 1);
  let check: Scsi | undefined;
  faults.set(0, (command) => {
    if (command.check) check = command;
    return undefined;
  });
  host.must(host.core.pathSet(path, abi.PATH_SET_UNVERIFIED, 1n));
  host.settle();
  if (check === undefined) return t.fail();
  ignored(t, host, check.tag);
});

test("a check of a path that is gone, told again to the path that has its record now", (t) => {
  const {
    host,
    unit,
    paths: [path = -1],
    faults,
  } = scene(undefined, 1);
  let check: Scsi | undefined;
  faults.set(0, (command) => {
    if (command.check) check = command;
    return undefined;
  });
  host.must(host.core.pathSet(path, abi.PATH_SET_UNVERIFIED, 1n));
  host.settle();
  const old = check;
  host.must(host.core.pathRemove(path));
  faults.set(0, () => "hang");
  t.is(host.core.pathAdd(unit, 0, 0, 9, 1, 8), path);
  host.settle();
  if (old === undefined) return t.fail();
  ignored(t, host, old.tag);
  t.not(host.flags(path) & abi.PATH_FLAG_UNVERIFIED, 0);
});

test("RECV, SEND, WATCH and CLOSE that are told twice, also to the connection that has the record now", (t) => {
  const host = new Host({ connections: 1 });
  const { unit } = host.unit();
  const client = host.connect(unit);
  host.settle();
  const tags: number[] = [client.recv?.tag ?? -1, client.watch ?? -1];
  client.holdSends = true;
  client.send(read(1n));
  host.settle();
  tags.push(client.sends[0]?.tag ?? -1);
  ignored(t, host, tags[0] ?? -1);
  client.holdSends = false;
  client.gone = true;
  host.settle();
  t.true(client.closed);
  // CLOSE: the only kind that nobody has shown yet; its generation follows.
  for (let generation = 0; generation < 256; generation++) tags.push(((4 << 28) | (generation << 20)) >>> 0);
  ignored(t, host, ...tags.slice(0, 50));
  const next = host.connect(unit);
  t.is(next.handle, client.handle);
  host.settle();
  ignored(t, host, ...tags.filter((tag) => tag !== next.recv?.tag && tag !== next.watch).slice(0, 60));
  next.send(read(2n));
  host.settle();
  t.is(replies(next.received, new Map([[2n, 4096]]))[0]?.error, 0);
});

test("a reset that is told twice, and one of the path that had the record before", (t) => {
  const {
    host,
    unit,
    faults,
    paths: [path = -1],
  } = scene(undefined, 1);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_ORPHAN_RESET_MS, 100n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, 200n));
  const client = host.connect(unit);
  host.advance(10);
  faults.set(0, () => "hang");
  client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512));
  host.advance(6000);
  const [first] = host.resets;
  if (first === undefined) return t.fail();
  host.complete(first.tag, EIO);
  host.settle();
  ignored(t, host, first.tag);
  for (const command of host.outstanding.slice()) host.answer(command, { hostStatus: 8 });
  host.must(host.core.pathRemove(path));
  host.settle();
  t.is(host.core.pathAdd(unit, 0, 0, 9, 1, 8), path);
  host.settle();
  ignored(t, host, first.tag);
});

test("whatever is told beside what is due, requests are answered as if it had not been", (t) => {
  const property = fc.property(fc.array(fc.tuple(fc.nat(0xffff_ffff), fc.integer()), { maxLength: 40 }), (strays) => {
    const host = new Host();
    const client = host.connect(host.unit().unit);
    host.settle();
    for (const [i, [tag, result]] of strays.entries()) {
      const due = new Set([client.recv?.tag, client.watch, ...host.outstanding.map((command) => command.tag)]);
      if (!due.has(tag)) host.complete(tag, result);
      client.send(read(BigInt(i)));
      host.settle();
      if (replies(client.received, new Map([[BigInt(i), 4096]]))[0]?.error !== 0) return false;
    }
    return !client.closed;
  });
  t.notThrows(() => fc.assert(property, { numRuns: 50 }));
});
