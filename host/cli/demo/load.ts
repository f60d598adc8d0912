// Verified load: writes a known pattern, reads it back, compares. Each worker owns a range of blocks, so the expected
// content of a block is always known.

import { NbdClient, NbdError } from "./nbd-client.ts";

/** Counters of the load so far. */
export interface LoadCounts {
  reads: number;
  writes: number;
  bytes: number;
  /** Requests that failed. */
  errors: number;
  /** Blocks that did not hold what was written. */
  mismatches: number;
  /** Longest time from a request to its answer, in milliseconds. */
  stallMsMax: number;
  firstError: string | undefined;
}

const BLOCK_BYTES = 4096;
const WORKERS = 8;
const BLOCKS_MAX = 16;

/** Random numbers, reproducible from the seed (Marsaglia's xorshift32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A block's content: its number and the generation of the write, repeated. */
function fillBlock(target: Buffer, at: number, block: number, generation: number): void {
  const word = Math.imul(block + 1, 0x9e37_79b1) ^ Math.imul(generation + 1, 0x85eb_ca6b);
  for (let offset = 0; offset < BLOCK_BYTES; offset += 8) {
    target.writeUInt32LE(word >>> 0, at + offset);
    target.writeUInt32LE((block ^ offset) >>> 0, at + offset + 4);
  }
}

/** What carries the load. */
export type LoadClient = Pick<NbdClient, "bytes" | "read" | "write" | "close">;

/** Load on one export, until it is stopped. */
export class VerifiedLoad {
  readonly counts: LoadCounts = {
    reads: 0,
    writes: 0,
    bytes: 0,
    errors: 0,
    mismatches: 0,
    stallMsMax: 0,
    firstError: undefined,
  };
  readonly #client: LoadClient;
  readonly #blocks: number;
  /** Generation of each block's last write; -1: never written. */
  readonly #generations: Int32Array;
  readonly #workers: Promise<void>[];
  #stopping = false;

  /** Begins at once. */
  constructor(client: LoadClient) {
    this.#client = client;
    this.#blocks = Math.floor(client.bytes / BLOCK_BYTES);
    this.#generations = new Int32Array(this.#blocks).fill(-1);
    const share = Math.floor(this.#blocks / WORKERS);
    this.#workers = Array.from({ length: WORKERS }, (_, index) => this.#work(index * share, share, index + 1));
  }

  static async start(socket: string, name: string): Promise<VerifiedLoad> {
    return new VerifiedLoad(await NbdClient.connect(socket, name));
  }

  /** Longest wait since the last call, in milliseconds. */
  #stallMs = 0;
  takeStallMs(): number {
    const longest = this.#stallMs;
    this.#stallMs = 0;
    return longest;
  }

  /** Ends the load, reads back everything that was written, and disconnects. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers);
    for (let block = 0; block < this.#blocks; block += BLOCKS_MAX) {
      const count = Math.min(BLOCKS_MAX, this.#blocks - block);
      const written = this.#generations.subarray(block, block + count).some((generation) => generation >= 0);
      if (written) await this.#timed(() => this.#readAndCompare(block, count));
    }
    this.#client.close();
  }

  async #work(first: number, count: number, seed: number): Promise<void> {
    const random = randomFrom(seed * 7919);
    const buffer = Buffer.alloc(BLOCKS_MAX * BLOCK_BYTES);
    for (let generation = 0; !this.#stopping; generation += 1) {
      const blocks = 1 + (random(4) === 0 ? random(BLOCKS_MAX) : 0);
      const block = first + random(count - blocks);
      const isRead = random(2) === 0;
      await this.#timed(() =>
        isRead ? this.#readAndCompare(block, blocks) : this.#write(buffer, block, blocks, generation),
      );
      if (this.counts.errors > 100) return;
    }
  }

  async #timed(request: () => Promise<void>): Promise<void> {
    const { counts } = this;
    const start = performance.now();
    try {
      await request();
    } catch (error) {
      if (!(error instanceof NbdError)) throw error;
      counts.errors += 1;
      counts.firstError ??= error.message;
    }
    const waited = performance.now() - start;
    counts.stallMsMax = Math.max(counts.stallMsMax, waited);
    this.#stallMs = Math.max(this.#stallMs, waited);
  }

  async #write(buffer: Buffer, block: number, blocks: number, generation: number): Promise<void> {
    for (let index = 0; index < blocks; index += 1) fillBlock(buffer, index * BLOCK_BYTES, block + index, generation);
    await this.#client.write(block * BLOCK_BYTES, buffer.subarray(0, blocks * BLOCK_BYTES));
    this.#generations.fill(generation, block, block + blocks);
    this.counts.writes += 1;
    this.counts.bytes += blocks * BLOCK_BYTES;
  }

  async #readAndCompare(block: number, blocks: number): Promise<void> {
    const data = await this.#client.read(block * BLOCK_BYTES, blocks * BLOCK_BYTES);
    const expected = Buffer.alloc(BLOCK_BYTES);
    for (let index = 0; index < blocks; index += 1) {
      const generation = this.#generations[block + index] ?? -1;
      if (generation >= 0) fillBlock(expected, 0, block + index, generation);
      else expected.fill(0);
      const found = data.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
      if (!found.equals(expected)) this.counts.mismatches += 1;
    }
    this.counts.reads += 1;
    this.counts.bytes += blocks * BLOCK_BYTES;
  }
}
