// Raw bytes that no library sends. Each gets the right error or a closed connection, and other clients are not affected.

import { until } from "../../until.ts";
import { type Case, check, same } from "../case.ts";
import type { Daemon } from "../daemon.ts";
import * as N from "../raw.ts";

const MIB = 1 << 20;

/** Runs beside another client, whose data has to be intact before and after. */
async function besideAnother(daemon: Daemon, misuse: (client: N.RawClient) => Promise<void>): Promise<void> {
  for (const structured of [false, true]) {
    const other = await N.RawClient.open(daemon.nbdSocket, "0");
    const data = Buffer.alloc(4096, 0x3c);
    same((await other.ask({ type: N.WRITE, offset: 4096n, length: 4096 }, data)).error, 0, "the other's write");
    const client = await N.RawClient.open(daemon.nbdSocket, "0", structured);
    await misuse(client);
    client.close();
    const read = await other.ask({ type: N.READ, offset: 4096n, length: 4096 });
    check(read.data.equals(data), "the other client reads something else than it wrote");
    other.close();
  }
}

/** The request gets the error, with its own cookie, and the connection continues. */
function refused(name: string, error: number | readonly number[], c: N.Command, payloadBytes = 0): Case {
  return {
    name: `bare bytes: ${name}: an error, and the connection goes on`,
    run: ({ daemon }) =>
      besideAnother(daemon, async (client) => {
        const answer = await client.ask({ cookie: 0x1122334455667788n, ...c }, Buffer.alloc(payloadBytes));
        same(answer.cookie === 0x1122334455667788n, true, "cookie");
        check([error].flat().includes(answer.error), `found error ${answer.error}, expected ${String(error)}`);
        const next = await client.ask({ type: N.READ, length: 512 });
        same([next.error, next.data.length], [0, 512], "the next read");
      }),
  };
}

function closed(name: string, send: (client: N.RawClient) => void): Case {
  return {
    name: `bare bytes: ${name}: closed`,
    run: ({ daemon }) =>
      besideAnother(daemon, async (client) => {
        send(client);
        await client.end();
      }),
  };
}

/** Waits until the daemon has no connections and no requests left. */
export async function nothingHeld(daemon: Daemon): Promise<void> {
  await until("all connections and requests are released", async () => {
    const { connections, requests } = await daemon.holdings();
    return connections === 0 && requests === 0;
  });
}

export const cases: readonly Case[] = [
  refused("an unknown command", N.EINVAL, { type: 99 }),
  refused("BLOCK_STATUS, which was not negotiated", N.EINVAL, { type: N.BLOCK_STATUS, length: 4096 }),
  refused("the withdrawn RESIZE", N.EINVAL, { type: 8, length: 4096 }),
  refused("unknown flags", N.EINVAL, { type: N.READ, length: 512, flags: 0x8000 }),
  refused("every flag at once", N.EINVAL, { type: N.READ, length: 512, flags: 0xffff }),
  refused("flags of another command", N.EINVAL, { type: N.READ, length: 512, flags: N.NO_HOLE }),
  refused(
    "a write with unknown flags, its payload is skipped",
    N.EINVAL,
    { type: N.WRITE, length: 512, flags: 64 },
    512,
  ),
  refused(
    "a write beyond the end, its payload is skipped",
    [N.ENOSPC, N.EINVAL],
    { type: N.WRITE, offset: 1n << 50n, length: MIB },
    MIB,
  ),
  refused(
    "a write where offset and length overflow",
    [N.ENOSPC, N.EINVAL],
    { type: N.WRITE, offset: (1n << 64n) - 512n, length: MIB },
    MIB,
  ),
  refused("a read where offset and length overflow", N.EINVAL, {
    type: N.READ,
    offset: (1n << 64n) - 512n,
    length: 1024,
  }),
  refused(
    "an unaligned write, its payload is skipped",
    N.EINVAL,
    { type: N.WRITE, offset: 3n, length: 70_001 },
    70_001,
  ),
  refused("a read of 4 GiB less one", [N.EINVAL, N.EOVERFLOW], { type: N.READ, length: 0xffffffff }),
  refused("a trim of 4 GiB less one", [N.EINVAL, N.ENOSPC], { type: N.TRIM, length: 0xffffffff }),
  {
    name: "bare bytes: a write just above 32 MiB: an error or closed",
    run: ({ daemon }) =>
      besideAnother(daemon, async (client) => {
        client.send(N.command({ type: N.WRITE, length: 32 * MIB + 512 }), Buffer.alloc(32 * MIB + 512));
        const answer = await client.answer().catch(() => undefined);
        if (answer !== undefined) check([N.EINVAL, N.EOVERFLOW].includes(answer.error), `error ${answer.error}`);
      }),
  },
  closed("a wrong request magic", (client) => client.send(N.command({ type: N.READ, length: 512, magic: 0x25609514 }))),
  closed("an option in the transmission phase", (client) => client.send(Buffer.from("IHAVEOPT"), Buffer.alloc(64))),
  closed("a write of 4 GiB less one", (client) => client.send(N.command({ type: N.WRITE, length: 0xffffffff }))),
  closed("DISCONNECT", (client) => client.send(N.command({ type: N.DISCONNECT }))),
  {
    name: "bare bytes: a client that vanishes in the middle of a payload leaves nothing",
    run: async ({ daemon }) => {
      for (const bytes of [0, 1, 511, 65_000, 3 * MIB]) {
        await besideAnother(daemon, async (client) => {
          client.send(N.command({ type: N.WRITE, offset: 1n << 20n, length: 4 * MIB }), Buffer.alloc(bytes, 0xee));
          client.send(N.command({ type: N.READ, length: 512 }));
          await new Promise((resolve) => setTimeout(resolve, 5));
        });
      }
      await nothingHeld(daemon);
    },
  },
  {
    name: "bare bytes: a client that vanishes with 100 requests in flight leaves nothing",
    run: async ({ daemon }) => {
      await besideAnother(daemon, async (client) => {
        for (let i = 0; i < 100; i++) {
          client.send(N.command({ type: N.READ, cookie: BigInt(i), offset: BigInt(i) * 65536n, length: 65536 }));
        }
      });
      await nothingHeld(daemon);
    },
  },
  {
    name: "bare bytes: clients that ask for much and never read harm nobody",
    run: async ({ daemon }) => {
      await besideAnother(daemon, async (first) => {
        const clients = [
          first,
          await N.RawClient.open(daemon.nbdSocket, "0"),
          await N.RawClient.open(daemon.nbdSocket, "1"),
        ];
        for (const client of clients) {
          client.socket.pause();
          for (let i = 0; i < 64; i++) client.send(N.command({ type: N.READ, length: MIB, cookie: BigInt(i) }));
        }
        await new Promise((resolve) => setTimeout(resolve, 300));
        for (const name of ["0", "1"]) {
          const other = await N.RawClient.open(daemon.nbdSocket, name);
          for (let i = 0; i < 50; i++)
            same((await other.ask({ type: N.READ, length: 65536 })).error, 0, "another's read");
          other.close();
        }
        for (const client of clients) client.close();
      });
      await nothingHeld(daemon);
    },
  },
  {
    name: "bare bytes: requests that come one byte at a time, and in one piece with GO",
    run: async ({ daemon }) => {
      await besideAnother(daemon, async (client) => {
        for (const byte of N.command({ type: N.READ, length: 512, cookie: 5n })) {
          await new Promise((resolve) => client.socket.write(Buffer.from([byte]), resolve));
        }
        same((await client.answer(512)).data.length, 512, "the read");
      });
      const eager = await N.RawClient.eager(
        daemon.nbdSocket,
        "0",
        N.command({ type: N.READ, length: 512, cookie: 6n }),
      );
      same((await eager.answer(512)).cookie === 6n, true, "cookie");
      eager.close();
    },
  },
  {
    name: "bare bytes: requests of length zero are answered",
    run: ({ daemon }) =>
      besideAnother(daemon, async (client) => {
        for (const type of [N.READ, N.WRITE, N.TRIM, N.WRITE_ZEROES, N.CACHE, N.FLUSH]) {
          const { error } = await client.ask({ type, length: 0 });
          check([0, N.EINVAL].includes(error), `command ${type}: error ${error}`);
        }
      }),
  },
];
