// A client that goes without NBD_CMD_DISC may have been replaced by one that sends again what was not answered: the
// kernel's driver with several connections, a QEMU that connects anew. So nothing of the one that has gone may land after
// what its successor has been told is written.
import test, { type ExecutionContext } from "ava";
import * as abi from "../../../host/abi.ts";
import type { Client } from "./fixtures/harness.ts";
import { errors, idle, scene, type Scene } from "./fixtures/holes.ts";
import { DISC, READ, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";

const write = (cookie: bigint, value: number, bytes = 512): Uint8Array[] => [
  request(WRITE, cookie, 0n, bytes),
  Buffer.alloc(bytes, value),
];

/** The ways in which a client goes. */
const ways: readonly [string, (s: Scene, client: Client) => void][] = [
  ["it sends no more", (_s, client) => (client.ended = true)],
  ["it is gone", (_s, client) => (client.gone = true)],
  [
    "it says DISC and is gone",
    (s, client) => {
      client.send(request(DISC, 9n, 0n, 0));
      s.host.settle();
      client.gone = true;
    },
  ],
  ["control closes it", (s, client) => void s.host.core.connectionClose(client.handle)],
  ["it breaks the protocol", (_s, client) => client.send(Buffer.alloc(28, 1))],
];

function writes(s: Scene): number {
  return s.host.log.filter(({ cdb }) => cdb[0] === 0x8a).length;
}

/** Takes all paths away, or brings them back. */
function paths(s: Scene, there: boolean): void {
  for (const path of s.paths) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_ENABLED, there ? 1n : 0n));
}

/** What the holes have swallowed lands after all. */
function land(s: Scene): void {
  for (const command of s.held.splice(0)) s.host.answer(command, s.disk.execute(s.host, command));
  s.host.advance(1);
}

/** With its paths back, the unit gets what the client that has come since writes, and nothing else. */
function onlyTheSuccessorWrites(t: ExecutionContext, s: Scene): void {
  s.host.keepLog = true;
  paths(s, true);
  s.client.send(...write(1n, 2));
  s.host.advance(1000);
  t.deepEqual(errors(s.client), [[1n, 0]]);
  t.is(writes(s), 1);
  t.is(s.disk.media[0], 2);
  t.deepEqual(idle(s), s.free);
}

for (const [name, go] of ways) {
  test(`a write under way holds back what was sent since, until it has ended: ${name}`, (t) => {
    const s = scene();
    s.holes.add(0);
    const before = s.host.connect(s.unit);
    before.send(...write(1n, 1));
    s.host.settle();
    t.is(s.held.length, 1);
    go(s, before);
    s.host.settle();
    t.true(before.closed);
    s.holes.clear();
    s.client.send(...write(1n, 1), ...write(3n, 2), request(READ, 2n, 0n, 512), request(READ, 4n, 4096n, 512));
    s.host.settle();
    t.deepEqual(errors(s.client), [[4n, 0]]);
    land(s);
    t.is(errors(s.client).filter(([, error]) => error === 0).length, 3);
    t.is(s.disk.media[0], 2);
    s.host.advance(1000);
    t.is(s.disk.media[0], 2);
    t.deepEqual(idle(s), s.free);
  });

  test(`what waits for a path is never sent: ${name}`, (t) => {
    const s = scene();
    paths(s, false);
    const before = s.host.connect(s.unit);
    before.send(...write(1n, 1), request(WRITE_ZEROES, 3n, 0n, 512));
    s.host.settle();
    t.is(s.host.unitField(s.unit, abi.UNIT_REQUESTS), 2);
    go(s, before);
    s.host.settle();
    t.is(s.host.unitField(s.unit, abi.UNIT_REQUESTS), 0);
    t.is(s.host.unitField(s.unit, abi.UNIT_WAITING), 0);
    t.is(s.host.unitField(s.unit, abi.UNIT_CONNECTIONS), 1);
    onlyTheSuccessorWrites(t, s);
  });
}

test("what its client has sent before it went, and nobody has read, is not read any more", (t) => {
  const s = scene(2, 0, { requests: 4 });
  paths(s, false);
  const before = s.host.connect(s.unit);
  for (let i = 0; i < 200; i++) before.send(...write(1n, 1));
  s.host.settle();
  t.true(before.pending.length > 0);
  t.is(before.recv, undefined);
  before.gone = true;
  s.host.settle();
  t.true(before.closed);
  onlyTheSuccessorWrites(t, s);
});

test("a host that cannot watch a socket is no reason to close it", (t) => {
  const s = scene();
  const client = s.host.connect(s.unit);
  s.host.settle();
  t.not(client.watch, undefined);
  s.host.complete(client.watch ?? 0, -22);
  client.watch = undefined;
  client.send(...write(1n, 1));
  s.host.settle();
  t.deepEqual(errors(client), [[1n, 0]]);
  client.ended = true;
  s.host.settle();
  t.true(client.closed);
  t.is(s.host.core.inspect(3), 0);
});

test("the rest of a request that was begun is not sent either", (t) => {
  const s = scene(1);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, 8n));
  s.host.must(s.host.core.pathSet(s.paths[0] ?? -1, abi.PATH_SET_DEPTH, 2n));
  s.holes.add(0);
  s.host.keepLog = true;
  const before = s.host.connect(s.unit);
  before.send(...write(1n, 1, 65_536));
  s.host.settle();
  t.is(writes(s), 2);
  before.ended = true;
  s.host.settle();
  s.holes.clear();
  land(s);
  s.host.advance(1000);
  t.is(writes(s), 2);
  t.deepEqual(idle(s), s.free);
});

test("nobody hears the answer, so it counts neither as one nor as a failure", (t) => {
  const s = scene();
  const counts = (): bigint[] =>
    [abi.UNIT_ANSWERED, abi.UNIT_FAILED].map((field) =>
      s.host.view.getBigUint64(s.host.core.unitTable() + s.unit * abi.UNIT_BYTES + field, true),
    );
  const before = counts();
  s.holes.add(0);
  const client = s.host.connect(s.unit);
  client.send(...write(1n, 1), request(READ, 2n, 4096n, 512));
  s.host.settle();
  client.ended = true;
  s.host.settle();
  s.holes.clear();
  land(s);
  t.deepEqual(counts(), before);
  t.deepEqual(idle(s), s.free);
});

test("a client that says DISC and stays gets the answers to all it has asked", (t) => {
  const s = scene();
  s.holes.add(0);
  const client = s.host.connect(s.unit);
  client.send(...write(1n, 1), request(READ, 2n, 4096n, 512), request(DISC, 5n, 0n, 0));
  s.host.settle();
  t.false(client.closed);
  land(s);
  const answers = replies(client.received, new Map([[2n, 512]]));
  t.deepEqual(new Set(answers.map(({ cookie, error }) => `${cookie} ${error}`)), new Set(["1 0", "2 0"]));
  t.true(client.closed);
  t.is(s.disk.media[0], 1);
  t.deepEqual(idle(s), s.free);
});

test("that a client has gone is told as an orderly end", (t) => {
  const s = scene();
  const client = s.host.connect(s.unit);
  s.host.settle();
  s.host.events.length = 0;
  client.gone = true;
  s.host.settle();
  t.deepEqual(
    s.host.events.map(({ kind, unit, arg0, arg1 }) => [kind, unit, arg0, arg1]),
    [[abi.EVENT_CONNECTION_CLOSED, s.unit, client.handle, 0]],
  );
});
