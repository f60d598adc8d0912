// More replies than one SEND can carry: the one that does not fit goes out whole with the next, wherever the table ends.
import test, { type ExecutionContext } from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host, type Client } from "./fixtures/harness.ts";
import { BLOCK_STATUS, FLUSH, READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";

const BLOCK = 512;
/** Replies of a header and data that fill the table. */
const HALF = abi.GATHER_ENTRIES_MAX / 2;

interface Setup {
  readonly host: Host;
  readonly disk: Disk;
  readonly client: Client;
  /** Set: port 0 answers no I/O. */
  hole: boolean;
}

/** A client whose first reply, with the cookie 1000, has not left yet: what becomes ready from now on waits for its SEND. */
function waiting(flags: number): Setup {
  const host = new Host();
  const disk = new Disk(1 << 20);
  for (let at = 0; at < disk.media.length; at += 4) disk.media.writeUInt32LE((at * 2654435761) >>> 0, at);
  const { unit } = host.unit({ blocks: 2048n });
  const client = host.connect(unit, flags);
  const s: Setup = { host, disk, client, hole: false };
  host.device = (command) => (s.hole && command.port === 0 && !command.check ? undefined : disk.execute(host, command));
  client.holdSends = true;
  client.send(request(READ, 1000n, 0n, BLOCK));
  host.settle();
  return s;
}

const read = (at: number): Buffer => request(READ, BigInt(at), BigInt(at * BLOCK), BLOCK);

/** Lets the replies leave. Answers the cookies in the order in which they came; data is that of its request. */
function take(t: ExecutionContext, { host, disk, client }: Setup): number[] {
  client.holdSends = false;
  host.settle();
  const lengths = new Map(Array.from({ length: HALF + 2 }, (_, at) => [BigInt(at), BLOCK] as const));
  return replies(client.received, new Map([...lengths, [1000n, BLOCK]]))
    .slice(1)
    .map(({ cookie, error, data }) => {
      const at = Number(cookie);
      t.is(error, 0);
      if (at <= HALF) t.deepEqual(data, disk.media.subarray(at * BLOCK, (at + 1) * BLOCK), `read ${at}`);
      return at;
    });
}

const all = Array.from({ length: HALF + 1 }, (_, at) => at);

for (const [format, flags] of [
  ["simple", 0],
  ["structured", abi.CONNECTION_STRUCTURED | abi.CONNECTION_ALLOCATION],
] as const) {
  for (const [where, first] of [
    ["before a reply", []],
    ["between a reply's header and its data", [request(FLUSH, 2000n, 0n, 0)]],
  ] as const) {
    test(`${format} replies: the table ends ${where}`, (t) => {
      const s = waiting(flags);
      s.client.send(...first, ...all.map(read));
      s.host.settle();
      t.deepEqual(take(t, s), [...first.map(() => 2000), ...all]);
    });

    test(`${format} replies: the table ends ${where}, and the data lies in a buffer of its own`, (t) => {
      const s = waiting(flags);
      s.client.send(...first);
      s.host.settle();
      s.hole = true;
      s.client.send(...all.map(read));
      s.host.advance(1000);
      for (const command of s.host.outstanding.slice()) {
        s.host.bytes(command.buffer, command.bytes).fill(0xbd);
        s.host.answer(command, {});
      }
      const cookies = take(t, s);
      t.deepEqual(
        cookies.toSorted((a, b) => a - b),
        [...all, ...first.map(() => 2000)],
      );
    });
  }
}

for (const [where, first] of [
  ["before the extents' header", []],
  ["between their header and them", [request(WRITE, 2000n, 0n, 0)]],
] as const) {
  test(`the table ends ${where}`, (t) => {
    const s = waiting(abi.CONNECTION_STRUCTURED | abi.CONNECTION_ALLOCATION);
    s.client.send(...first, ...all.slice(0, first.length === 0 ? HALF : HALF - 1).map(read));
    s.host.settle();
    s.client.send(request(BLOCK_STATUS, 3000n, 0n, 1 << 20));
    s.host.settle();
    s.client.holdSends = false;
    s.host.settle();
    const last = replies(s.client.received).at(-1);
    t.is(last?.cookie, 3000n);
    t.deepEqual(last?.extents, [[1n << 20n, 0n]]);
  });
}
