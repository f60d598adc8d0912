// What overlaps by one block waits, and what touches does not: for an orphan that nobody can call back, and for a write that could
// be issued beside itself.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host, type Client } from "./fixtures/harness.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import { check, type Scsi } from "./fixtures/scsi.ts";

/** First block and number of blocks of the first write. */
const FIRST = [100, 8] as const;
const BLOCK = 512;

/** A second request, and whether it overlaps the first. */
const cases: readonly (readonly [first: number, blocks: number, overlaps: boolean])[] = [
  [92, 8, false],
  [92, 9, true],
  [99, 1, false],
  [99, 2, true],
  [100, 1, true],
  [100, 8, true],
  [103, 2, true],
  [107, 1, true],
  [107, 9, true],
  [108, 1, false],
  [108, 8, false],
  [90, 40, true],
  [0, 100, false],
];

interface Scene {
  readonly host: Host;
  readonly unit: number;
  readonly clients: readonly [Client, Client];
}

/** Two paths that keep everything; the first client has written. */
function scene(): Scene {
  const host = new Host();
  const { unit } = host.unit({ blocks: 2048n });
  host.device = () => undefined;
  const clients = [host.connect(unit), host.connect(unit)] as const;
  send(clients[0], WRITE, 1n, ...FIRST);
  host.settle();
  return { host, unit, clients };
}

function send(client: Client, kind: number, cookie: bigint, first: number, blocks: number): void {
  const header = request(kind, cookie, BigInt(first * BLOCK), blocks * BLOCK);
  if (kind === WRITE) client.send(header, Buffer.alloc(blocks * BLOCK, Number(cookie)));
  else client.send(header);
}

const blocksOf = ({ cdb }: Scsi): number => cdb.readUInt32BE(10);
const firstOf = ({ cdb }: Scsi): number => Number(cdb.readBigUInt64BE(2));
const isAt = (command: Scsi, first: number, blocks: number): boolean =>
  firstOf(command) === first && blocksOf(command) === blocks;

/** The first client goes: whether its write is carried out stays open, until the host gives it back. */
function giveUp({ host, clients }: Scene): Scsi {
  const [orphan] = host.outstanding;
  if (orphan === undefined) throw new Error("there is no write");
  host.must(host.core.connectionClose(clients[0].handle));
  host.settle();
  return orphan;
}

for (const [first, blocks, overlaps] of cases) {
  const name = `${blocks} blocks from ${first} on`;

  for (const kind of [WRITE, READ]) {
    test(`a ${kind === WRITE ? "write" : "read"} of ${name} ${overlaps ? "waits" : "does not wait"} for the orphan`, (t) => {
      const s = scene();
      const orphan = giveUp(s);
      send(s.clients[1], kind, 2n, first, blocks);
      s.host.settle();
      t.is(s.host.outstanding.length, overlaps ? 1 : 2);
      s.host.answer(orphan, {});
      s.host.settle();
      const [second] = s.host.outstanding;
      if (second === undefined) return t.fail("it does not go out");
      t.true(isAt(second, first, blocks));
      s.host.answer(second, {});
      s.host.settle();
      t.is(replies(s.clients[1].received, new Map([[2n, kind === READ ? blocks * BLOCK : 0]]))[0]?.error, 0);
    });
  }

  test(`a write of ${name} that has to go out again ${overlaps ? "waits" : "does not wait"} for the orphan`, (t) => {
    const s = scene();
    send(s.clients[1], WRITE, 2n, first, blocks);
    s.host.settle();
    const second = s.host.outstanding[1];
    if (second === undefined) return t.fail("it did not go out");
    const orphan = giveUp(s);
    s.host.answer(second, check(6, 0x2f, 0));
    s.host.settle();
    t.is(s.host.outstanding.length, overlaps ? 1 : 2);
    s.host.answer(orphan, {});
    s.host.settle();
    t.true(s.host.outstanding.some((command) => isAt(command, first, blocks)));
  });

  test(`a silent write ${overlaps ? "is not" : "is"} issued beside itself while one of ${name} is under way`, (t) => {
    const s = scene();
    send(s.clients[1], WRITE, 2n, first, blocks);
    s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_STALL_MAX_MS, 50n));
    s.host.advance(70);
    const times = s.host.outstanding.filter((command) => !command.check && isAt(command, ...FIRST)).length;
    const same = first === FIRST[0] && blocks === FIRST[1];
    t.is(times > (same ? 2 : 1), !overlaps);
    t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS) > 0, !overlaps);
  });
}

const PHYSICAL = 4096;

/** A second write of some bytes, and whether it shares a block with one of 512 bytes in the middle of block 10. */
const edges: readonly (readonly [offset: number, bytes: number, shares: boolean])[] = [
  [9 * PHYSICAL + 512, 512, false],
  [9 * PHYSICAL + 512, 4096, true],
  [10 * PHYSICAL - 512, 512, false],
  [10 * PHYSICAL, 512, true],
  [11 * PHYSICAL - 512, 512, true],
  [11 * PHYSICAL, 512, false],
  [11 * PHYSICAL + 512, 1024, false],
  [8 * PHYSICAL + 512, 3 * PHYSICAL, true],
  [8 * PHYSICAL, PHYSICAL, false],
  [10 * PHYSICAL, PHYSICAL, true],
  [11 * PHYSICAL, PHYSICAL, false],
];

for (const [offset, bytes, shares] of edges) {
  test(`${bytes} bytes at ${offset} ${shares ? "wait" : "do not wait"} for a write of part of block 10`, (t) => {
    const host = new Host();
    const { unit } = host.unit({ blocks: 64n, blockBytes: PHYSICAL });
    host.device = () => undefined;
    const client = host.connect(unit, abi.CONNECTION_UNALIGNED);
    client.send(request(WRITE, 1n, BigInt(10 * PHYSICAL + 1024), 512), Buffer.alloc(512, 1));
    host.settle();
    t.is(host.outstanding.length, 1, "it reads the block first");
    client.send(request(WRITE, 2n, BigInt(offset), bytes), Buffer.alloc(bytes, 2));
    host.settle();
    t.is(host.outstanding.length > 1, !shares);
  });
}

test("reads and whole writes of the same blocks are under way together: no order was asked for", (t) => {
  const { host, clients } = scene();
  for (const [cookie, kind] of [
    [3n, WRITE],
    [4n, READ],
    [5n, WRITE],
  ] as const) {
    send(clients[1], kind, cookie, ...FIRST);
  }
  host.settle();
  t.is(host.outstanding.length, 4);
});
