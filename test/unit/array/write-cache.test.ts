// The emulated write cache: what it holds is what was written last, what is lost is lost by whole blocks, and zeroing is
// cheap however much it covers.

import test from "ava";
import fc from "fast-check";
import { CachedMedium } from "../../../host/array/cached-medium.ts";
import { SparseMedium } from "../../../host/array/medium.ts";
import { cdbs, quietArray, RingSide } from "./fixture.ts";

const MIB = 1 << 20;
const SPAN_BYTES = 3 * MIB;

/** What a base medium was asked to do. */
class CountingMedium extends SparseMedium {
  writes = 0;
  zeroes = 0;
  override write(...args: Parameters<SparseMedium["write"]>): number {
    this.writes++;
    return super.write(...args);
  }
  override zero(...args: Parameters<SparseMedium["zero"]>): number {
    this.zeroes++;
    return super.zero(...args);
  }
}

const place = fc.tuple(fc.nat(SPAN_BYTES / 4096 - 1), fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant(300)));
const operation = fc.oneof(
  fc.record({ kind: fc.constantFrom("write", "zero", "flush"), at: place, fill: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant("lose"), at: place, fill: fc.integer({ min: 1, max: 5 }) }),
);

for (const blockBytes of [512, 4096]) {
  test(`blocks of ${blockBytes} bytes: what is read, run over and left after a power failure is as in a plain model`, (t) => {
    t.notThrows(() =>
      fc.assert(
        fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
          const base = new SparseMedium();
          const medium = new CachedMedium(base, blockBytes);
          const blocks = SPAN_BYTES / blockBytes;
          const cached = new Uint8Array(blocks).fill(0);
          const stable = new Uint8Array(blocks).fill(0);
          const isDirty = new Uint8Array(blocks);
          const unit = 4096 / blockBytes;
          for (const { kind, at, fill } of operations) {
            const first = Math.min(at[0] * unit + (fill % unit), blocks - 1);
            const count = Math.min(at[1] * unit - (fill % 2), blocks - first) || 1;
            if (kind === "write" || kind === "zero") {
              const value = kind === "write" ? fill : 0;
              const bytes = count * blockBytes;
              if (kind === "write") medium.write(new Uint8Array(bytes).fill(value), 0, first * blockBytes, 0, bytes);
              else medium.zero(first * blockBytes, 0, bytes);
              cached.fill(value, first, first + count);
              isDirty.fill(1, first, first + count);
            } else if (kind === "flush") {
              if (medium.flushBlocks(first, count) !== 0) return false;
              for (let b = first; b < first + count; b++) if (isDirty[b] === 1) stable[b] = cached[b] ?? 0;
              isDirty.fill(0, first, first + count);
            } else {
              const asked: number[] = [];
              medium.lose((block) => {
                asked.push(block);
                return block % fill === 0;
              });
              if (new Set(asked).size !== isDirty.reduce((sum, one) => sum + one, 0)) return false;
              for (let b = 0; b < blocks; b++) {
                if (isDirty[b] === 1 && b % fill === 0) stable[b] = cached[b] ?? 0;
                cached[b] = stable[b] ?? 0;
              }
              isDirty.fill(0);
            }
          }
          const found = Buffer.alloc(SPAN_BYTES, 0xee);
          medium.read(found, 0, 0, 0, SPAN_BYTES);
          for (let b = 0; b < blocks; b++) {
            if (found[b * blockBytes] !== cached[b] || found[(b + 1) * blockBytes - 1] !== cached[b]) return false;
          }
          if (medium.dirtyBlocks !== isDirty.reduce((sum, one) => sum + one, 0)) return false;
          for (let b = 0; b < blocks;) {
            const run = Math.abs(medium.run(b * blockBytes, 0, SPAN_BYTES - b * blockBytes)) / (blockBytes / 512);
            const whole = Math.ceil(run);
            if (whole < 1 || (isDirty[b] === 1) !== isDirty.subarray(b, b + whole).every((one) => one === 1))
              return false;
            b += whole;
          }
          return true;
        }),
        { numRuns: 150 },
      ),
    );
  });
}

test("zeroing a tebibyte costs the cache and its flush a step for each MiB, not for each block", (t) => {
  const base = new CountingMedium();
  const medium = new CachedMedium(base, 512);
  const gib = 1024 * MIB;
  for (let at = 0; at < 64; at++) medium.zero((at * gib) | 0, Math.floor((at * gib) / 2 ** 32), gib);
  t.is(medium.dirtyBlocks, (64 * gib) / 512);
  t.is(base.zeroes, 0);
  t.is(medium.flushBlocks(0, (64 * gib) / 512), 0);
  t.is(base.zeroes, 64 * 1024);
  t.is(base.writes, 0);
  t.is(medium.dirtyBlocks, 0);
});

test("a block that cannot be brought to the medium stays in the cache, and the flush says so", (t) => {
  const base = new SparseMedium();
  const medium = new CachedMedium(base, 512);
  medium.write(new Uint8Array(4096).fill(7), 0, 0, 0, 4096);
  medium.zero(MIB, 0, MIB);
  base.write = () => -5;
  base.zero = () => -5;
  t.is(medium.flushBlocks(0, 4096), -5);
  t.is(medium.flushBlocks(2048, 2048), -5);
  t.is(medium.dirtyBlocks, 8 + 2048);
});

test("a turn of the array takes one large zeroing, whether it takes time or not; what waits behind it is not long in coming", (t) => {
  for (const latencyUs of [0, 10]) {
    const rings = new RingSide(quietArray({ units: 1, unitBytes: 256 * MIB, service: { latencyUs } }));
    for (let slot = 0; slot < 4; slot++) {
      rings.submit(slot, 0, cdbs.writeSame16(slot * 65536, 65536), new Uint8Array(512));
    }
    rings.submit(4, 0, cdbs.read16(0, 8), 4096);
    if (latencyUs > 0) {
      t.is(rings.turn().length, 0);
      rings.at(rings.nowMs + 1);
    }
    for (let slot = 0; slot < 4; slot++) {
      t.deepEqual(
        rings.turn().map(({ tag, status }) => [tag, status]),
        [[slot, 0]],
      );
      t.is(rings.array.waitMicroseconds(), 0);
    }
    t.deepEqual(
      rings.turn().map(({ tag }) => tag),
      [4],
    );
  }
});
