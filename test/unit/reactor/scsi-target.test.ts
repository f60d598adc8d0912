// A unit's answers as a SCSI target to the commands that are no I/O.

import test from "ava";
import fc from "fast-check";
import { targetReply, type Presented, type TargetReply } from "../../../host/reactor/scsi-target.ts";

const PAGES = new Map([
  [0x83, Uint8Array.of(0, 0x83, 0, 2, 1, 2)],
  [0x80, Uint8Array.of(0, 0x80, 0, 1, 65)],
]);
const UNIT: Presented = {
  inquiry: Uint8Array.from({ length: 36 }, (_, at) => at),
  pages: PAGES,
  capacity: Uint8Array.of(...Array<number>(13).fill(0), 3, 0xc0, 0, ...Array<number>(16).fill(0)),
  blockBytes: 512,
  readOnly: false,
  unmaps: true,
};
const NOW = { blocks: 0x1_0000_0001n, isReady: true, reserves: false };

function ask(cdb: readonly number[], unit = UNIT, now = NOW): TargetReply {
  const bytes = new Uint8Array(16);
  bytes.set(cdb);
  const reply = targetReply(bytes, unit, now);
  if (reply === "reservations") throw new Error("it is about reservations");
  return reply;
}
const data = (cdb: readonly number[], unit = UNIT, now = NOW): number[] => [...(ask(cdb, unit, now).data ?? [])];
const sense = (cdb: readonly number[], now = NOW): number[] => {
  const { sense: bytes } = ask(cdb, UNIT, now);
  return [bytes[2] ?? 0, bytes[12] ?? 0, bytes[13] ?? 0];
};

test("INQUIRY gives the prepared pages, their list, and not more than is asked for", (t) => {
  t.deepEqual(data([0x12, 0, 0, 0, 96]), [...UNIT.inquiry]);
  t.deepEqual(data([0x12, 0, 0, 0, 5]), [0, 1, 2, 3, 4]);
  t.deepEqual(data([0x12, 1, 0, 0, 255]), [0, 0, 0, 3, 0, 0x80, 0x83]);
  t.deepEqual(data([0x12, 1, 0x83, 0, 255]), [0, 0x83, 0, 2, 1, 2]);
  for (const wrong of [
    [0x12, 1, 0xb9, 0, 255],
    [0x12, 0, 0x83, 0, 255],
    [0x12, 2, 0, 0, 255],
  ])
    t.deepEqual(sense(wrong), [5, 0x24, 0]);
});

test("the size is that of now, also beyond what READ CAPACITY (10) can say", (t) => {
  t.deepEqual(data([0x25]), [0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0]);
  const long = data([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32]);
  t.deepEqual(long.slice(0, 16), [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3, 0xc0, 0]);
});

test("MODE SENSE: pages, changeable values, write protection", (t) => {
  const [length, , specific, descriptor] = data([0x1a, 0, 0x3f, 0, 255]);
  t.deepEqual([length, specific, descriptor], [3 + 8 + 20 + 12 + 12, 0x10, 8]);
  t.deepEqual(data([0x1a, 8, 0x08, 0, 255]).slice(4, 7), [0x08, 0x12, 0x04]);
  t.deepEqual(data([0x1a, 8, 0x48, 0, 255]).slice(4, 7), [0x08, 0x12, 0], "nothing can be changed");
  t.is(data([0x1a, 8, 0x08, 0, 255], { ...UNIT, readOnly: true })[2], 0x90);
  t.is(data([0x5a, 0x10, 0x0a, 0, 0, 0, 0, 0, 255]).length, 8 + 16 + 12);
  t.deepEqual(sense([0x1a, 0, 0xc8, 0, 255]), [5, 0x39, 0]);
  t.deepEqual(sense([0x1a, 0, 0x02, 0, 255]), [5, 0x24, 0]);
});

test("supported commands: all, one, one that is not there", (t) => {
  const all = data([0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 255, 255]);
  t.is((all[2] ?? 0) * 256 + (all[3] ?? 0), all.length - 4);
  t.deepEqual(data([0xa3, 0x0c, 1, 0x28, 0, 0, 0, 0, 0, 255]).slice(0, 6), [0, 3, 0, 10, 0x28, 0xf8]);
  t.deepEqual(data([0xa3, 0x0c, 3, 0x89, 0, 0, 0, 0, 0, 255]), [0, 1, 0, 0]);
  t.deepEqual(data([0xa3, 0x0c, 3, 0x42, 0, 0, 0, 0, 0, 255], { ...UNIT, unmaps: false }), [0, 1, 0, 0]);
  for (const code of [0x16, 0x17, 0x56, 0x57]) {
    const one = [0xa3, 0x0c, 1, code, 0, 0, 0, 0, 0, 255];
    const usage = [code, ...Array<number>(code < 0x20 ? 5 : 9).fill(0)];
    t.deepEqual(data(one), [0, 1, 0, 0], "outside cluster mode it is refused");
    t.deepEqual(data(one, UNIT, { ...NOW, reserves: true }), [0, 3, 0, usage.length, ...usage]);
  }
  t.deepEqual(sense([0xa3, 0x0c, 1, 0x5e, 0, 0, 0, 0, 0, 255]), [5, 0x24, 0]);
});

test("a unit without paths is not ready; it is neither stopped nor ejected; what is unknown is refused", (t) => {
  t.is(ask([0x00]).status, 0);
  t.deepEqual(sense([0x00], { ...NOW, isReady: false }), [2, 4, 0]);
  t.is(ask([0x1b, 0, 0, 0, 1]).status, 0);
  t.deepEqual(sense([0x1b, 0, 0, 0, 0]), [5, 0x24, 0]);
  for (const code of [0x89, 0x83, 0xff]) t.deepEqual(sense([code]), [5, 0x20, 0]);
});

test("reservations are somebody else's business", (t) => {
  for (const code of [0x5e, 0x5f, 0x16, 0x17, 0x56, 0x57])
    t.is(targetReply(Uint8Array.of(code, 0, 0), UNIT, NOW), "reservations");
});

test("whatever a CDB contains, there is an answer, and it is no longer than its allocation", (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 0, maxLength: 16 }),
      fc.constantFrom(0x12, 0x1a, 0x5a, 0x9e, 0xa3, 0x03, -1),
      (cdb, code) => {
        if (code >= 0 && cdb.length > 0) cdb[0] = code;
        const reply = targetReply(cdb, UNIT, NOW);
        if (reply === "reservations") return;
        if (reply.status === 2) t.is(reply.sense.length, 18);
        else t.is(reply.status, 0);
        if (cdb[0] === 0x12) t.true((reply.data?.length ?? 0) <= (cdb[3] ?? 0) * 256 + (cdb[4] ?? 0));
      },
    ),
  );
});
