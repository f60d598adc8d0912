// The storage of an emulated logical unit. Two kinds: the addon's `Media` (memory or a file, copied straight into the
// core's memory without any allocation) for the daemon, and `SparseMedium` here for simulation and tests.

/**
 * Bytes that can be read and written at an offset. Offsets come in two halves of 32 bits, either of which may be given
 * as a signed number: JavaScript passes small integers without allocating. Offsets and lengths are multiples of
 * 512. Every call returns 0, or a negated errno.
 */
export interface Medium {
  /** Its capacity in bytes; missing: no limit. */
  readonly bytesMax?: number;
  /** True if writes are safe from a power failure only after `flush`. */
  readonly volatile?: boolean;
  /** Brings all writes to stable storage. */
  flush?(): number;
  /** Copies `bytes` bytes at the offset into `memory` at `address`. */
  read(memory: Uint8Array, address: number, offsetLow: number, offsetHigh: number, bytes: number): number;
  /** Copies `bytes` bytes of `memory` at `address` to the offset. */
  write(memory: Uint8Array, address: number, offsetLow: number, offsetHigh: number, bytes: number): number;
  /** Zeroes `bytes` bytes (below 2^31) at the offset. */
  zero(offsetLow: number, offsetHigh: number, bytes: number): number;
  /**
   * How many units of 512 bytes from the offset on, within `bytes` (below 2^31), are alike: positive if they hold data,
   * negative if they are unmapped and read as zeroes, 0 if that is unknown. Missing: everything is data.
   */
  run?(offsetLow: number, offsetHigh: number, bytes: number): number;
}

const CHUNK_BYTES = 4096;
/** The unit in which a run is counted. */
export const RUN_BYTES = 512;

/** The offset made of two halves. */
export function offsetOf(low: number, high: number): number {
  return (high >>> 0) * 4294967296 + (low >>> 0);
}

/** A medium in JavaScript that keeps only the 4 KiB chunks ever written. Without a limit: the unit checks ranges. */
export class SparseMedium implements Medium {
  readonly chunks = new Map<number, Uint8Array>();
  /** Chunks that were missing when last looked up, until one is written. */
  #hole = { first: 0, next: 0 };

  read(memory: Uint8Array, address: number, offsetLow: number, offsetHigh: number, bytes: number): number {
    let offset = offsetOf(offsetLow, offsetHigh);
    let at = address;
    const end = address + bytes;
    while (at < end) {
      const within = offset % CHUNK_BYTES;
      const step = Math.min(CHUNK_BYTES - within, end - at);
      const chunk = this.chunks.get((offset - within) / CHUNK_BYTES);
      if (chunk === undefined) memory.fill(0, at, at + step);
      else if (step === CHUNK_BYTES) memory.set(chunk, at);
      else memory.set(chunk.subarray(within, within + step), at);
      at += step;
      offset += step;
    }
    return 0;
  }

  write(memory: Uint8Array, address: number, offsetLow: number, offsetHigh: number, bytes: number): number {
    let offset = offsetOf(offsetLow, offsetHigh);
    let at = address;
    const end = address + bytes;
    while (at < end) {
      const within = offset % CHUNK_BYTES;
      const step = Math.min(CHUNK_BYTES - within, end - at);
      this.#chunk((offset - within) / CHUNK_BYTES).set(memory.subarray(at, at + step), within);
      at += step;
      offset += step;
    }
    return 0;
  }

  zero(offsetLow: number, offsetHigh: number, bytes: number): number {
    let offset = offsetOf(offsetLow, offsetHigh);
    const end = offset + bytes;
    if (bytes / CHUNK_BYTES > this.chunks.size) return this.#zeroFew(offset, end);
    while (offset < end) {
      const within = offset % CHUNK_BYTES;
      const step = Math.min(CHUNK_BYTES - within, end - offset);
      const index = (offset - within) / CHUNK_BYTES;
      if (step === CHUNK_BYTES) this.chunks.delete(index);
      else this.chunks.get(index)?.fill(0, within, within + step);
      offset += step;
    }
    return 0;
  }

  /** The same, chunk by chunk, over existing chunks only. */
  #zeroFew(offset: number, end: number): number {
    for (const [index, chunk] of this.chunks) {
      const from = index * CHUNK_BYTES;
      if (from >= end || from + CHUNK_BYTES <= offset) continue;
      if (from >= offset && from + CHUNK_BYTES <= end) this.chunks.delete(index);
      else chunk.fill(0, Math.max(offset - from, 0), Math.min(end - from, CHUNK_BYTES));
    }
    return 0;
  }

  run(offsetLow: number, offsetHigh: number, bytes: number): number {
    const offset = offsetOf(offsetLow, offsetHigh);
    const end = offset + bytes;
    const first = Math.floor(offset / CHUNK_BYTES);
    const isData = this.chunks.has(first);
    let chunk = first + 1;
    if (!isData && bytes / CHUNK_BYTES > this.chunks.size) chunk = this.#nextChunk(first);
    else while (chunk * CHUNK_BYTES < end && this.chunks.has(chunk) === isData) chunk++;
    const run = (Math.min(chunk * CHUNK_BYTES, end) - offset) / RUN_BYTES;
    return isData ? run : -run;
  }

  /** The first written chunk after the unwritten chunk `from`; Infinity if there is none. */
  #nextChunk(from: number): number {
    const known = this.#hole;
    if (from >= known.first && from < known.next) return known.next;
    let next = Infinity;
    for (const index of this.chunks.keys()) if (index > from && index < next) next = index;
    this.#hole = { first: from, next };
    return next;
  }

  /** All written data, in pieces: the offset of each, and its bytes. */
  *pieces(): Generator<[offset: number, data: Uint8Array]> {
    for (const [index, data] of this.chunks) yield [index * CHUNK_BYTES, data];
  }

  /** A copy that later writes do not change. */
  snapshot(): SparseMedium {
    const copy = new SparseMedium();
    for (const [index, chunk] of this.chunks) copy.chunks.set(index, chunk.slice());
    return copy;
  }

  /** Offset of the first byte in which the two differ, or -1 if they are equal. */
  firstDifference(other: SparseMedium): number {
    const zero = new Uint8Array(CHUNK_BYTES);
    const indices = [...new Set([...this.chunks.keys(), ...other.chunks.keys()])].toSorted((a, b) => a - b);
    for (const index of indices) {
      const ours = this.chunks.get(index) ?? zero;
      const theirs = other.chunks.get(index) ?? zero;
      const at = ours.findIndex((byte, i) => byte !== theirs[i]);
      if (at >= 0) return index * CHUNK_BYTES + at;
    }
    return -1;
  }

  #chunk(index: number): Uint8Array {
    let chunk = this.chunks.get(index);
    if (chunk === undefined) {
      chunk = new Uint8Array(CHUNK_BYTES);
      this.chunks.set(index, chunk);
      this.#hole = { first: 0, next: 0 };
    }
    return chunk;
  }
}
