// The ring of a TCMU device: what SCSI commands become at the block door, how they end, and that every one of them ends once.

import test from "ava";
import fc from "fast-check";
import * as abi from "../../../host/abi.ts";
import { BLOCK_BYTES, FakeTarget, type FakeOptions } from "./fake-target.ts";
import { FREE } from "./harness.ts";

const be = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, index) => Math.floor(value / 2 ** (8 * (bytes - 1 - index))) & 0xff);
const ten = (code: number, lba: number, blocks: number, flags = 0): number[] => [
  code,
  flags,
  ...be(lba, 4),
  0,
  ...be(blocks, 2),
  0,
];
const sixteen = (code: number, lba: number, blocks: number, flags = 0): number[] => [
  code,
  flags,
  ...be(lba, 8),
  ...be(blocks, 4),
  0,
  0,
];
const pattern = (bytes: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, at) => (at * 7 + seed) & 0xff);

function scene(t: { teardown: (end: () => void) => void }, options: FakeOptions = {}): FakeTarget {
  const target = new FakeTarget(options);
  t.teardown(() => target.close());
  return target;
}

test("a READ is a request of the door, and its data lies where the kernel wants it", (t) => {
  const target = scene(t);
  const areas = target.areas(3 * 4096);
  target.command(5, ten(0x28, 1000, 24, 0x08), areas);
  target.turn();
  const [entry] = target.entries();
  t.is(entry?.operation, abi.OPERATION_READ);
  t.is(entry?.flags, abi.OPERATION_FLAG_FUA);
  t.deepEqual([entry?.offset, entry?.length, entry?.client], [512_000, 12_288, 7]);
  const data = pattern(12_288, 3);
  target.bench.memory.set(data, FREE);
  target.tell(entry?.tag ?? 0, abi.BLOCK_ANSWER, { lent: true, length: 12_288 });
  target.turn();
  t.deepEqual(target.answered, [{ id: 5, status: 0, sense: [0, 0, 0], readBytes: null }]);
  t.deepEqual(target.getData(areas), data);
  t.is(target.entries()[0]?.operation, abi.BLOCK_RELEASE);
});

test("a WRITE's data is fetched from where the kernel has put it; an area that is too short is refused", (t) => {
  const target = scene(t);
  const areas = target.areas(8192);
  const data = pattern(8192, 9);
  target.putData(areas, data);
  target.command(1, sixteen(0x8a, 8, 16), areas);
  target.turn();
  const [entry] = target.entries();
  t.deepEqual([entry?.operation, entry?.offset, entry?.length], [abi.OPERATION_WRITE, 4096, 8192]);
  target.tell(entry?.tag ?? 0, abi.BLOCK_FETCH, { length: 8192 });
  target.turn();
  t.deepEqual(target.bench.memory.slice(FREE, FREE + 8192), data);
  target.command(2, ten(0x2a, 0, 16), target.areas(4096));
  target.turn();
  t.deepEqual(target.answered, [{ id: 2, status: 2, sense: [5, 0x24, 0], readBytes: null }]);
});

test("a READ into more room than it fills says how much it is", (t) => {
  const target = scene(t);
  target.command(1, ten(0x28, 0, 1), target.areas(4096));
  target.serve();
  t.deepEqual(target.answered, [{ id: 1, status: 0, sense: [0, 0, 0], readBytes: BLOCK_BYTES }]);
});

test("commands may end in another order than they came", (t) => {
  const target = scene(t);
  for (const id of [11, 12, 13]) target.command(id, ten(0x28, id, 1), target.areas(512));
  target.turn();
  const tags = target.entries().map(({ tag }) => tag);
  for (const index of [2, 0, 1]) {
    target.tell(tags[index] ?? 0, abi.BLOCK_ANSWER, { lent: true, length: 512 });
    target.turn();
  }
  t.deepEqual(
    target.answered.map(({ id }) => id),
    [13, 11, 12],
  );
});

test("UNMAP makes a request of each range, WRITE SAME repeats its block, zeroes are no data", (t) => {
  const target = scene(t);
  const list = Uint8Array.from([
    0,
    38,
    0,
    32,
    0,
    0,
    0,
    0,
    ...be(64, 8),
    ...be(8, 4),
    0,
    0,
    0,
    0,
    ...be(200, 8),
    ...be(16, 4),
    0,
    0,
    0,
    0,
  ]);
  const areas = target.areas(list.length);
  target.putData(areas, list);
  target.command(1, [0x42, 0, 0, 0, 0, 0, 0, 0, list.length, 0], areas);
  t.deepEqual(
    target.serve().map(({ operation, offset, length }) => [operation, offset, length]),
    [
      [abi.OPERATION_TRIM, 64 * 512, 8 * 512],
      [abi.OPERATION_TRIM, 200 * 512, 16 * 512],
    ],
  );
  const block = target.areas(512);
  target.putData(block, pattern(512, 1));
  target.command(2, sixteen(0x93, 0, 3000), block);
  t.deepEqual(
    target.serve().map(({ operation, offset, length }) => [operation, offset, length]),
    [
      [abi.OPERATION_WRITE, 0, 1 << 20],
      [abi.OPERATION_WRITE, 1 << 20, 3000 * 512 - (1 << 20)],
    ],
  );
  t.deepEqual(target.bench.memory.slice(FREE + 512, FREE + 1024), pattern(512, 1));
  target.putData(block, new Uint8Array(512));
  target.command(3, sixteen(0x93, 0, 3000, 0x08), block);
  const [zeroes, ...more] = target.serve();
  t.deepEqual(
    [zeroes?.operation, zeroes?.flags, zeroes?.length, more.length],
    [abi.OPERATION_WRITE_ZEROES, 0, 3000 * 512, 0],
  );
  t.deepEqual(
    target.answered.map(({ status }) => status),
    [0, 0, 0],
  );
});

test("VERIFY compares, and WRITE AND VERIFY reads back what it has written", (t) => {
  const target = scene(t);
  const areas = target.areas(512);
  target.putData(areas, pattern(512, 4));
  target.bench.memory.set(pattern(512, 5), FREE);
  target.command(1, ten(0x2f, 0, 1, 0x02), areas);
  target.serve();
  target.command(2, ten(0x2e, 0, 1, 0x02), areas);
  t.deepEqual(
    target.serve().map(({ operation, flags }) => [operation, flags]),
    [
      [abi.OPERATION_WRITE, abi.OPERATION_FLAG_FUA],
      [abi.OPERATION_READ, abi.OPERATION_FLAG_FUA],
    ],
  );
  t.deepEqual(
    target.answered.map(({ status, sense }) => [status, sense].flat()),
    [
      [2, 0x0e, 0x1d, 0],
      [0, 0, 0, 0],
    ],
  );
});

/** What the door says, and what the initiator gets. */
const ENDS: readonly [string, { error: number; kind?: number; address?: number }, readonly number[]][] = [
  ["the device's own sense", { error: 5, address: 0x00_11_03 }, [2, 3, 0x11, 0]],
  ["no path in time", { error: 5 }, [2, 2, 4, 0]],
  ["a reservation conflict", { error: 1 }, [0x18, 0, 0, 0]],
  ["a unit that cannot be written to", { error: 1, kind: abi.BLOCK_REFUSED }, [2, 7, 0x27, 0]],
  ["no space", { error: 28 }, [2, 7, 0x27, 7]],
  ["past the end", { error: 22 }, [2, 5, 0x21, 0]],
  ["given up for a reset", { error: 125 }, [0x40, 0, 0, 0]],
  ["what cannot be", { error: 77 }, [2, 4, 0x44, 0]],
];
for (const [what, told, expected] of ENDS) {
  test(`an error of the door: ${what}`, (t) => {
    const target = scene(t);
    target.command(9, ten(0x28, 0, 1), target.areas(512));
    target.turn();
    const [entry] = target.entries();
    target.tell(entry?.tag ?? 0, told.kind ?? abi.BLOCK_ANSWER, told);
    target.turn();
    t.deepEqual(
      target.answered.map(({ status, sense }) => [status, sense].flat()),
      [expected],
    );
  });
}

test("other commands are asked about, with their data, and answered", (t) => {
  const target = scene(t);
  const areas = target.areas(24);
  target.putData(areas, pattern(24, 2));
  target.command(3, [0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0], areas);
  t.not(target.turn() & 2, 0, "the reactor is told");
  const asked = target.bench.ring.nextAsked();
  t.is(asked?.bytes, 24);
  t.deepEqual([...(asked?.cdb.subarray(0, 10) ?? [])], [0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0]);
  t.deepEqual(target.bench.ring.askedData(asked?.tag ?? 0, 8192), pattern(24, 2));
  target.bench.ring.answerAsked(asked?.tag ?? 0, 0x18, new Uint8Array(0));
  target.bench.ring.answerAsked(asked?.tag ?? 0, 0, new Uint8Array(0));
  target.turn();
  t.deepEqual(target.answered, [{ id: 3, status: 0x18, sense: [0, 0, 0], readBytes: null }], "once");
});

test("more commands than there are places wait in the kernel's ring", (t) => {
  const target = scene(t);
  let given = 0;
  let served = 0;
  while (served < 400) {
    while (given < 400 && target.hasRoom) target.command(1 + given++, ten(0x28, given, 1), target.areas(512));
    served += target.serve().length;
  }
  t.deepEqual(
    target.answered.map(({ id }) => id).toSorted((a, b) => a - b),
    Array.from({ length: 400 }, (_, index) => index + 1),
  );
});

test("a reset of the logical unit is told; one of the ring forgets what was taken", (t) => {
  const target = scene(t);
  target.command(1, ten(0x28, 0, 1), target.areas(512));
  target.tmr(5);
  target.turn();
  t.deepEqual(target.bench.ring.nextTcmuNews(), { what: "reset", device: target.device });
  const [entry] = target.entries();
  target.reset();
  target.turn();
  target.tell(entry?.tag ?? 0, abi.BLOCK_ANSWER, { lent: true, length: 512 });
  target.command(2, ten(0x28, 0, 1), target.areas(512));
  target.serve();
  t.deepEqual(
    target.answered.map(({ id }) => id),
    [2],
  );
});

test("a device that is closed while the door has its commands comes back only when the door is done", (t) => {
  const target = scene(t);
  target.command(1, ten(0x28, 0, 1), target.areas(512));
  target.turn();
  const [entry] = target.entries();
  target.bench.ring.closeTcmu(target.device);
  t.throws(() => target.bench.ring.tcmuBlocks(target.device, 1n), { code: "ERR_NATIVE_HANDLE" });
  target.tell(entry?.tag ?? 0, abi.BLOCK_ANSWER, { lent: true, length: 512 });
  target.bench.ring.enter(0);
  t.deepEqual(
    target.entries().map(({ operation }) => operation),
    [abi.BLOCK_RELEASE],
  );
  t.deepEqual(target.answered, []);
});

test("whatever a CDB contains, the command ends once, and nothing is accessed outside of the unit", (t) => {
  const blocks = 5000;
  const target = scene(t, { blocks });
  let id = 0;
  const codes = [
    0x08, 0x0a, 0x28, 0x2a, 0x2e, 0x2f, 0x35, 0x41, 0x42, 0x88, 0x8a, 0x8e, 0x8f, 0x91, 0x93, 0xa8, 0xaa, 0xae, 0xaf,
  ];
  const cdbs = fc.tuple(
    fc.oneof(fc.constantFrom(...codes), fc.nat(255)),
    fc.uint8Array({ minLength: 15, maxLength: 15 }),
    fc.oneof(fc.constant(0), fc.nat(20_000)),
    fc.boolean(),
  );
  fc.assert(
    fc.property(cdbs, ([code, rest, bytes, isSmall]) => {
      // Mostly numbers that a unit could have.
      if (isSmall) rest.fill(0, 1, code >= 0x80 ? 8 : 3);
      const areas = target.areas(bytes);
      const data = rest.slice(0, 8);
      if (bytes > 0) target.putData(areas.slice(0, 1), data);
      id = (id % 60_000) + 1;
      target.answered.length = 0;
      target.command(id, [code, ...rest], areas);
      for (const { operation, offset, length } of target.serve()) {
        if (operation !== abi.OPERATION_FLUSH) t.true(length > 0 && offset + length <= blocks * BLOCK_BYTES);
      }
      for (let asked = target.bench.ring.nextAsked(); asked !== null; asked = target.bench.ring.nextAsked()) {
        target.bench.ring.answerAsked(asked.tag, 2, Uint8Array.of(0x70, 0, 5));
      }
      target.turn();
      t.deepEqual(
        target.answered.map((one) => one.id),
        [id],
      );
    }),
    { numRuns: 300, endOnFailure: true },
  );
});

test("a ring whose entries make no sense is given up, and nothing is read outside of it", (t) => {
  const target = scene(t);
  target.put32(4096, (8 << 3) | 5);
  target.put32(12, 64);
  target.turn();
  t.deepEqual(target.bench.ring.nextTcmuNews(), { what: "ended", device: target.device });
});
