// 10,000 random byte streams in the transmission phase: each gets the right NBD error or a closed connection; other clients
// are not affected, nothing leaks. Seeded, so that a failure can be repeated: PEERS_SEED=n npm run test:peers.

import { until } from "../../until.ts";
import { type Case, check, same } from "../case.ts";
import type { Daemon } from "../daemon.ts";
import * as N from "../raw.ts";
import { nothingHeld } from "./misuse.ts";

const STREAMS = 10_000;
const AT_ONCE = 16;

/** xorshift32: simple, seeded, the same everywhere. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

/** Requests that are valid, nearly valid, or noise. They write only to the second unit, so that the first can be compared. */
function stream(next: (below: number) => number): Buffer {
  const parts: Buffer[] = [];
  const count = 1 + next(6);
  for (let i = 0; i < count; i++) {
    const kind = next(10);
    if (kind === 0) {
      parts.push(Buffer.from(Array.from({ length: next(100) }, () => next(256))));
      continue;
    }
    const length = [0, 1, 511, 512, 4096, 65536, 33554432, 33554944, 0xffffffff, next(0x100000000)][next(10)] ?? 0;
    const offset = [0n, 512n, BigInt(next(1 << 27)), (1n << 64n) - 1n, 1n << 62n, BigInt(next(1 << 17)) * 512n][
      next(6)
    ];
    const header = N.command({
      type: next(12),
      cookie: BigInt(i),
      offset: offset ?? 0n,
      length,
      flags: next(3) === 0 ? next(65536) : next(32),
    });
    if (kind === 1) header[next(28)] = next(256);
    parts.push(header);
    if (next(3) === 0) parts.push(Buffer.alloc(Math.min(length, next(70_000)), next(256)));
  }
  return Buffer.concat(parts);
}

/** Checks that the received bytes are replies. They may be cut off at the end: the client hangs up at any time. */
function wellFormed(bytes: Buffer, structured: boolean): void {
  if (bytes.length < 4) return;
  const magic = bytes.readUInt32BE(0);
  const expected = structured ? [0x668e33ef, 0x67446698] : [0x67446698];
  check(expected.includes(magic), `the first reply begins with 0x${magic.toString(16)}`);
}

async function one(socket: string, next: (below: number) => number): Promise<void> {
  const structured = next(2) === 1;
  const client = await N.RawClient.open(socket, "1", structured);
  client.send(stream(next));
  const fashion = next(4);
  if (fashion === 0) client.socket.end();
  if (fashion < 2) await client.end(fashion === 0 ? 2000 : 20).catch(() => {});
  else if (fashion === 2) await new Promise((resolve) => setImmediate(resolve));
  wellFormed(client.received, structured);
  client.close();
}

/** Runs jobs one after another. */
function queue(): <T>(job: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (job) => {
    const mine = last.then(job);
    last = mine.catch(() => {});
    return mine;
  };
}

async function nothingHeldBut(daemon: Daemon, connections: number): Promise<void> {
  await until("the random clients are gone", async () => {
    const held = await daemon.holdings();
    return held.connections === connections && held.requests === 0;
  });
}

/** Streams number `first` to `last`, several at once; `look` is called now and then. */
async function streams(
  socket: string,
  seed: number,
  first: number,
  last: number,
  look: (done: number) => Promise<void>,
) {
  let number = first;
  const worker = async (): Promise<void> => {
    while (number <= last) {
      const mine = number++;
      await one(socket, random(seed + mine));
      if (mine % 500 === 0) await look(mine);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

export const cases: readonly Case[] = [
  {
    name: `${STREAMS} random byte streams in the transmission phase`,
    run: async ({ daemon }) => {
      const seed = Number(process.env["PEERS_SEED"] ?? 20_260_101);
      const next = random(seed);
      const other = await N.RawClient.open(daemon.nbdSocket, "0");
      const data = Buffer.from(Array.from({ length: 65536 }, () => next(256)));
      same((await other.ask({ type: N.WRITE, length: data.length }, data)).error, 0, "write");
      const exclusive = queue();
      const look = (done: number): Promise<void> =>
        exclusive(async () => {
          const read = await other.ask({ type: N.READ, length: data.length });
          check(read.data.equals(data), `seed ${seed}: after ${done} streams another client reads something else`);
        });
      // The first tenth touches memory that is then kept: the medium, the buffers, the heap.
      await streams(daemon.nbdSocket, seed, 1, STREAMS / 10, look);
      await nothingHeldBut(daemon, 1);
      const before = await daemon.holdings();
      await streams(daemon.nbdSocket, seed, STREAMS / 10 + 1, STREAMS, look);
      await nothingHeldBut(daemon, 1);
      const after = await daemon.holdings();
      same(after.descriptors, before.descriptors, `seed ${seed}: open descriptors`);
      // The memory of a garbage collector varies; requests and connections, above, are counted exactly.
      const grownKib = after.residentKib - before.residentKib;
      check(grownKib < 128 * 1024, `seed ${seed}: memory grew by ${grownKib} KiB from ${before.residentKib}`);
      other.close();
      await nothingHeld(daemon);
    },
  },
];
