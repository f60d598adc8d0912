// A volatile write cache in front of a medium: writes stay here until `flushBlocks`; `lose` simulates a power failure.
// Whole blocks, so that a block is either old or new, never a mixture (SBC-3 4.16: a block is written atomically).
//
// Cached data is kept in regions. One that was zeroed as a whole is only a mark, so zeroing gigabytes costs
// little; in the others each 4 KiB gets its own chunk once something other than zeroes is written there.

import type { Medium } from "./medium.ts";
import { offsetOf, RUN_BYTES } from "./medium.ts";

const TWO_32 = 4_294_967_296;
const REGION_BYTES = 1 << 20;
const CHUNK_BYTES = 4096;
const WORD_BITS = 32;

/** Cached blocks of a region, one bit each, and their data: a missing chunk is all zeroes. */
class Region {
  readonly dirty: Uint32Array;
  readonly chunks = new Map<number, Uint8Array>();
  count = 0;

  constructor(blocks: number, isDirty: boolean) {
    this.dirty = new Uint32Array(blocks / WORD_BITS);
    if (!isDirty) return;
    this.dirty.fill(0xffffffff);
    this.count = blocks;
  }

  isDirty(block: number): boolean {
    return (((this.dirty[block >>> 5] ?? 0) >>> (block & 31)) & 1) !== 0;
  }

  mark(block: number, isDirty: boolean): void {
    if (this.isDirty(block) === isDirty) return;
    this.dirty[block >>> 5] = (this.dirty[block >>> 5] ?? 0) ^ (1 << (block & 31));
    this.count += isDirty ? 1 : -1;
  }
}

/** A region in which all blocks are cached, as zeroes. */
const ZEROED = "zeroed";

export class CachedMedium implements Medium {
  readonly #base: Medium;
  readonly #blockBytes: number;
  readonly #regionBlocks: number;
  readonly #regions = new Map<number, Region | typeof ZEROED>();
  /** Data on its way to the medium passes through here, so a medium bound to a memory is bound to only one more. */
  readonly #stage = new Uint8Array(CHUNK_BYTES);

  constructor(base: Medium, blockBytes: number) {
    this.#base = base;
    this.#blockBytes = blockBytes;
    this.#regionBlocks = REGION_BYTES / blockBytes;
  }

  /** Blocks that a power failure would lose now. */
  get dirtyBlocks(): number {
    let count = 0;
    for (const region of this.#regions.values()) count += region === ZEROED ? this.#regionBlocks : region.count;
    return count;
  }

  read(memory: Uint8Array, address: number, offsetLow: number, offsetHigh: number, bytes: number): number {
    const error = this.#base.read(memory, address, offsetLow, offsetHigh, bytes);
    if (error !== 0 || this.#regions.size === 0) return error;
    const offset = offsetOf(offsetLow, offsetHigh);
    this.#steps(offset, bytes, REGION_BYTES, (at, step) => {
      const region = this.#regions.get(Math.floor(at / REGION_BYTES));
      const to = address + at - offset;
      if (region === ZEROED) memory.fill(0, to, to + step);
      else if (region !== undefined) this.#readRegion(region, memory, to, at % REGION_BYTES, step);
    });
    return 0;
  }

  #readRegion(region: Region, memory: Uint8Array, address: number, within: number, bytes: number): void {
    const size = this.#blockBytes;
    for (let at = within; at < within + bytes; at += size) {
      if (!region.isDirty(at / size)) continue;
      const to = address + at - within;
      const chunk = region.chunks.get(Math.floor(at / CHUNK_BYTES));
      if (chunk === undefined) memory.fill(0, to, to + size);
      else memory.set(chunk.subarray(at % CHUNK_BYTES, (at % CHUNK_BYTES) + size), to);
    }
  }

  write(memory: Uint8Array, address: number, offsetLow: number, offsetHigh: number, bytes: number): number {
    const offset = offsetOf(offsetLow, offsetHigh);
    this.#steps(offset, bytes, CHUNK_BYTES, (at, step) => {
      const region = this.#region(Math.floor(at / REGION_BYTES));
      const index = Math.floor((at % REGION_BYTES) / CHUNK_BYTES);
      let chunk = region.chunks.get(index);
      if (chunk === undefined) region.chunks.set(index, (chunk = new Uint8Array(CHUNK_BYTES)));
      const from = address + at - offset;
      chunk.set(memory.subarray(from, from + step), at % CHUNK_BYTES);
      this.#mark(region, at, step);
    });
    return 0;
  }

  zero(offsetLow: number, offsetHigh: number, bytes: number): number {
    this.#steps(offsetOf(offsetLow, offsetHigh), bytes, REGION_BYTES, (start, length) => {
      const place = Math.floor(start / REGION_BYTES);
      if (length === REGION_BYTES) this.#regions.set(place, ZEROED);
      else if (this.#regions.get(place) !== ZEROED) this.#zeroWithin(this.#region(place), start, length);
    });
    return 0;
  }

  #zeroWithin(region: Region, offset: number, bytes: number): void {
    this.#steps(offset, bytes, CHUNK_BYTES, (at, step) => {
      const index = Math.floor((at % REGION_BYTES) / CHUNK_BYTES);
      if (step === CHUNK_BYTES) region.chunks.delete(index);
      else region.chunks.get(index)?.fill(0, at % CHUNK_BYTES, (at % CHUNK_BYTES) + step);
    });
    this.#mark(region, offset, bytes);
  }

  /** Cached blocks count as data; up to the next cached block the medium decides. */
  run(offsetLow: number, offsetHigh: number, bytes: number): number {
    const first = offsetOf(offsetLow, offsetHigh) / this.#blockBytes;
    const unit = this.#blockBytes / RUN_BYTES;
    const blocks = bytes / this.#blockBytes;
    let cached = 0;
    while (cached < blocks && this.#isDirty(first + cached)) cached++;
    if (cached > 0) return cached * unit;
    const base = this.#base.run?.(offsetLow, offsetHigh, bytes) ?? 0;
    let before = 1;
    while (before < blocks && !this.#isDirty(first + before)) before += this.#clean(first + before);
    return Math.sign(base) * Math.min(Math.abs(base), Math.min(before, blocks) * unit);
  }

  /** How many blocks from `block` on are certainly not cached; at least one. */
  #clean(block: number): number {
    const within = block % this.#regionBlocks;
    return this.#regions.has((block - within) / this.#regionBlocks) ? 1 : this.#regionBlocks - within;
  }

  #isDirty(block: number): boolean {
    const within = block % this.#regionBlocks;
    const region = this.#regions.get((block - within) / this.#regionBlocks);
    return region === ZEROED || region?.isDirty(within) === true;
  }

  /** Writes cached blocks `first` to `first + count - 1` to the medium. Returns 0 or a negated errno. */
  flushBlocks(first: number, count: number): number {
    const end = first + count;
    for (const place of this.#places(first, end)) {
      const region = this.#regions.get(place);
      const start = place * this.#regionBlocks;
      const from = Math.max(first, start) - start;
      const to = Math.min(end, start + this.#regionBlocks) - start;
      if (region === undefined || from >= to) continue;
      if (region === ZEROED && to - from === this.#regionBlocks) {
        const offset = place * REGION_BYTES;
        const error = this.#base.zero(offset | 0, Math.floor(offset / TWO_32), REGION_BYTES);
        if (error !== 0) return error;
        this.#regions.delete(place);
      } else {
        const error = this.#flushWithin(place, from, to);
        if (error !== 0) return error;
      }
    }
    return 0;
  }

  /** Regions that may hold cached blocks of `first` to `end`, found by whichever search is shorter. */
  #places(first: number, end: number): Iterable<number> {
    const from = Math.floor(first / this.#regionBlocks);
    const count = Math.ceil(end / this.#regionBlocks) - from;
    return count < this.#regions.size ? Array.from({ length: count }, (_, i) => from + i) : this.#regions.keys();
  }

  #flushWithin(place: number, from: number, to: number): number {
    const region = this.#region(place);
    for (let block = from; block < to; block++) {
      const error = region.isDirty(block) ? this.#flushBlock(place, block) : 0;
      if (error !== 0) return error;
    }
    if (region.count === 0) this.#regions.delete(place);
    return 0;
  }

  /** Drops the cached blocks for which `keep` is false; the others are written to the medium first. */
  lose(keep: (block: number) => boolean): void {
    for (const place of this.#regions.keys()) {
      const region = this.#region(place);
      for (let block = 0; block < this.#regionBlocks; block++) {
        if (region.isDirty(block) && keep(place * this.#regionBlocks + block)) this.#flushBlock(place, block);
      }
    }
    this.#regions.clear();
  }

  #flushBlock(place: number, block: number): number {
    const region = this.#region(place);
    const within = block * this.#blockBytes;
    const offset = place * REGION_BYTES + within;
    const [low, high] = [offset | 0, Math.floor(offset / TWO_32)];
    const chunk = region.chunks.get(Math.floor(within / CHUNK_BYTES));
    const from = within % CHUNK_BYTES;
    if (chunk !== undefined) this.#stage.set(chunk.subarray(from, from + this.#blockBytes));
    const error =
      chunk === undefined
        ? this.#base.zero(low, high, this.#blockBytes)
        : this.#base.write(this.#stage, 0, low, high, this.#blockBytes);
    if (error === 0) region.mark(block, false);
    return error;
  }

  /** The region at this place, in the form with a bit for each block. */
  #region(place: number): Region {
    const found = this.#regions.get(place);
    if (found !== undefined && found !== ZEROED) return found;
    const region = new Region(this.#regionBlocks, found === ZEROED);
    this.#regions.set(place, region);
    return region;
  }

  #mark(region: Region, offset: number, bytes: number): void {
    const first = (offset % REGION_BYTES) / this.#blockBytes;
    for (let block = first; block < first + bytes / this.#blockBytes; block++) region.mark(block, true);
  }

  /** The bytes from `offset` on, in steps that do not cross a multiple of `size`. */
  #steps(offset: number, bytes: number, size: number, step: (at: number, bytes: number) => void): void {
    const end = offset + bytes;
    for (let at = offset; at < end;) {
      const length = Math.min(size - (at % size), end - at);
      step(at, length);
      at += length;
    }
  }
}
