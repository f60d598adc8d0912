// Proves that a core with a small pool serves what its limit of one payload allows, and refuses a limit that does not fit.

import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";
import { DF, READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";

const MIB = 1 << 20;
const EINVAL = 22;
const EOVERFLOW = 75;

test("a pool of 1 MiB serves requests of up to the limit", (t) => {
  const host = new Host({ pool: MIB, payload: MIB });
  host.device = () => ({});
  const client = host.connect(host.unit({ blocks: 1n << 20n }).unit, abi.CONNECTION_STRUCTURED);
  client.send(request(READ, 1n, 0n, MIB), request(READ, 2n, 0n, MIB + 512), request(READ, 3n, 0n, MIB + 512, DF));
  client.send(request(WRITE, 4n, 0n, MIB), Buffer.alloc(MIB));
  client.send(request(WRITE, 5n, 0n, MIB + 512), Buffer.alloc(MIB + 512));
  host.settle();
  const errors = new Map(replies(client.received).map(({ cookie, error }) => [cookie, error]));
  t.deepEqual(
    [1n, 2n, 3n, 4n, 5n].map((cookie) => errors.get(cookie)),
    [0, EINVAL, EOVERFLOW, 0, EOVERFLOW],
  );
  client.send(request(WRITE, 6n, 0n, 2 * MIB + 512));
  host.settle();
  t.true(client.closed, "more than twice the limit");
});

for (const [name, limits] of [
  ["no payload", { payload: 0 }],
  ["a payload below a page", { payload: 4095 }],
  ["a payload above what NBD allows", { payload: abi.NBD_PAYLOAD_BYTES_MAX + 1, pool: 64 * MIB }],
  ["a payload larger than the pool", { payload: 2 * MIB, pool: MIB }],
  ["a payload larger than the pool's whole MiB", { payload: MIB + 4096, pool: 2 * MIB - 1 }],
  ["a pool below one piece", { payload: 4096, pool: MIB - 1 }],
] as const) {
  test(`refused: ${name}`, (t) => {
    t.throws(() => new Host(limits), { message: `init answered -${abi.ERROR_RANGE}` });
  });
}

test("what would not fit into the pool with whole blocks is refused, not waited for", (t) => {
  const host = new Host({ pool: MIB, payload: MIB });
  host.device = () => ({});
  const client = host.connect(host.unit().unit, abi.CONNECTION_STRUCTURED | abi.CONNECTION_UNALIGNED);
  client.send(request(READ, 1n, 1n, MIB), request(READ, 2n, 1n, MIB, DF), request(READ, 3n, 1n, MIB - 512));
  client.send(request(WRITE, 4n, 1n, MIB), Buffer.alloc(MIB));
  host.settle();
  const errors = new Map(replies(client.received).map(({ cookie, error }) => [cookie, error]));
  t.deepEqual(
    [1n, 2n, 3n, 4n].map((cookie) => errors.get(cookie)),
    [EINVAL, EOVERFLOW, 0, EOVERFLOW],
  );
});
