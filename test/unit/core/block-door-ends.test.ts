// What is whose at the block door: commands that do not answer, clients that are closed, room that is not there.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import {
  ANSWER,
  Door,
  EBUSY,
  ECANCELED,
  EIO,
  ENOSPC,
  EPERM,
  FETCHED,
  FLUSH,
  HELD,
  LENT,
  READ,
  REFUSED,
  RELEASE,
  RETURNED,
  SIZE,
  WRITE,
  doorScene,
  free,
  kinds,
} from "./fixtures/block-door.ts";
import { idle, scene } from "./fixtures/holes.ts";
import type { Scsi } from "./fixtures/scsi.ts";

/** A unit whose latency is learned, one of whose paths swallows I/O, and a client by the block door. */
function silent(): ReturnType<typeof scene> & { d: Door; c: number } {
  const s = scene();
  const d = new Door(s.host);
  const c = d.open(s.unit);
  s.holes.add(0);
  return { ...s, d, c };
}

test("a lent read that was sent again elsewhere is answered from where its data lies", (t) => {
  const s = silent();
  s.disk.media.fill(0x77, 0, 4096);
  s.d.submit({ operation: READ, tag: 0, client: s.c, bytes: 4096n });
  s.host.advance(100);
  const [answer] = s.d.completions();
  t.like(answer, { tag: 0, kind: ANSWER, error: 0, flags: LENT, bytes: 4096 });
  const [orphan] = s.held;
  if (orphan === undefined || answer === undefined) return t.fail();
  t.not(answer.address, orphan.buffer);
  s.host.bytes(orphan.buffer, 4096).fill(0xbd);
  t.true(s.host.bytes(answer.address, 4096).every((byte) => byte === 0x77));
  s.d.submit({ operation: RELEASE, tag: 0, client: s.c });
  s.host.settle();
  s.d.submit({ operation: FLUSH, tag: 0, client: s.c });
  s.host.settle();
  t.deepEqual(kinds(s.d.completions()), [[0, ANSWER, 0, 0]], "its tag is free, though the orphan is not settled");
  s.host.answer(orphan, {});
  s.host.settle();
  t.deepEqual(s.d.completions(), []);
  t.deepEqual(idle(s), s.free);
});

test("of a read of several pieces blockData tells where each lies", (t) => {
  const s = silent();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, 8n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ROUND_ROBIN)));
  for (let i = 0; i < 8; i++) s.disk.media.fill(i + 1, i * 4096, (i + 1) * 4096);
  s.d.submit({ operation: READ, tag: 0, client: s.c, bytes: 32768n });
  s.host.advance(200);
  const [answer] = s.d.completions();
  t.like(answer, { tag: 0, kind: ANSWER, error: 0, flags: LENT });
  t.true(s.held.length > 0 && s.held.length < 8);
  t.true((answer?.bytes ?? 0) < 32768);
  for (const orphan of s.held) s.host.bytes(orphan.buffer, orphan.bytes).fill(0xbd);
  t.deepEqual(s.d.data(0, 32768), s.disk.media.subarray(0, 32768));
  s.d.submit({ operation: RELEASE, tag: 0, client: s.c });
  for (const orphan of s.held.splice(0)) s.host.answer(orphan, {});
  s.host.settle();
  t.deepEqual(idle(s), s.free);
});

test("a read into the embedder's buffer that was sent again holds it no longer once the first command is back", (t) => {
  const s = silent();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, 8n));
  s.disk.media.fill(0x77, 0, 8192);
  const last: Scsi[] = [];
  const device = s.host.device;
  s.host.device = (command) => {
    if (command.port === 0 || command.check || command.cdb.readUInt32BE(6) === 0) return device(command);
    last.push(command);
    return undefined;
  };
  s.d.submit({ operation: READ, tag: 0, client: s.c, bytes: 8192n, buffer: s.d.region });
  s.host.advance(35);
  t.deepEqual(s.d.completions(), []);
  const [piece] = last;
  if (piece === undefined) return t.fail();
  for (const orphan of s.held.splice(0)) s.host.answer(orphan, { hostStatus: 3 });
  s.host.answer(piece, s.disk.execute(s.host, piece));
  s.host.settle();
  t.like(s.d.completions()[0], { tag: 0, kind: ANSWER, error: 0, flags: LENT });
  t.true(s.d.data(0, 8192).every((byte) => byte === 0x77));
  s.d.submit({ operation: RELEASE, tag: 0, client: s.c });
  s.host.settle();
  for (const command of last.slice(1)) s.host.answer(command, s.disk.execute(s.host, command));
  s.host.settle();
  t.deepEqual(idle(s), s.free);
});

test("a read into the embedder's buffer that was sent again leaves that buffer to the first command until it is back", (t) => {
  for (const releaseFirst of [true, false]) {
    const s = silent();
    const { region } = s.d;
    s.disk.media.fill(0x77, 0, 4096);
    const read = { operation: READ, tag: 0, client: s.c, bytes: 4096n, buffer: region };
    const release = { operation: RELEASE, tag: 0, client: s.c };
    s.d.submit(read);
    s.host.advance(100);
    const [answer] = s.d.completions();
    t.like(answer, { tag: 0, kind: ANSWER, error: 0, flags: LENT | HELD, bytes: 4096 });
    const [orphan] = s.held;
    if (orphan === undefined || answer === undefined) return t.fail();
    t.is(orphan.buffer, region);
    s.host.bytes(region, 4096).fill(0xbd);
    t.true(s.host.bytes(answer.address, 4096).every((byte) => byte === 0x77));
    if (releaseFirst) s.d.submit(release);
    s.host.settle();
    s.d.submit(read);
    s.host.settle();
    t.deepEqual(kinds(s.d.completions()), [[0, REFUSED, EBUSY, 0]]);
    s.host.answer(orphan, {});
    s.host.settle();
    if (!releaseFirst) {
      t.deepEqual(s.d.completions(), []);
      s.d.submit(release);
      s.host.settle();
    }
    t.deepEqual(kinds(s.d.completions()), [[0, RETURNED, 0, 0]]);
    t.deepEqual(idle(s), s.free);
    s.holes.clear();
    s.d.submit(read);
    s.host.settle();
    t.deepEqual(kinds(s.d.completions()), [[0, ANSWER, 0, 0]]);
  }
});

test("a write of the embedder's buffer that reached its deadline keeps the buffer until its command is back", (t) => {
  const s = silent();
  s.holes.add(1);
  s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n);
  s.d.submit({ operation: WRITE, tag: 0, client: s.c, bytes: 4096n, buffer: s.d.region });
  s.host.advance(2000);
  t.deepEqual(kinds(s.d.completions()), [[0, ANSWER, EIO, HELD]]);
  t.true(s.held.length > 0);
  for (const orphan of s.held.splice(1)) s.host.answer(orphan, { hostStatus: 3 });
  s.host.settle();
  t.deepEqual(s.d.completions(), []);
  for (const orphan of s.held.splice(0)) s.host.answer(orphan, { hostStatus: 3 });
  s.host.settle();
  t.deepEqual(kinds(s.d.completions()), [[0, RETURNED, 0, 0]]);
  t.deepEqual(idle(s), s.free);
});

test("closing gives up what is under way; nothing of it is sent, or touches its data, any more", (t) => {
  const { d, disk, unit, client, free: before } = doorScene(0, { commands: 4 });
  const held: Scsi[] = [];
  d.host.device = (command) => {
    held.push(command);
    return undefined;
  };
  for (let tag = 0; tag < 4; tag++)
    d.submit({ operation: WRITE, tag, client, offset: BigInt(tag * 512), bytes: 512n, buffer: d.region });
  d.submit(
    { operation: READ, tag: 4, client, bytes: 512n },
    { operation: READ, tag: 5, client, bytes: 512n, buffer: d.region + 4096 },
  );
  d.host.settle();
  t.is(held.length, 4);
  const others = d.open(unit);
  t.is(d.host.core.blockClose(client), 0);
  d.host.settle();
  t.deepEqual(
    kinds(d.completions()).toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0)),
    [
      ...[0, 1, 2, 3].map((tag) => [tag, ANSWER, ECANCELED, HELD]),
      [4, ANSWER, ECANCELED, 0],
      [5, ANSWER, ECANCELED, 0],
    ],
  );
  t.is(held.length, 4, "what waited was not sent");
  const closed = (): boolean =>
    d.host.events.some(({ kind, arg0 }) => kind === abi.EVENT_BLOCK_CLOSED && arg0 === client);
  t.false(closed());
  t.is(d.host.unitField(unit, abi.UNIT_CONNECTIONS), 2);
  for (const orphan of held.splice(0)) d.host.answer(orphan, disk.execute(d.host, orphan));
  d.host.settle();
  t.deepEqual(
    d.completions().map(({ tag, kind }) => [tag, kind]),
    [0, 1, 2, 3].map((tag) => [tag, RETURNED]),
  );
  t.true(closed());
  t.is(d.host.unitField(unit, abi.UNIT_CONNECTIONS), 1);
  t.deepEqual(free(d), before);
  t.is(d.host.core.blockClose(others), 0);
});

test("a client that is closed while buffers are lent to it is gone when they are given back", (t) => {
  const { d, unit, client, free: before } = doorScene();
  d.host.keepLog = true;
  d.submit(
    { operation: READ, tag: 0, client, bytes: 512n },
    { operation: WRITE, tag: 1, client, bytes: 512n },
    { operation: WRITE, tag: 2, client, bytes: 512n },
  );
  d.host.settle();
  d.completions();
  const writes = (): number => d.host.log.filter(({ cdb }) => cdb[0] === 0x8a).length;
  t.is(d.host.core.blockClose(client), 0);
  d.host.settle();
  t.deepEqual(d.completions(), []);
  t.deepEqual(d.data(0, 512), Buffer.alloc(512));
  t.is(d.host.core.unitRemove(unit), -abi.ERROR_BUSY);
  d.submit(
    { operation: RELEASE, tag: 0, client },
    { operation: FETCHED, tag: 1, client },
    { operation: RELEASE, tag: 2, client },
  );
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [
    [1, ANSWER, ECANCELED, 0],
    [2, ANSWER, ECANCELED, 0],
  ]);
  t.is(writes(), 0);
  t.is(d.host.unitField(unit, abi.UNIT_CONNECTIONS), 0);
  t.deepEqual(free(d), before);
});

test("closing a client that waits for room lets the others have theirs", (t) => {
  const { d, unit, client } = doorScene(0, { connections: 0, pool: 1 << 20, payload: 1 << 20 });
  const [second, third] = [d.open(unit), d.open(unit)];
  const read = { operation: READ, bytes: BigInt(abi.BLOCK_BYTES_MAX) };
  d.submit({ ...read, tag: 0, client });
  d.host.settle();
  d.completions();
  d.submit(
    { ...read, tag: 1, client: second },
    { ...read, tag: 2, client: second },
    { ...read, tag: 3, client: third },
  );
  d.host.settle();
  t.deepEqual(d.completions(), []);
  t.is(d.host.core.blockClose(second), 0);
  d.submit({ operation: RELEASE, tag: 0, client });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [
    [1, ANSWER, ECANCELED, 0],
    [2, ANSWER, ECANCELED, 0],
    [3, ANSWER, 0, LENT],
  ]);
});

test("what waited for room is looked at again when there is: the unit may have become smaller", (t) => {
  const { d, unit, client } = doorScene(0, { connections: 0, pool: 1 << 20, payload: 1 << 20 });
  d.submit({ operation: READ, tag: 0, client, bytes: BigInt(abi.BLOCK_BYTES_MAX) });
  d.submit({ operation: WRITE, tag: 1, client, offset: SIZE - 512n, bytes: 512n });
  d.host.settle();
  d.completions();
  d.host.must(d.host.core.unitSet(unit, abi.UNIT_SET_BLOCKS, 4096n));
  d.submit({ operation: RELEASE, tag: 0, client });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[1, ANSWER, ENOSPC, 0]]);
  d.submit({ operation: READ, tag: 1, client, bytes: 512n });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[1, ANSWER, 0, LENT]], "its tag is free again");
});

test("with the device's own errors too, an answer has the errno that NBD has", (t) => {
  const { d, client } = doorScene();
  d.host.device = () => ({ status: 2, sense: [0x70, 0, 7, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x27, 0, 0, 0, 0, 0] });
  d.submit({ operation: WRITE, tag: 0, client, bytes: 512n, buffer: d.region });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[0, ANSWER, EPERM, 0]]);
  d.submit({ operation: READ, tag: 1, client, bytes: 512n });
  d.host.device = () => ({ status: 2, sense: [0x70, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0] });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[1, ANSWER, EIO, 0]]);
});

test("what waits for room goes on waiting while what is freed is not enough", (t) => {
  const { d, client, free: before } = doorScene(0, { connections: 0, pool: 1 << 20, payload: 1 << 20 });
  const read = (tag: number, bytes: number): void => d.submit({ operation: READ, tag, client, bytes: BigInt(bytes) });
  const release = (tag: number): void => {
    d.submit({ operation: RELEASE, tag, client });
    d.host.settle();
  };
  read(0, 1 << 18);
  read(1, 1 << 18);
  read(2, 1 << 20);
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [
    [0, ANSWER, 0, LENT],
    [1, ANSWER, 0, LENT],
  ]);
  release(0);
  t.deepEqual(d.completions(), []);
  release(1);
  t.deepEqual(kinds(d.completions()), [[2, ANSWER, 0, LENT]]);
  release(2);
  t.deepEqual(free(d), before);
});
