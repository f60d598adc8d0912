// NBD's transmission phase in the core: whatever one client sends, every answer is a reply to what it asked, another client is
// served, and nothing is left behind. The first byte holds the connection's flags, the second how the bytes are cut.

import * as abi from "../../../host/abi.ts";
import { Disk } from "../../unit/core/fixtures/disk.ts";
import { type Client, Host } from "../../unit/core/fixtures/harness.ts";
import * as N from "../../unit/core/fixtures/nbd-client.ts";
import { instrumentedCore, nothingLost } from "../core.ts";
import { check, type Target } from "../target.ts";

const LIMITS = { requests: 24, commands: 8, pool: 32 << 20, connections: 4 };
const MEDIA = 1 << 18;
const ALL = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_CACHE_WRITES;
const FLAGS = [
  abi.CONNECTION_STRUCTURED,
  abi.CONNECTION_TRIM,
  abi.CONNECTION_UNALIGNED,
  abi.CONNECTION_READ_ONLY,
  abi.CONNECTION_EXTENDED | abi.CONNECTION_STRUCTURED,
  abi.CONNECTION_ALLOCATION | abi.CONNECTION_STRUCTURED,
  abi.CONNECTION_FAST_ZERO,
];
const READ_BYTES = 65_536;

interface Bed {
  readonly host: Host;
  readonly unit: number;
  readonly disk: Disk;
  readonly good: Client;
}

async function bed(): Promise<Bed> {
  const host = new Host(LIMITS, await instrumentedCore());
  const disk = new Disk(MEDIA);
  const { unit } = host.unit({ blocks: BigInt(MEDIA / 512), capabilities: ALL, depth: 3 });
  host.device = (command) => disk.execute(host, command);
  return { host, unit, disk, good: host.connect(unit) };
}

/** The requests that a stream holds, as far as it can be understood: what READ answers carry, and how often a cookie may be answered. */
interface Asked {
  readonly lengths: Map<bigint, number>;
  readonly times: Map<bigint, number>;
}

function asked(sent: Buffer, extended: boolean): Asked {
  const [magic, head] = extended ? [0x21e41c71, 32] : [0x25609513, 28];
  const lengths = new Map<bigint, number>();
  const times = new Map<bigint, number>();
  for (let at = 0; at + head <= sent.length && sent.readUInt32BE(at) === magic;) {
    const [flags, kind, cookie] = [sent.readUInt16BE(at + 4), sent.readUInt16BE(at + 6), sent.readBigUInt64BE(at + 8)];
    const length = extended ? sent.readBigUInt64BE(at + 24) : BigInt(sent.readUInt32BE(at + 24));
    times.set(cookie, (times.get(cookie) ?? 0) + 1);
    if (kind === N.READ) lengths.set(cookie, Number(length));
    const payload = kind === N.WRITE || (extended && (flags & N.PAYLOAD_LENGTH) !== 0);
    at += head + (payload && length <= 1n << 26n ? Number(length) : 0);
  }
  return { lengths, times };
}

/** Cookies that several kinds of requests share leave open how long a simple reply is; such a stream is checked for the rest only. */
const isClear = ({ times }: Asked): boolean => [...times.values()].every((count) => count === 1);

function checkReplies(bad: Client, sent: Buffer, extended: boolean): void {
  const ask = asked(sent, extended);
  if (!isClear(ask)) return;
  const answered = new Set<bigint>();
  for (const { cookie, error } of N.replies(bad.received, ask.lengths)) {
    check(ask.times.has(cookie), () => `an answer to cookie ${cookie}, which nobody sent`);
    check(!answered.has(cookie), () => `cookie ${cookie} is answered twice`);
    check([0, 1, 22, 28, 75, 95].includes(error), () => `error ${error} where every path is well`);
    answered.add(cookie);
  }
}

export async function makeTarget(): Promise<Target> {
  const { host, unit, disk, good } = await bed();
  let cookie = 0n;
  /** The other client reads; what comes has to be this, where it is known. */
  const served = (content: () => Buffer | undefined): void => {
    cookie += 1n;
    good.send(N.request(N.READ, cookie, 0n, READ_BYTES));
    host.settle();
    const [reply] = N.replies(good.received, new Map([[cookie, READ_BYTES]]));
    check(reply?.cookie === cookie && reply.error === 0, () => `the other client is answered ${String(reply?.error)}`);
    check(content()?.equals(reply.data) !== false, () => "the other client reads what is not on the medium");
  };
  const run = (input: Uint8Array): void => {
    const choice = input[0] ?? 0;
    const cut = 1 + (input[1] ?? 0) * 3;
    const flags = FLAGS.reduce((all, flag, i) => (((choice >> i) & 1) === 0 ? all : all | flag), 0);
    const sent = Buffer.from(input.subarray(2));
    const bad = host.connect(unit, flags);
    for (let at = 0; at < sent.length && !bad.closed; at += cut) {
      bad.send(sent.subarray(at, at + cut));
      host.turn();
    }
    served(() => undefined);
    bad.ended = true;
    host.settle();
    // Nobody writes any more.
    served(() => disk.media.subarray(0, READ_BYTES));
    checkReplies(bad, sent, (flags & abi.CONNECTION_EXTENDED) !== 0);
    host.clients.delete(bad.socket);
    host.events.length = 0;
    check(bad.closed, () => "the connection stays open");
    nothingLost(host.core, LIMITS);
    check(host.unitField(unit, abi.UNIT_CONNECTIONS) === 1, () => "the count of connections is wrong");
  };
  return { run, seeds: SEEDS, words: WORDS, bytesMax: 4096 };
}

const opening = (choice: number, ...parts: Uint8Array[]): Buffer => Buffer.concat([Buffer.of(choice, 200), ...parts]);
const KINDS = [N.READ, N.WRITE, N.FLUSH, N.TRIM, N.CACHE, N.WRITE_ZEROES, N.BLOCK_STATUS];
const plain = KINDS.map((kind, i) =>
  Buffer.concat([
    N.request(kind, BigInt(i), 512n, kind === N.FLUSH ? 0 : 512),
    Buffer.alloc(kind === N.WRITE ? 512 : 0, i),
  ]),
);
const extended = KINDS.map((kind, i) =>
  Buffer.concat([
    N.extendedRequest(kind, BigInt(i), 4096n, kind === N.FLUSH ? 0n : 512n),
    Buffer.alloc(kind === N.WRITE ? 512 : 0, i),
  ]),
);
const SEEDS: readonly Uint8Array[] = [
  opening(0b0000010, ...plain),
  opening(0b0100011, ...plain),
  opening(0b0000110, N.request(N.WRITE, 1n, 100n, 700), Buffer.alloc(700, 1), N.request(N.WRITE_ZEROES, 2n, 10n, 2000)),
  opening(0b0110010, ...extended),
  opening(0b0001000, ...plain),
  opening(
    0b1000000,
    N.request(N.WRITE_ZEROES, 9n, 0n, 4096, N.FAST_ZERO | N.NO_HOLE | N.FUA),
    N.request(N.DISC, 0n, 0n, 0),
  ),
];
const WORDS: readonly Uint8Array[] = [...plain, ...extended, Buffer.alloc(8), Buffer.from("0000000002000000", "hex")];
