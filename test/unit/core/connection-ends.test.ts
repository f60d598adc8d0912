// How a connection ends when it is the host that reports it: RECV or SEND fails, says what cannot be, or is not told at all.
import test, { type ExecutionContext } from "ava";
import * as abi from "../../../host/abi.ts";
import { Host, type Client } from "./fixtures/harness.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";

const ECONNRESET = 104;
const EPIPE = 32;
const EIO = 5;
const MIB = 1 << 20;

const inspected = (host: Host): number[] => [0, 1, 2].map((what) => host.core.inspect(what));

interface Setup {
  readonly host: Host;
  readonly unit: number;
  readonly client: Client;
  readonly free: number[];
}

/** A client whose read waits for its SEND to be answered, which the test does. */
function sending(): Setup {
  const host = new Host({ connections: 1 });
  const free = inspected(host);
  const { unit } = host.unit();
  const client = host.connect(unit);
  client.holdSends = true;
  client.send(request(READ, 1n, 0n, 4096));
  host.settle();
  return { host, unit, client, free };
}

/** It is closed, `error` is told once, nothing of it is left, and the place serves the next one. */
function over(t: ExecutionContext, { host, unit, client, free }: Setup, error: number): void {
  const told = host.events.filter(({ kind }) => kind === abi.EVENT_CONNECTION_CLOSED);
  t.deepEqual(
    told.map(({ arg0, arg1 }) => [arg0, arg1 | 0]),
    [[client.handle, error]],
  );
  t.deepEqual(inspected(host), free);
  const next = host.connect(unit);
  t.is(next.handle, client.handle);
  next.send(request(READ, 2n, 0n, 4096));
  host.settle();
  t.is(replies(next.received, new Map([[2n, 4096]]))[0]?.error, 0);
}

for (const [title, result, error] of [
  ["that fails", -ECONNRESET, -ECONNRESET],
  ["of more bytes than there was room for", MIB, -EIO],
] as const) {
  test(`a RECV ${title} closes the connection, and nothing of it is taken for a request`, (t) => {
    const host = new Host({ connections: 1 });
    const free = inspected(host);
    const { unit } = host.unit();
    const client = host.connect(unit);
    host.settle();
    const { recv } = client;
    if (recv === undefined) return t.fail();
    host.bytes(recv.address, 28).set(request(READ, 1n, 0n, 512));
    client.recv = undefined;
    host.keepLog = true;
    host.complete(recv.tag, result);
    host.settle();
    t.true(client.closed);
    t.deepEqual(host.log, []);
    over(t, { host, unit, client, free }, error);
  });
}

for (const [title, by, error] of [
  ["more", 1, -EIO],
  ["fewer", -1, 0],
] as const) {
  test(`a RECV of ${title} payload bytes than are left closes the connection, and nothing is written`, (t) => {
    const host = new Host({ connections: 1 });
    const free = inspected(host);
    const { unit } = host.unit();
    const client = host.connect(unit);
    client.send(request(WRITE, 1n, 0n, 65536));
    host.settle();
    const { recv } = client;
    if (recv === undefined) return t.fail();
    t.is(recv.length, 65536);
    host.keepLog = true;
    client.recv = undefined;
    host.complete(recv.tag, recv.length + by);
    host.settle();
    t.true(client.closed);
    t.deepEqual(host.log, []);
    over(t, { host, unit, client, free }, error);
  });
}

for (const [title, result, error] of [
  ["that fails", -EPIPE, -EPIPE],
  ["of half of the reply", 2048, -EIO],
  ["of nothing", 0, -EIO],
] as const) {
  test(`a SEND ${title} closes the connection: what follows would not be a reply`, (t) => {
    const s = sending();
    const send = s.client.sends.shift();
    if (send === undefined) return t.fail();
    s.host.complete(send.tag, result);
    s.host.settle();
    t.true(s.client.closed);
    over(t, s, error);
  });
}

test("CLOSE that is told while a SEND is not: the reply's buffers are free with it", (t) => {
  const s = sending();
  const send = s.client.sends.shift();
  if (send === undefined) return t.fail();
  s.host.must(s.host.core.connectionClose(s.client.handle));
  s.host.settle();
  const strays = s.host.core.inspect(3);
  s.host.complete(send.tag, send.bytes);
  s.host.settle();
  t.is(s.host.core.inspect(3), strays + 1, "it comes too late to mean anything");
  over(t, s, 0);
});

/** Takes what control has just submitted out of the queue; answers its tag. */
function takeClose(host: Host): number | undefined {
  const ring = host.control + abi.CONTROL_NATIVE_QUEUE;
  const entry =
    host.u32(ring + abi.RING_BASE) +
    (host.u32(ring + abi.RING_HEAD) & (host.u32(ring + abi.RING_CAPACITY) - 1)) * abi.SUBMISSION_BYTES;
  if (host.view.getUint8(entry + abi.SUBMISSION_OP) !== abi.OP_CLOSE) return undefined;
  host.view.setUint32(ring + abi.RING_HEAD, host.u32(ring + abi.RING_HEAD) + 1, true);
  return host.u32(entry + abi.SUBMISSION_TAG);
}

test("CLOSE that is carried out before the core's next turn frees the record once", (t) => {
  const s = sending();
  s.host.must(s.host.core.connectionClose(s.client.handle));
  const tag = takeClose(s.host);
  if (tag === undefined) return t.fail();
  s.client.closed = true;
  s.host.complete(tag, 0);
  s.host.settle();
  over(t, s, 0);
});

test("a client that does not take its replies is closed when others wait for their buffers, and not before its time", (t) => {
  const host = new Host({ pool: 32 * MIB });
  const { unit } = host.unit({ blocks: 1n << 30n });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const bad = host.connect(unit);
  bad.holdSends = true;
  bad.send(request(READ, 1n, 0n, 20 * MIB));
  host.advance(90_000);
  t.false(bad.closed, "nobody minds");
  const good = host.connect(unit);
  bad.holdSends = false;
  host.advance(1);
  bad.holdSends = true;
  bad.send(request(READ, 2n, 0n, 20 * MIB));
  host.advance(1);
  good.send(request(READ, 1n, 0n, 20 * MIB));
  host.advance(59_000);
  t.false(bad.closed);
  t.deepEqual(good.received, []);
  host.advance(12_000);
  t.true(bad.closed);
  t.is(replies(good.received, new Map([[1n, 20 * MIB]])).length, 1);
});

test("a client that others wait for has its whole minute to take its replies, and no more than a look longer", (t) => {
  const host = new Host({ pool: 32 * MIB });
  const { unit } = host.unit({ blocks: 1n << 30n });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const [bad, good] = [host.connect(unit), host.connect(unit)];
  bad.holdSends = true;
  bad.send(request(READ, 2n, 0n, 20 * MIB));
  good.send(request(READ, 1n, 0n, 20 * MIB));
  host.advance(60_000);
  t.false(bad.closed);
  host.advance(10_000);
  t.true(bad.closed);
});
