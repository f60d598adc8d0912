// GET LBA STATUS tells the truth: what it calls a hole reads as zeroes, and what was written is none.

import test from "ava";
import fc from "fast-check";
import type { EmulatedArray } from "../../../host/array/array.ts";
import { cdbs, pattern, quietArray, sense, STATUS_GOOD } from "./fixture.ts";

interface Extent {
  readonly lba: number;
  readonly blocks: number;
  readonly status: number;
}

/** Everything a device tells of its blocks from `lba` on, asking as often as it takes. */
function extents(array: EmulatedArray, from: number, blocks: number, allocation = 4096): Extent[] {
  const found: Extent[] = [];
  for (let at = from; at < blocks;) {
    const result = array.command(0, cdbs.lbaStatus(at, allocation), 4096);
    if (result.status !== STATUS_GOOD) throw new Error(`status ${result.status}`);
    const view = new DataView(result.data.buffer, result.data.byteOffset, result.data.length);
    if (view.getUint32(0) !== result.data.length - 4) throw new Error("the length is wrong");
    for (let d = 8; d < result.data.length; d += 16) {
      const extent = {
        lba: Number(view.getBigUint64(d)),
        blocks: view.getUint32(d + 8),
        status: view.getUint8(d + 12),
      };
      if (extent.lba !== at || extent.blocks === 0) throw new Error(`${JSON.stringify(extent)} does not follow ${at}`);
      found.push(extent);
      at += extent.blocks;
    }
  }
  return found;
}

test("a new unit is one hole, what is written is mapped, what is unmapped is not any more", (t) => {
  const array = quietArray({ units: 1, unitBytes: 1 << 20 });
  t.deepEqual(extents(array, 0, 2048), [{ lba: 0, blocks: 2048, status: 1 }]);
  array.command(0, cdbs.write16(17, 1), pattern(512, 1));
  array.command(0, cdbs.write16(2047, 1), pattern(512, 1));
  t.deepEqual(extents(array, 0, 2048), [
    { lba: 0, blocks: 16, status: 1 },
    { lba: 16, blocks: 8, status: 0 },
    { lba: 24, blocks: 2016, status: 1 },
    { lba: 2040, blocks: 8, status: 0 },
  ]);
  t.deepEqual(extents(array, 20, 2040), [
    { lba: 20, blocks: 4, status: 0 },
    { lba: 24, blocks: 2016, status: 1 },
    { lba: 2040, blocks: 8, status: 0 },
  ]);
  array.command(0, cdbs.writeSame16(0, 1024, 0x09));
  t.deepEqual(extents(array, 0, 2040)[0], { lba: 0, blocks: 2040, status: 1 });
});

test("an answer is cut to the allocation length, of which one descriptor is the least that is told", (t) => {
  const array = quietArray({ units: 1, unitBytes: 1 << 20 });
  for (const lba of [8, 24, 40]) array.command(0, cdbs.write16(lba, 1), pattern(512, 1));
  const all = extents(array, 0, 2048);
  t.is(all.length, 7);
  for (const allocation of [24, 40, 41, 72]) t.deepEqual(extents(array, 0, 2048, allocation), all);
  const short = array.command(0, cdbs.lbaStatus(0, 8), 4096);
  t.is(short.data.length, 8);
  t.is(new DataView(short.data.buffer, short.data.byteOffset).getUint32(0), 20);
});

test("a unit of 8 TiB is told in few descriptors; an address past the end is refused", (t) => {
  const blocks = 2 ** 34;
  const array = quietArray({ units: 1, unitBytes: blocks * 512 });
  array.command(0, cdbs.write16(2 ** 33 + 8, 1), pattern(512, 1));
  t.deepEqual(
    extents(array, 0, blocks).filter(({ status }) => status === 0),
    [{ lba: 2 ** 33 + 8, blocks: 8, status: 0 }],
  );
  t.true(extents(array, 0, blocks).length < 16);
  t.deepEqual(sense(array.command(0, cdbs.lbaStatus(blocks), 4096)), [5, 0x21, 0]);
});

const step = fc.record({
  kind: fc.constantFrom("write", "write", "zero", "sync"),
  lba: fc.nat(255),
  blocks: fc.integer({ min: 1, max: 40 }),
});

interface Step {
  readonly kind: string;
  readonly lba: number;
  readonly blocks: number;
}

/** Carries the steps out; answers whether no block is called a hole that holds what was written. */
function holds(steps: readonly Step[], blockBytes: number, writeCache: boolean): boolean {
  const array = quietArray({ units: 1, unitBytes: 256 * blockBytes, blockBytes, writeCache });
  const written = new Set<number>();
  for (const { kind, lba, blocks } of steps) {
    const count = Math.min(blocks, 256 - lba);
    const range = Array.from({ length: count }, (_, i) => lba + i);
    if (kind === "write") {
      array.command(0, cdbs.write16(lba, count), new Uint8Array(count * blockBytes).fill(7));
      for (const block of range) written.add(block);
    } else if (kind === "zero") {
      array.command(0, cdbs.writeSame16(lba, count, 1));
      for (const block of range) written.delete(block);
    } else array.command(0, cdbs.synchronize16());
  }
  const holes = extents(array, 0, 256).filter(({ status }) => status === 1);
  return holes.every(({ lba, blocks }) =>
    Array.from({ length: blocks }, (_, i) => lba + i).every((b) => !written.has(b)),
  );
}

for (const blockBytes of [512, 4096]) {
  for (const writeCache of [false, true]) {
    test(`random writes and zeroes, blocks of ${blockBytes}, ${writeCache ? "with" : "without"} a cache`, (t) => {
      const property = fc.property(fc.array(step, { maxLength: 30 }), (steps) => holds(steps, blockBytes, writeCache));
      t.notThrows(() => fc.assert(property, { numRuns: 200 }));
    });
  }
}
