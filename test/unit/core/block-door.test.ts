// The block door: what goes in by it, and what comes back.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import {
  ANSWER,
  ECANCELED,
  FETCH,
  FETCHED,
  FLUSH,
  LENT,
  READ,
  REFUSED,
  RELEASE,
  TRIM,
  WRITE,
  ZEROES,
  door,
  doorScene,
  free,
  kinds,
  type Completion,
} from "./fixtures/block-door.ts";
import { Host, bare } from "./fixtures/harness.ts";
import type { Scsi } from "./fixtures/scsi.ts";

test("a read's data is lent until it is given back", (t) => {
  const { d, disk, client, free: before } = doorScene();
  disk.media.fill(0x5a, 4096, 8192);
  d.submit({ operation: READ, tag: 3, client, offset: 4096n, bytes: 4096n });
  d.host.settle();
  const [answer, ...more] = d.completions();
  t.like(answer, { tag: 3, error: 0, kind: ANSWER, flags: LENT, bytes: 4096, client });
  t.is(more.length, 0);
  t.true(d.host.bytes(answer?.address ?? 0, 4096).every((byte) => byte === 0x5a));
  t.deepEqual(d.data(3, 4096), Buffer.alloc(4096, 0x5a));
  t.notDeepEqual(free(d), before);
  d.submit({ operation: RELEASE, tag: 3, client });
  d.host.settle();
  t.deepEqual(d.completions(), []);
  t.deepEqual(free(d), before);
  t.is(d.host.core.blockData(3, 0), 0n);
});

test("a write asks for its data when it has a buffer, and its time begins when that is there", (t) => {
  const { d, disk, unit, client, free: before } = doorScene();
  d.host.core.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, 100n);
  d.submit({ operation: WRITE, tag: 0, client, offset: 512n, bytes: 1024n });
  d.host.settle();
  const [fetch] = d.completions();
  t.like(fetch, { tag: 0, kind: FETCH, error: 0, bytes: 1024 });
  d.host.advance(1000);
  t.deepEqual(d.completions(), []);
  d.host.bytes(fetch?.address ?? 0, 1024).fill(7);
  d.submit({ operation: FETCHED, tag: 0, client });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[0, ANSWER, 0, 0]]);
  t.true(disk.media.subarray(512, 1536).every((byte) => byte === 7));
  t.is(disk.media[511], 0);
  t.is(disk.media[1536], 0);
  t.deepEqual(free(d), before);
});

test("a write whose data is not to be had is cancelled, and nothing of it goes out", (t) => {
  const { d, client, free: before } = doorScene();
  d.host.keepLog = true;
  d.submit({ operation: WRITE, tag: 0, client, bytes: 512n });
  d.host.settle();
  d.completions();
  d.submit({ operation: RELEASE, tag: 0, client });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[0, ANSWER, ECANCELED, 0]]);
  t.is(d.host.log.length, 0);
  t.deepEqual(free(d), before);
});

test("buffers of the embedder's own are read and written where they lie", (t) => {
  const { d, disk, client, free: before } = doorScene();
  const [from, to] = [d.region, d.region + 8192];
  const commands: Scsi[] = [];
  d.host.device = (command) => {
    commands.push(command);
    return disk.execute(d.host, command);
  };
  d.host.bytes(from, 4096).fill(9);
  d.submit({ operation: WRITE, tag: 0, client, buffer: from, bytes: 4096n });
  d.host.settle();
  d.submit({ operation: READ, tag: 1, client, buffer: to, offset: 512n, bytes: 512n });
  d.host.settle();
  const found = d.completions();
  t.deepEqual(kinds(found), [
    [0, ANSWER, 0, 0],
    [1, ANSWER, 0, 0],
  ]);
  t.like(found[1], { address: to, bytes: 512 });
  t.deepEqual(
    commands.map(({ buffer }) => buffer),
    [from, to],
  );
  t.true(d.host.bytes(to, 512).every((byte) => byte === 9));
  t.deepEqual(free(d), before);
});

test("flush, trim and zeroing are the commands they are by NBD, FUA and NO_HOLE too", (t) => {
  const all = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_CACHE_WRITES | abi.UNIT_CAN_FUA;
  const { d, client } = doorScene(all);
  d.host.keepLog = true;
  d.submit(
    { operation: FLUSH, tag: 0, client },
    { operation: TRIM, tag: 1, client, offset: 4096n, bytes: 8192n },
    { operation: ZEROES, tag: 2, client, offset: 65536n, bytes: 8192n, flags: abi.OPERATION_FLAG_NO_HOLE },
    { operation: WRITE, tag: 3, client, offset: 512n, bytes: 512n, buffer: d.region, flags: abi.OPERATION_FLAG_FUA },
  );
  d.host.settle();
  t.deepEqual(
    d.host.log.map(({ cdb }) => [cdb[0], (cdb[1] ?? 0) & 8]),
    [
      [0x91, 0],
      [0x42, 0],
      [0x93, 0],
      [0x8a, 8],
    ],
  );
  t.deepEqual(
    d
      .completions()
      .map(({ tag, error }) => [tag, error])
      .toSorted(),
    [
      [0, 0],
      [1, 0],
      [2, 0],
      [3, 0],
    ],
  );
});

test("what a client asks goes into its unit's account", (t) => {
  const { d, unit, client } = doorScene();
  const count = (field: number): bigint =>
    d.host.view.getBigUint64(d.host.core.unitTable() + unit * abi.UNIT_BYTES + field, true);
  d.submit(
    { operation: READ, tag: 0, client, bytes: 512n },
    { operation: READ, tag: 1, client, offset: 1n, bytes: 512n },
  );
  d.host.settle();
  t.is(count(abi.UNIT_ANSWERED), 1n);
  t.is(count(abi.UNIT_FAILED), 1n);
  t.is(d.host.unitField(unit, abi.UNIT_CONNECTIONS), 1);
  const statistics = d.host.unitField(unit, abi.UNIT_STATISTICS);
  t.is(d.host.view.getBigUint64(statistics + abi.STATISTICS_READS, true), 1n);
});

/** What `blockInit` answers: 0, or its error. */
function fresh(clients: number, tags: number, region: number): number {
  try {
    const made = door({}, { clients, tags, region });
    return made.region === 0 ? 0 : made.region % abi.BUFFER_PAGE_BYTES;
  } catch (error) {
    return Number(/-\d+/.exec(String(error))?.[0]);
  }
}

test("the door is laid out once, after the core, within its limits", (t) => {
  const d = door();
  const { core } = d.host;
  t.is(core.blockInit(1, 1, 0), -abi.ERROR_BUSY);
  t.is(fresh(0, 1, 0), -abi.ERROR_RANGE);
  t.is(fresh(1, 0, 0), -abi.ERROR_RANGE);
  t.is(fresh(abi.BLOCK_CLIENTS_MAX + 1, 1, 0), -abi.ERROR_RANGE);
  t.is(fresh(1, abi.BLOCK_TAGS_MAX + 1, 0), -abi.ERROR_RANGE);
  t.is(fresh(1, 1, 0x8000_1000), -abi.ERROR_RANGE);
  t.is(fresh(1, 1, 1), 0);
  t.is(fresh(abi.BLOCK_CLIENTS_MAX, abi.BLOCK_TAGS_MAX, 0), 0);
});

test("the door is refused before the core is laid out, and where both would not fit into its memory", (t) => {
  const { core } = new Host({ pool: 0x8000_0000 });
  const pages = core.memory.buffer.byteLength;
  t.is(core.blockInit(1, 1, 0x8000_0000), -abi.ERROR_RANGE);
  t.is(core.memory.buffer.byteLength, pages, "nothing was taken");
  t.is(core.blockInit(1, 1, 4096), 0);
  t.is(bare().blockInit(1, 1, 0), -abi.ERROR_BUSY);
});

test("blockData of a tag that there is not is nothing", (t) => {
  const d = door({}, { tags: 4 });
  for (const tag of [4, 0xffff_ffff]) t.is(d.host.core.blockData(tag, 0), 0n);
});

test("without NBD the core has no connections, and a pool of 1 MiB will do", (t) => {
  const {
    d,
    unit,
    client,
    free: before,
  } = doorScene(0, { connections: 0, pool: 1 << 20, payload: 1 << 20 }, { tags: 4 });
  t.is(d.host.core.connectionAdd(1, unit, 0, 0), -abi.ERROR_LIMIT);
  d.submit({ operation: READ, tag: 0, client, bytes: BigInt(abi.BLOCK_BYTES_MAX) });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[0, ANSWER, 0, LENT]]);
  d.submit({ operation: READ, tag: 1, client, bytes: 512n }, { operation: READ, tag: 2, client, bytes: 512n });
  d.host.settle();
  t.deepEqual(d.completions(), [], "they wait for the room that the first one holds");
  d.submit({ operation: RELEASE, tag: 0, client });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [
    [1, ANSWER, 0, LENT],
    [2, ANSWER, 0, LENT],
  ]);
  for (const tag of [1, 2]) d.submit({ operation: RELEASE, tag, client });
  d.host.settle();
  t.deepEqual(free(d), before);
});

test("an embedder that does not empty the completions is not served, and loses none", (t) => {
  const { d, client } = doorScene(0, {}, { tags: 4 });
  const asked: number[] = [];
  const found: Completion[] = [];
  for (let tag = 0; d.room > 0; tag++) {
    asked.push(1000 + tag);
    d.submit({ operation: READ, tag: 1000 + tag, client, bytes: 512n });
    d.host.turn();
    if (tag > 1000) return t.fail("it takes entries without end");
  }
  for (let i = 0; i < 100 && found.length < asked.length; i++) {
    found.push(...d.completions(1));
    d.host.turn();
  }
  t.deepEqual(
    found.map(({ tag, kind }) => [tag, kind]),
    asked.map((tag) => [tag, REFUSED]),
  );
});

test("entries written into a full ring end in an assertion", (t) => {
  const { d, client } = doorScene(0, {}, { tags: 1 });
  const { room } = d;
  for (let i = 0; i <= room; i++) d.submit({ operation: READ, tag: 0, client, bytes: 512n });
  t.throws(() => d.host.turn(), { message: /core aborted/ });
  const none = door({}, {});
  none.host.view.setUint32(none.host.control + abi.CONTROL_BLOCK_ENTRIES + abi.RING_TAIL, 1000, true);
  t.throws(() => none.host.turn(), { message: /core aborted/ });
});
