// Used-up room is backpressure: nothing is received, nothing is lost, everybody gets his turn.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";

const MIB = 1 << 20;

test("no request slot: no RECV, then first come, first served", (t) => {
  const host = new Host({ requests: 4, connections: 8 });
  const { unit } = host.unit();
  host.device = () => undefined;
  const clients = Array.from({ length: 6 }, () => host.connect(unit));
  for (const client of clients) for (let i = 0; i < 10; i++) client.send(request(READ, BigInt(i), 0n, 512));
  const finished: number[] = [];
  for (let turns = 0; finished.length < 60 && turns < 1000; turns++) {
    host.settle();
    t.true(host.outstanding.length <= 4);
    const [oldest] = host.outstanding;
    if (oldest === undefined) return t.fail("nothing goes on");
    host.answer(oldest, {});
    host.settle();
    clients.forEach((client, index) => {
      for (const _ of replies(client.received, lengths)) finished.push(index);
    });
  }
  t.is(finished.length, 60);
  for (let i = 12; i < 48; i += 6) t.true(new Set(finished.slice(i, i + 6)).size >= 5, `fair at ${i}: ${finished}`);
});

const lengths = new Map(Array.from({ length: 1000 }, (_, i) => [BigInt(i), 512]));

test("no buffers: a 32 MiB write gets its turn although small ones never stop", (t) => {
  const host = new Host({ pool: 32 * MIB, requests: 64 });
  const { unit } = host.unit({ blocks: 1n << 30n });
  host.device = () => undefined;
  const small = Array.from({ length: 3 }, () => host.connect(unit));
  const large = host.connect(unit);
  let cookie = 0n;
  const feed = (): void => {
    for (const client of small) if (client.pending.length < 100) client.send(request(READ, cookie++, 0n, 512));
  };
  feed();
  host.settle();
  large.send(request(WRITE, 1n, 0n, 32 * MIB), Buffer.alloc(32 * MIB));
  let done = false;
  for (let i = 0; i < 2000 && !done; i++) {
    feed();
    host.settle();
    for (const command of host.outstanding.slice(0, 2)) host.answer(command, {});
    host.settle();
    done = replies(large.received).length > 0;
  }
  t.true(done);
});

test("few command slots carry a request of many pieces, and those of other units beside it", (t) => {
  const host = new Host({ commands: 2 });
  const one = host.unit({ blocks: 1n << 30n });
  const two = host.unit({ blocks: 1n << 30n });
  host.device = () => undefined;
  const a = host.connect(one.unit);
  const b = host.connect(two.unit);
  a.send(request(WRITE_ZEROES, 1n, 0n, 64 * MIB));
  b.send(request(READ, 2n, 0n, 32 * MIB));
  let served = 0;
  for (let i = 0; i < 500 && served < 2; i++) {
    host.settle();
    t.true(host.outstanding.length <= 2);
    const [oldest] = host.outstanding;
    if (oldest !== undefined) host.answer(oldest, {});
    host.settle();
    served += replies(a.received).length + replies(b.received, new Map([[2n, 32 * MIB]])).length;
  }
  t.is(served, 2);
  t.is(host.core.inspect(1), 2);
});

test("the depth of a path is never exceeded", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit({ depth: 3 });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_LEAST_IN_FLIGHT)));
  host.device = () => undefined;
  const client = host.connect(unit);
  for (let i = 0; i < 50; i++) client.send(request(READ, BigInt(i), 0n, 512));
  let done = 0;
  for (let i = 0; i < 100 && done < 50; i++) {
    host.settle();
    for (const path of paths) t.true(host.pathField(path, abi.PATH_IN_FLIGHT) <= 3);
    const [oldest] = host.outstanding;
    if (oldest !== undefined) host.answer(oldest, {});
    host.settle();
    done += replies(client.received, lengths).length;
  }
  t.is(done, 50);
});

test("a unit that answers nothing leaves room for the others", (t) => {
  const host = new Host({ requests: 32, pool: 32 * MIB, connections: 16 });
  const hung = [host.unit({ blocks: 1n << 30n }), host.unit({ blocks: 1n << 30n })];
  const alive = host.unit({ blocks: 1n << 30n });
  host.device = (command) => (command.port >= 200 ? {} : undefined);
  for (const { unit } of hung) {
    for (let k = 0; k < 3; k++) {
      const client = host.connect(unit);
      for (let i = 0; i < 100; i++) client.send(request(READ, BigInt(i), 0n, MIB));
    }
  }
  host.settle();
  const client = host.connect(alive.unit);
  for (let i = 0; i < 20; i++) client.send(request(READ, BigInt(i), 0n, 65536));
  host.settle();
  t.is(replies(client.received, new Map(Array.from({ length: 20 }, (_, i) => [BigInt(i), 65536]))).length, 20);
});

test("a reply that the client does not take keeps its buffers, and only its own", (t) => {
  const host = new Host();
  const { unit } = host.unit();
  const slow = host.connect(unit);
  const quick = host.connect(unit);
  slow.holdSends = true;
  for (let i = 0; i < 5; i++) slow.send(request(READ, BigInt(i), 0n, 4096));
  host.settle();
  t.is(host.core.inspect(0), 256 - 5);
  quick.send(request(READ, 1n, 0n, 512));
  host.settle();
  t.is(replies(quick.received, lengths).length, 1);
  slow.holdSends = false;
  host.settle();
  t.is(host.core.inspect(0), 256);
  t.is(host.core.inspect(2), 64 * MIB);
});

test("the memory of the core never grows", (t) => {
  const host = new Host();
  const before = host.core.memory.buffer.byteLength;
  const { unit } = host.unit({ blocks: 1n << 30n });
  const client = host.connect(unit);
  for (let i = 0; i < 2000; i++) {
    client.send(request(READ, BigInt(i), 0n, 4096 * ((i % 64) + 1)));
    host.settle();
    client.received.length = 0;
  }
  t.is(host.core.memory.buffer.byteLength, before);
});

test("a client that stops in the middle of a large payload is closed when others wait for its buffers", (t) => {
  const host = new Host({ pool: 32 * MIB });
  const { unit } = host.unit({ blocks: 1n << 30n });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const bad = host.connect(unit);
  bad.send(request(WRITE, 1n, 0n, 20 * MIB), Buffer.alloc(MIB));
  host.advance(60_000);
  t.false(bad.closed, "nobody minds");
  const good = host.connect(unit);
  good.send(request(READ, 1n, 0n, 20 * MIB));
  host.advance(1000);
  t.false(bad.closed);
  host.advance(20_000);
  t.true(bad.closed);
  t.is(replies(good.received, new Map([[1n, 20 * MIB]])).length, 1);
});
