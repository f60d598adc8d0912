// The content that simulated clients write. Every 64 bytes name the write that put them there and their place; the bytes
// between are derived from both. So data of another write, place or unit, or data moved by any distance, is detected.
//
// Some writes are partly or almost entirely zeroes: in each period of the unit's bytes only one stretch is not zero, and it
// is not aligned to anything. Code that looks for zeroes has to look at all the bytes.

/** Stamp of bytes that nobody wrote: all zero. */
export const ZERO = 0;

/** Bytes that name their write and place. */
const CHUNK_BYTES = 64;
const WORDS = CHUNK_BYTES / 4;
/** This many bytes that are not zero identify their write with certainty; fewer might match another one by chance. */
const CERTAIN_BYTES = 8;

/** Boundaries of the client's cells: each block has a cell from each cut to the next, or to the block's end. */
export class Layout {
  readonly blockBytes: number;
  /** Ascending; the first is 0. */
  readonly cuts: readonly number[];

  constructor(blockBytes: number, cuts: readonly number[] = [0]) {
    this.blockBytes = blockBytes;
    this.cuts = cuts;
  }

  get cellsPerBlock(): number {
    return this.cuts.length;
  }

  /** First byte of a cell. */
  offsetOf(cell: number): number {
    const block = Math.floor(cell / this.cuts.length);
    return block * this.blockBytes + (this.cuts[cell - block * this.cuts.length] ?? 0);
  }

  bytesOf(cell: number): number {
    return this.offsetOf(cell + 1) - this.offsetOf(cell);
  }
}

/** The bytes of a write that are not zero: `from` to `end` of each `period`. */
interface Stretch {
  readonly period: number;
  readonly from: number;
  readonly end: number;
}

const PERIODS = [256, 1024, 8192, 65_664, 300_007];

/** Five of eight writes are full; the others have runs of zeroes, or are almost entirely zero. */
function stretchOf(stamp: number): Stretch | undefined {
  const style = stamp & 7;
  if (style < 5) return undefined;
  const dice = Math.imul(stamp, 0x9e3779b1) >>> 0;
  const period = PERIODS[dice % PERIODS.length] ?? 256;
  const from = 1 + ((dice >>> 8) % (period / 2 - 1));
  const bytes = style === 7 ? 1 + ((dice >>> 20) % 40) : Math.floor(period / 2);
  return { period, from: Math.floor(from), end: Math.min(Math.floor(from) + bytes, period) };
}

/** Sets the bytes of `target`, which begins at byte `offset` of the unit, to zero outside the stretch. */
function clear(target: Uint8Array, offset: number, { period, from, end }: Stretch): void {
  const within = (at: number): number => Math.min(Math.max(at, 0), target.length);
  for (let at = -(offset % period); at < target.length; at += period) {
    target.fill(0, within(at), within(at + from));
    target.fill(0, within(at + end), within(at + period));
  }
}

/** Fills whole chunks, starting with chunk number `chunk` of the unit. */
function fillChunks(words: Uint32Array, count: number, unit: number, chunk: number, stamp: number): void {
  for (let at = 0; at < count; at += WORDS, chunk++) {
    const high = Math.floor(chunk / 0x1_0000_0000);
    words[at] = stamp;
    words[at + 1] = chunk;
    words[at + 2] = ((unit + 1) << 24) | high;
    let x =
      Math.imul(chunk | 0, 0x9e3779b1) ^ Math.imul(stamp, 0x85ebca6b) ^ Math.imul(high + (unit << 20), 0xc2b2ae35);
    for (let i = 3; i < WORDS; i++) {
      x = (Math.imul(x, 0x19660d) + 0x3c6ef35f) | 0;
      words[at + i] = x;
    }
  }
}

let scratch = Buffer.from(new ArrayBuffer(1 << 16));
let scratchWords = new Uint32Array(scratch.buffer);
const ZEROES = Buffer.alloc(4096);

/** Creates the content of write `stamp` at `offset` of a unit: `bytes` bytes of the scratch, from the returned index on. */
function make(unit: number, offset: number, bytes: number, stamp: number): number {
  const lead = offset % CHUNK_BYTES;
  const chunks = Math.ceil((lead + bytes) / CHUNK_BYTES);
  if (chunks * CHUNK_BYTES > scratch.length) {
    scratch = Buffer.from(new ArrayBuffer(2 * chunks * CHUNK_BYTES));
    scratchWords = new Uint32Array(scratch.buffer);
  }
  fillChunks(scratchWords, chunks * WORDS, unit, (offset - lead) / CHUNK_BYTES, stamp);
  const stretch = stretchOf(stamp);
  if (stretch !== undefined) clear(scratch.subarray(lead, lead + bytes), offset, stretch);
  return lead;
}

/** Fills `target` with the content of write `stamp` at byte `offset` of a unit. */
export function fillContent(target: Uint8Array, unit: number, offset: number, stamp: number): void {
  const at = make(unit, offset, target.length, stamp);
  target.set(scratch.subarray(at, at + target.length));
}

/** Some bytes of a unit, as somebody has read them. */
export class Sight {
  readonly #data: Buffer;
  readonly #unit: number;
  readonly #offset: number;
  /** Stamp of the previous cell: most likely also this one's. */
  #last = ZERO;

  /** @param offset where in the unit the data begins */
  constructor(data: Uint8Array, unit: number, offset: number) {
    this.#data = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    this.#unit = unit;
    this.#offset = offset;
  }

  /** Whether `bytes` bytes of the unit, from `offset` on, are the content of write `stamp`. */
  holds(offset: number, bytes: number, stamp: number): boolean {
    if (stamp === ZERO) return this.zero(offset, bytes);
    if (stretchOf(stamp) === undefined && !this.#named(offset, bytes, stamp)) return false;
    const from = make(this.#unit, offset, bytes, stamp);
    const at = offset - this.#offset;
    return this.#data.compare(scratch, from, from + bytes, at, at + bytes) === 0;
  }

  /** Whether the first chunk that begins in these bytes names write `stamp`; true when none begins there. */
  #named(offset: number, bytes: number, stamp: number): boolean {
    const at = Math.ceil(offset / CHUNK_BYTES) * CHUNK_BYTES;
    return at + 4 > offset + bytes || this.#data.readUint32LE(at - this.#offset) === stamp;
  }

  zero(offset: number, bytes: number): boolean {
    const data = this.#data;
    const end = offset - this.#offset + bytes;
    for (let at = offset - this.#offset; at < end; at += ZEROES.length) {
      // Most bytes that are not zero show this at once.
      if (data[at] !== 0) return false;
      const step = Math.min(ZEROES.length, end - at);
      if (data.compare(ZEROES, 0, step, at, at + step) !== 0) return false;
    }
    return true;
  }

  /** Whether these bytes, which have this stamp, can only be of this write. */
  certain(offset: number, bytes: number, stamp: number | undefined): boolean {
    if (stamp !== undefined && stamp !== ZERO && stretchOf(stamp) === undefined && bytes >= CERTAIN_BYTES) return true;
    let count = 0;
    const at = offset - this.#offset;
    for (let i = at; i < at + bytes && count < CERTAIN_BYTES; i++) if (this.#data[i] !== 0) count++;
    return count >= CERTAIN_BYTES;
  }

  /** The write that these bytes are of; undefined when they do not identify one. */
  stampOf(offset: number, bytes: number): number | undefined {
    if (this.#last !== ZERO && this.holds(offset, bytes, this.#last)) return this.#last;
    if (this.zero(offset, bytes)) return ZERO;
    const at = Math.ceil(offset / CHUNK_BYTES) * CHUNK_BYTES;
    if (at + 4 > offset + bytes) return undefined;
    const stamp = this.#data.readUint32LE(at - this.#offset);
    if (stamp === ZERO || !this.holds(offset, bytes, stamp)) return undefined;
    this.#last = stamp;
    return stamp;
  }

  /** The writes named by the chunks of these bytes, for a message. */
  describe(offset: number, bytes: number): string {
    const names: string[] = [];
    const first = Math.ceil(offset / CHUNK_BYTES) * CHUNK_BYTES;
    for (let at = first; at + 12 <= offset + bytes && names.length < 4; at += CHUNK_BYTES) {
      const from = at - this.#offset;
      const place = this.#data.readUint32LE(from + 8);
      const chunk = this.#data.readUint32LE(from + 4) + (place & 0xff_ffff) * 0x1_0000_0000;
      const name = `stamp ${this.#data.readUint32LE(from)} of unit ${(place >>> 24) - 1} byte ${chunk * CHUNK_BYTES}`;
      if (names.at(-1) !== name) names.push(name);
    }
    return `byte ${offset} of unit ${this.#unit} holds ${names.join(", ") || "bytes of no write"}`;
  }
}
