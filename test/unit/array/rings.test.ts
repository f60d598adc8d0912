// The array's side of the rings: what it takes, what it answers, when it wants its next turn.

import test from "ava";
import { OP_RESET, OP_SCSI, RESET_DEVICE, RESET_HOST, RESET_TARGET } from "../../../host/abi.ts";
import { cdbs, pattern, quietArray, RingSide, sense, STATUS_GOOD, TASK_SET_FULL } from "./fixture.ts";

const TIME_OUT = 3;
const RESET = 8;

test("commands on an instant port are answered in the turn that takes them, in order, without a deadline", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  const data = pattern(4096, 1);
  rings.submit(0, 0, cdbs.write16(8, 8), data);
  rings.submit(1, 3, cdbs.read16(8, 8), 4096);
  rings.submit(2, 1, cdbs.testUnitReady);
  const finished = rings.turn();
  t.deepEqual(
    finished.map(({ tag, result, status }) => [tag, result, status]),
    [
      [0, 0, 0],
      [1, 0, 0],
      [2, 0, 0],
    ],
  );
  t.deepEqual(finished[1]?.data, data);
  t.is(rings.deadlineMs, Infinity);
  t.is(rings.array.waitMicroseconds(), -1);
});

test("an unknown port, op, slot or buffer gets a negated errno and harms nothing", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.raw(OP_SCSI, 60, 99, 131_072).raw(9, 61, 0, 0).raw(OP_SCSI, 62, 0, 0xfffffff0).raw(OP_SCSI, 63, 0, 2);
  t.deepEqual(
    rings.turn().map(({ tag, result }) => [tag, result]),
    [
      [60, -19],
      [61, -22],
      [62, -14],
      [63, -14],
    ],
  );
  rings.submit(0, 0, cdbs.read16(0, 1), 512);
  new DataView(rings.memory.buffer).setUint32(131_072 + 24, 0xffffff00, true);
  t.is(rings.turn()[0]?.result, -14);
});

test("what does not fit the completion ring stays and is taken when there is room", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }), 2);
  for (let slot = 0; slot < 5; slot++) rings.submit(slot, 0, cdbs.testUnitReady);
  t.is(rings.array.turn(), 2);
  t.is(rings.array.waitMicroseconds(), 0);
  t.deepEqual(
    rings.completions().map(({ tag }) => tag),
    [0, 1],
  );
  t.deepEqual(
    rings.turn().map(({ tag }) => tag),
    [2, 3],
  );
  t.deepEqual(
    rings.turn().map(({ tag }) => tag),
    [4],
  );
});

test("after 256 KiB a turn leaves the rest to the next one, which wants to come at once", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  const bytes = 48 * 1024;
  for (let slot = 0; slot < 14; slot++) rings.submit(slot, slot % 2, cdbs.read16(0, bytes / 512), bytes);
  const tags: number[][] = [];
  do tags.push(rings.turn().map(({ tag }) => tag));
  while (rings.array.backlog && rings.array.waitMicroseconds() === 0);
  t.deepEqual(tags, [
    [0, 1, 2, 3, 4, 5],
    [6, 7, 8, 9, 10, 11],
    [12, 13],
  ]);
  t.is(rings.array.waitMicroseconds(), -1);
});

test("a port's latency delays answers by it, and parallelism makes the rest wait their turn", (t) => {
  const rings = new RingSide(quietArray({ units: 1, paths: 2, ports: [{ latencyUs: 1000, parallelism: 2 }] }));
  for (let slot = 0; slot < 5; slot++) rings.submit(slot, 0, cdbs.read16(0, 1), 512);
  rings.submit(5, 1, cdbs.read16(0, 1), 512);
  t.deepEqual(
    rings.turn().map(({ tag }) => tag),
    [5],
  );
  t.is(rings.deadlineMs, 1001);
  t.is(rings.array.waitMicroseconds(), 1000);
  t.deepEqual(
    rings
      .at(1001)
      .turn()
      .map(({ tag }) => tag),
    [0, 1],
  );
  t.deepEqual(
    rings
      .at(1002)
      .turn()
      .map(({ tag }) => tag),
    [2, 3],
  );
  t.deepEqual(rings.at(1002.9).turn(), []);
  t.deepEqual(
    rings
      .at(1003)
      .turn()
      .map(({ tag }) => tag),
    [4],
  );
});

test("bandwidth makes large transfers take longer", (t) => {
  const rings = new RingSide(quietArray({ units: 1, service: { bytesPerSecond: 1_000_000 } }));
  rings.submit(0, 0, cdbs.read16(0, 4), 2048);
  rings.turn();
  t.is(rings.deadlineMs, 1002.048);
});

test("a command that takes longer than its timeout ends with DID_TIME_OUT, and its write never lands", (t) => {
  const rings = new RingSide(quietArray({ units: 1, service: { latencyUs: 50_000 } }));
  rings.submit(0, 0, cdbs.write16(0, 1), pattern(512, 1), 20);
  rings.turn();
  t.is(rings.deadlineMs, 1020);
  t.deepEqual(
    rings
      .at(1020)
      .turn()
      .map(({ hostStatus }) => hostStatus),
    [TIME_OUT],
  );
  rings.at(2000).turn();
  t.deepEqual(rings.array.command(1, cdbs.read16(0, 1), 512).data, new Uint8Array(512));
});

test("a reset ends what its scope reaches, with DID_RESET and a unit attention, and then answers", (t) => {
  for (const [scope, ends] of [
    [RESET_DEVICE, [0]],
    [RESET_TARGET, [0, 1]],
    [RESET_HOST, [0, 1, 2]],
  ] as const) {
    const array = quietArray({ units: 2, service: { latencyUs: 10_000_000 } });
    const rings = new RingSide(array);
    // Ports 0 and 4 share initiator and target port, port 2 only the initiator port, port 1 neither.
    for (const [slot, port] of [0, 4, 2, 1].entries()) rings.submit(slot, port, cdbs.write16(0, 1), pattern(512, 1));
    rings.turn();
    rings.reset(50, 0, scope);
    const finished = rings.turn();
    t.is(finished.length, ends.length + 1);
    t.deepEqual(
      finished.filter(({ tag }) => tag !== 50).map(({ tag }) => tag),
      [...ends],
    );
    t.true(finished.every(({ tag, hostStatus }) => tag === 50 || hostStatus === RESET));
    t.deepEqual(sense(array.command(0, cdbs.testUnitReady)), [6, 0x29, 3]);
    t.is(array.command(1, cdbs.testUnitReady).status, STATUS_GOOD);
    t.deepEqual(
      rings
        .at(20_000)
        .turn()
        .map(({ tag }) => tag),
      [1, 2, 3].filter((tag) => !ends.includes(tag as never)),
    );
  }
});

test("more commands than can wait are refused with TASK SET FULL", (t) => {
  const array = quietArray({ units: 1, service: { latencyUs: 1_000_000 } });
  const rings = new RingSide(array);
  let refused = 0;
  for (let round = 0; round < 40; round++) {
    for (let slot = 0; slot < 32; slot++) rings.submit(slot, 0, cdbs.testUnitReady);
    refused += rings.turn().filter(({ status }) => status === TASK_SET_FULL).length;
  }
  t.is(refused, 40 * 32 - 1024);
});

test("a reset of an unknown port is refused", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.raw(OP_RESET, 1, 77, 0);
  t.deepEqual(
    rings.turn().map(({ result }) => result),
    [-19],
  );
});
