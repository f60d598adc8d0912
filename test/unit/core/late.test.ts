// Word of a SEND's success may come late (SUBMISSION_FLAG_LAZY): that saves a turn per request, and nobody waits for it.
import test from "ava";
import fc from "fast-check";
import { Host } from "./fixtures/harness.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";

const MIB = 1 << 20;

function late(limits: ConstructorParameters<typeof Host>[0]): Host {
  const host = new Host(limits);
  host.late = true;
  return host;
}

test("a lone reply does not ask for a turn of its own, and its room is free with the next completion", (t) => {
  const host = late({ requests: 8 });
  const client = host.connect(host.unit().unit);
  for (let cookie = 1n; cookie <= 3n; cookie++) {
    client.send(request(READ, cookie, 0n, 4096));
    host.settle();
    t.is(replies(client.received, new Map([[cookie, 4096]])).length, 1);
    t.is(host.untold, 1);
    t.is(host.core.inspect(0), 7);
  }
});

test("the end of a connection does not wait for anything else to happen", (t) => {
  const host = late({ requests: 8 });
  const client = host.connect(host.unit().unit);
  client.send(request(READ, 1n, 0n, 4096));
  client.ended = true;
  host.settle();
  t.true(client.closed);
  t.is(host.core.inspect(0), 8);
});

for (const array of [false, true]) {
  const devices = array ? "an emulated unit" : "a native unit";
  test(`two READs of one client with one request slot are both answered: ${devices}`, (t) => {
    const host = late({ requests: 1 });
    const client = host.connect(host.unit({ array }).unit);
    client.send(Buffer.concat([request(READ, 1n, 0n, 4096), request(READ, 2n, 0n, 4096)]));
    host.settle();
    const lengths = new Map([1n, 2n].map((cookie) => [cookie, 4096]));
    t.is(replies(client.received, lengths).length, 2);
  });

  test(`who waits for room gets it without the clock moving, whatever is told late: ${devices}`, (t) => {
    const wish = fc.record({
      client: fc.nat(5),
      write: fc.boolean(),
      bytes: fc.constantFrom(512, 65536, MIB, 9 * MIB, 17 * MIB),
    });
    const property = fc.property(
      fc.array(wish, { maxLength: 40 }),
      fc.integer({ min: 1, max: 6 }),
      (wishes, requests) => {
        const host = late({ requests, pool: 32 * MIB, connections: 8 });
        const blocks = 1n << 30n;
        const units = [host.unit({ blocks, array }).unit, host.unit({ blocks, array }).unit];
        const clients = Array.from({ length: 6 }, (_, index) => host.connect(units[index % 2] ?? 0));
        const reads = new Map<bigint, number>();
        for (const [index, { client, write, bytes }] of wishes.entries()) {
          const cookie = BigInt(index);
          if (!write) reads.set(cookie, bytes);
          clients[client]?.send(request(write ? WRITE : READ, cookie, 0n, bytes), Buffer.alloc(write ? bytes : 0));
        }
        host.settle();
        const answered = clients.flatMap(({ received }) => replies(received, reads)).length;
        return answered === wishes.length;
      },
    );
    t.notThrows(() => fc.assert(property, { numRuns: 60 }));
  });
}

test("a client that does not read its replies does not keep the host turning", (t) => {
  const host = late({ requests: 1 });
  const client = host.connect(host.unit().unit);
  client.holdSends = true;
  client.send(Buffer.concat([request(READ, 1n, 0n, 4096), request(READ, 2n, 0n, 4096)]));
  host.settle();
  t.true(host.deadline() > host.now);
  client.holdSends = false;
  host.settle();
  t.is(host.core.inspect(0), 1);
});
