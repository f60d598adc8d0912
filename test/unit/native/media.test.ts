// A medium gives back what was written, reads zeroes elsewhere, and never leaves its bounds, in memory or in a file.

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getHeapStatistics } from "node:v8";
import test from "ava";
import fc from "fast-check";
import { Media } from "../../../host/native/index.ts";
import { EBADF, EFAULT, ERANGE } from "./harness.ts";

const BLOCK = 512;
const folder = mkdtempSync(join(tmpdir(), "pathmanager-media-"));
test.after.always(() => rmSync(folder, { recursive: true }));

let files = 0;
const kinds = {
  memory: (blocks: number): Media => new Media(blocks),
  file: (blocks: number): Media => new Media(blocks, join(folder, `medium-${files++}`)),
};

for (const [kind, make] of Object.entries(kinds)) {
  test(`${kind}: holes read as zero, what was written comes back, discarded blocks are zero again`, (t) => {
    const memory = new Uint8Array(64 * BLOCK).fill(0xee);
    const medium = make(1000);
    medium.bind(memory);
    t.is(medium.blocks, 1000);
    t.is(medium.read(0, 990, 10), 0);
    t.true(memory.subarray(0, 10 * BLOCK).every((byte) => byte === 0));
    t.true(memory.subarray(10 * BLOCK).every((byte) => byte === 0xee));
    for (let block = 0; block < 40; block++) memory.fill(block + 1, block * BLOCK, (block + 1) * BLOCK);
    t.is(medium.write(0, 100, 40), 0);
    t.is(medium.flush(), 0);
    t.is(medium.discard(103, 30), 0);
    t.is(medium.read(0, 100, 40), 0);
    const expected = Array.from({ length: 40 }, (_, block) => (block >= 3 && block < 33 ? 0 : block + 1));
    t.deepEqual(
      Array.from({ length: 40 }, (_, block) => memory[block * BLOCK + 77]),
      expected,
    );
    memory.fill(0x5a, 0, BLOCK);
    t.is(medium.fill(0, 110, 3), 0);
    t.is(medium.read(BLOCK, 109, 5), 0);
    t.deepEqual(
      [1, 2, 3, 4, 5].map((block) => memory[block * BLOCK]),
      [0, 0x5a, 0x5a, 0x5a, 0],
    );
    medium.close();
  });

  test(`${kind}: what was written is told from what was not, page by page`, (t) => {
    const memory = new Uint8Array(512 * BLOCK).fill(0xee);
    const medium = make(100_000);
    medium.bind(memory);
    const runs = (from: number, blocks: number): number[] => {
      const found: number[] = [];
      for (let at = from; at < from + blocks;) {
        const run = medium.run(at, from + blocks - at);
        if (run === 0) return [...found, 0];
        found.push(run);
        at += Math.abs(run);
      }
      return found;
    };
    t.deepEqual(runs(0, 100_000), [-100_000]);
    t.is(medium.read(0, 0, 512), 0, "reading makes nothing data");
    t.deepEqual(runs(0, 100_000), [-100_000]);
    t.is(medium.write(0, 17, 1), 0);
    t.is(medium.write(0, 8000, 512), 0);
    t.deepEqual(runs(0, 100_000), [-16, 8, -7976, 512, -91_488]);
    t.deepEqual(runs(17, 2), [2]);
    t.deepEqual(runs(15, 2), [-1, 1]);
    t.is(medium.discard(8004, 100), 0);
    t.deepEqual(runs(8000, 512), [8, -96, 408]);
    t.is(medium.discard(0, 100_000), 0);
    t.deepEqual(runs(0, 100_000), [-100_000]);
    memory.fill(0x11);
    t.is(medium.fill(0, 64, 9), 0);
    t.deepEqual(runs(60, 30), [-4, 16, -10]);
    for (const block of [-1, 100_000, 0.5, Number.NaN]) t.is(medium.run(block, 1), 0, "cannot be told");
    medium.close();
    t.is(medium.run(0, 1), 0);
  });

  test(`${kind}: what does not fit is refused, and nothing is touched`, (t) => {
    const memory = new Uint8Array(8 * BLOCK);
    const medium = make(100);
    t.is(medium.read(0, 0, 1), -9, "not bound yet");
    medium.bind(memory);
    for (const block of [100, 99.5, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
      t.is(medium.write(0, block, 1), ERANGE, `block ${block}`);
    }
    t.is(medium.read(0, 95, 6), ERANGE);
    t.is(medium.discard(1, 0xffff_ffff), ERANGE);
    t.is(medium.fill(0, 99, 2), ERANGE);
    for (const wrong of [-1, 0.5, 2 ** 32, Number.NaN]) {
      t.throws(() => medium.read(wrong, 0, 1), { code: "ERR_NATIVE_ARGUMENT", message: /address/ });
      t.throws(() => medium.discard(0, wrong), { code: "ERR_NATIVE_ARGUMENT", message: /blocks/ });
    }
    t.is(medium.read(7 * BLOCK + 1, 0, 1), EFAULT);
    t.is(medium.read(0xffff_fe00, 0, 1), EFAULT);
    t.is(medium.write(0, 0, 9), EFAULT);
    t.is(medium.read(0, 99, 1), 0);
    t.is(medium.read(0, 100, 0), 0, "no blocks at the end");
    medium.close();
    medium.close();
    t.is(medium.read(0, 0, 1), EBADF);
    t.is(medium.flush(), EBADF);
  });

  test(`${kind}: any sequence of writes, fills and discards reads as a plain array would`, (t) => {
    const blocks = 64;
    const step = fc.record({
      what: fc.constantFrom("write", "fill", "discard"),
      block: fc.integer({ min: 0, max: blocks - 1 }),
      count: fc.integer({ min: 1, max: blocks }),
      byte: fc.integer({ min: 1, max: 255 }),
    });
    const property = fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const memory = new Uint8Array(blocks * BLOCK);
      const medium = make(blocks);
      medium.bind(memory);
      const model = new Uint8Array(blocks);
      for (const { what, block, count, byte } of steps) {
        const length = Math.min(count, blocks - block);
        memory.fill(byte);
        if (what === "write") medium.write(0, block, length);
        else if (what === "fill") medium.fill(0, block, length);
        else medium.discard(block, length);
        model.fill(what === "discard" ? 0 : byte, block, block + length);
      }
      medium.read(0, 0, blocks);
      medium.close();
      return memory.every((byte, at) => byte === model[Math.floor(at / BLOCK)]);
    });
    t.notThrows(() => fc.assert(property, { numRuns: 50 }));
  });

  test(`${kind}: a copy allocates nothing on the JavaScript heap`, (t) => {
    const medium = make(4096);
    medium.bind(new Uint8Array(1 << 16));
    const round = (copies: number): number => {
      const before = getHeapStatistics().used_heap_size;
      for (let copy = 0; copy < copies; copy++) {
        medium.write(0, (copy * 8) & 4095, 8);
        medium.read(8192, (copy * 8) & 4095, 8);
      }
      return getHeapStatistics().used_heap_size - before;
    };
    round(20_000);
    const rounds = Array.from({ length: 5 }, () => round(10_000) - round(100));
    t.true(Math.min(...rounds.map(Math.abs)) < 5000, `heap growth in 10,000 copies: ${rounds.join(", ")} bytes`);
    medium.close();
  });
}

test("a file is sparse, exactly as long as the medium, and keeps its content", (t) => {
  const path = join(folder, "kept");
  const memory = new Uint8Array(BLOCK).fill(0x42);
  const first = new Media(1 << 20, path);
  first.bind(memory);
  first.write(0, 12345, 1);
  first.close();
  t.is(statSync(path).size, BLOCK << 20);
  t.true(statSync(path).blocks < 1000, "512 MiB of holes");
  const second = new Media(1 << 16, path);
  second.bind(memory);
  memory.fill(0);
  second.read(0, 12345, 1);
  t.true(memory.every((byte) => byte === 0x42));
  t.is(statSync(path).size, BLOCK << 16);
  truncateSync(path, 0);
  t.is(second.read(0, 12345, 1), 0, "somebody made the file shorter: it reads as a hole");
  t.true(memory.every((byte) => byte === 0));
  second.close();
});

test("a medium needs a size, and a file that can be made", (t) => {
  for (const blocks of [0, -1, 1.5, Number.NaN, 2 ** 50]) {
    t.throws(() => new Media(blocks), { code: "ERR_NATIVE_ARGUMENT", message: /blocks/ });
  }
  const path = join(folder, "no such folder", "medium");
  t.throws(() => new Media(1, path), { code: "ERR_NATIVE_SYSTEM", message: /no such folder/ });
  t.false(existsSync(path));
  const medium = new Media(1);
  t.throws(() => medium.bind(new Uint8Array(0)), { code: "ERR_NATIVE_ARGUMENT" });
});

test("memory of a medium that is bound and then detached is not touched", (t) => {
  const buffer = new ArrayBuffer(BLOCK);
  const medium = new Media(1);
  medium.bind(new Uint8Array(buffer));
  structuredClone(buffer, { transfer: [buffer] });
  t.throws(() => medium.read(0, 0, 1), { code: "ERR_NATIVE_MEMORY_CHANGED" });
  medium.close();
});

test("memory media of many units cost only what is written", (t) => {
  const units = Array.from({ length: 256 }, () => new Media(1 << 21));
  const memory = new Uint8Array(BLOCK);
  for (const unit of units) unit.bind(memory);
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  t.true(Number(resident) < 1 << 20, "256 GiB of units in less than 1 GiB of memory");
  for (const unit of units) unit.close();
});
