// A device that says, once, that it has lost what it had acknowledged is not asked again until it says that all is well.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import type { Client } from "./fixtures/harness.ts";
import { Host } from "./fixtures/harness.ts";
import { FLUSH, FUA, READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import type { Answer, Scsi } from "./fixtures/scsi.ts";
import { check, deferred } from "./fixtures/scsi.ts";

const EIO = 5;
const SYNC = 0x91;
const CACHE = abi.UNIT_CAN_CACHE_WRITES;

interface Scene {
  host: Host;
  disk: Disk;
  unit: number;
  paths: number[];
  client: Client;
  /** Answered once each, by port; "hang" keeps the command in `outstanding`. */
  faults: Map<number, { operation: number; answer: Answer | "hang" }>;
}

function scene(capabilities = CACHE): Scene {
  const host = new Host();
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const disk = new Disk(1 << 20);
  const faults: Scene["faults"] = new Map();
  host.device = (command) => {
    const fault = faults.get(command.port);
    if (fault === undefined || fault.operation !== command.cdb[0]) return disk.execute(host, command);
    faults.delete(command.port);
    return fault.answer === "hang" ? undefined : fault.answer;
  };
  const { unit, paths } = host.unit({ blocks: 2048n, capabilities });
  return { host, disk, unit, paths, client: host.connect(unit), faults };
}

/** Sends a request and answers the error of its reply. */
function ask(s: Scene, kind: number, flags = 0, client = s.client): number | undefined {
  const bytes = kind === FLUSH ? 0 : 512;
  client.send(request(kind, 1n, 0n, bytes, flags), Buffer.alloc(kind === WRITE ? bytes : 0, 1));
  s.host.settle();
  return replies(client.received, new Map([[1n, kind === READ ? bytes : 0]]))[0]?.error;
}

const losses = (s: Scene): number => s.host.events.filter(({ kind }) => kind === abi.EVENT_DATA_LOST).length;
const hung = (s: Scene, port: number): Scsi => {
  const command = s.host.outstanding.find((one) => one.port === port);
  if (command === undefined) throw new Error(`nothing hangs on port ${port}`);
  return command;
};

for (const [name, answer] of [
  ["HARDWARE ERROR", check(4, 0x44, 0)],
  ["MEDIUM ERROR", check(3, 0x0c, 0)],
  ["a deferred MEDIUM ERROR", deferred(3, 0x0c, 0)],
  ["a deferred HARDWARE ERROR", deferred(4, 0x44, 0)],
  ["no room on a thin unit", check(7, 0x27, 7)],
] as const) {
  test(`a flush that is answered ${name} fails, on this path and without asking another, and is told`, (t) => {
    const s = scene();
    s.faults.set(0, { operation: SYNC, answer });
    t.is(ask(s, FLUSH), EIO);
    t.is(s.disk.flushes, 0);
    t.is(losses(s), 1);
    t.is(ask(s, FLUSH), 0, "it was told once, and is over");
    t.is(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_FAILED, 0, "the path carried the answer well");
  });
}

for (const [key, name] of [
  [3, "MEDIUM ERROR"],
  [4, "HARDWARE ERROR"],
  [7, "DATA PROTECT"],
] as const) {
  for (const [operation, kind] of [
    [0x88, READ],
    [0x8a, WRITE],
  ] as const) {
    test(`a deferred ${name} on command ${operation.toString(16)}: that is sent again, the next flush fails`, (t) => {
      const s = scene();
      s.faults.set(0, { operation, answer: deferred(key, 0x0c, 0) });
      t.is(ask(s, kind), 0);
      t.is(losses(s), 1);
      t.deepEqual(
        s.host.events.filter((event) => event.kind === abi.EVENT_DATA_LOST).map((event) => [event.path, event.arg0]),
        [[s.paths[0], 1]],
      );
      t.is(ask(s, FLUSH), EIO);
      t.is(ask(s, FLUSH), 0);
    });
  }
}

test("a deferred error that tells of no loss fails no flush", (t) => {
  const s = scene();
  for (const key of [0, 1, 6]) {
    s.faults.set(0, { operation: 0x88, answer: deferred(key, 0, 0) });
    t.is(ask(s, READ), 0);
    t.is(ask(s, FLUSH), 0);
  }
  t.is(losses(s), 0);
});

test("a deferred error on a check of a path fails the next flush", (t) => {
  const s = scene();
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL, 3n));
  s.faults.set(1, { operation: 0x00, answer: deferred(3, 0x0c, 0) });
  s.host.advance(12_000);
  t.is(losses(s), 1);
  t.is(ask(s, FLUSH), EIO);
  t.is(s.host.flags(s.paths[1] ?? -1) & abi.PATH_FLAG_FAILED, 0);
});

test("FUA made of a flush: that flush's error fails the write, and the next flush, which covers more", (t) => {
  const s = scene();
  s.faults.set(0, { operation: SYNC, answer: check(4, 0x44, 0) });
  t.is(ask(s, WRITE, FUA), EIO);
  t.is(ask(s, FLUSH), EIO);
  t.is(ask(s, FLUSH), 0);
});

test("FUA made of a flush: a loss told by another command in between may be this write's, so it fails too", (t) => {
  const s = scene();
  s.faults.set(0, { operation: SYNC, answer: "hang" });
  t.is(ask(s, WRITE, FUA), undefined);
  const other = s.host.connect(s.unit);
  s.faults.set(0, { operation: 0x88, answer: deferred(3, 0x0c, 0) });
  t.is(ask(s, READ, 0, other), 0);
  s.host.answer(hung(s, 0), {});
  s.host.settle();
  t.is(replies(s.client.received)[0]?.error, EIO);
  t.is(ask(s, FLUSH), EIO, "it covers other writes as well");
  t.is(ask(s, FLUSH), 0);
});

test("a flush that was sent again beside one that was lost fails when either tells of a loss", (t) => {
  for (const first of [true, false]) {
    const s = scene();
    s.faults.set(0, { operation: SYNC, answer: "hang" });
    s.faults.set(1, { operation: SYNC, answer: "hang" });
    t.is(ask(s, FLUSH), undefined);
    s.host.advance(30_100);
    t.is(s.host.outstanding.filter(({ cdb }) => cdb[0] === SYNC).length, 2);
    s.host.answer(hung(s, first ? 0 : 1), check(4, 0x44, 0));
    s.host.settle();
    t.is(replies(s.client.received)[0]?.error, EIO);
    s.host.answer(hung(s, first ? 1 : 0), {});
    s.host.settle();
    t.is(losses(s), 1);
    t.is(ask(s, FLUSH), 0);
  }
});

test("a loss that a flush tells of when it is answered already fails the next one", (t) => {
  const s = scene();
  s.faults.set(0, { operation: SYNC, answer: "hang" });
  t.is(ask(s, FLUSH), undefined);
  s.host.advance(30_100);
  t.is(replies(s.client.received)[0]?.error, 0);
  s.host.answer(hung(s, 0), check(3, 0x0c, 0));
  s.host.settle();
  t.is(ask(s, FLUSH), EIO);
});

test("a client that has gone does not take the news with it", (t) => {
  const s = scene();
  s.faults.set(0, { operation: 0x88, answer: deferred(3, 0x0c, 0) });
  t.is(ask(s, READ), 0);
  s.faults.set(0, { operation: SYNC, answer: "hang" });
  t.is(ask(s, FLUSH), undefined);
  t.is(s.host.core.connectionClose(s.client.handle), 0);
  s.host.settle();
  s.host.answer(hung(s, 0), {});
  s.host.settle();
  const other = s.host.connect(s.unit);
  t.is(ask(s, FLUSH, 0, other), EIO);
  t.is(ask(s, FLUSH, 0, other), 0);
});

test("a reservation conflict of a flush fails it and tells of no loss", (t) => {
  const s = scene();
  s.faults.set(0, { operation: SYNC, answer: { status: 0x18 } });
  t.is(ask(s, FLUSH), 1);
  t.is(losses(s), 0);
  t.is(ask(s, FLUSH), 0);
});

test("one unit's loss is no other's", (t) => {
  const s = scene();
  const other = s.host.unit({ capabilities: CACHE });
  s.faults.set(0, { operation: 0x88, answer: deferred(3, 0x0c, 0) });
  t.is(ask(s, READ), 0);
  t.is(ask(s, FLUSH, 0, s.host.connect(other.unit)), 0);
  t.is(ask(s, FLUSH), EIO);
});
