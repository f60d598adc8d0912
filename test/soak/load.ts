// A client that knows what it has written: it owns a part of a unit, and every block there names the client, its place and
// the write that made it.

import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Random } from "../simulation/random.ts";
import { command, FLUSH, FUA, RawClient, READ, TRIM, WRITE, WRITE_ZEROES } from "../peers/raw.ts";
import type { Places } from "./places.ts";

const BLOCK = 512;
const AREA_BLOCKS = 16_384;
/** Blocks of a request: most are small, some are of several buffers. */
const BLOCKS_MAX = 4096;
const SMALL_BLOCKS = 64;
const BATCH_MAX = 8;
/** Content that nobody can know: it was trimmed, or its write was not answered. */
const UNKNOWN = -1;
const TIMEOUT_MS = 60_000;

export class Load {
  readonly problems: string[] = [];
  ios = 0;
  readonly #socket: string;
  readonly #signal: AbortSignal;
  readonly #random: Random;
  readonly #index: number;
  readonly #name: string;
  readonly #first: number;
  /** Version of each block; 0: never written. */
  readonly #versions = new Int32Array(AREA_BLOCKS);
  #version = 0;

  constructor(places: Places, index: number, units: number) {
    this.#socket = join(places.folder, "nbd.sock");
    this.#signal = places.signal;
    this.#random = new Random(places.seed * 1000 + index);
    this.#index = index;
    this.#name = `lu${index % units}`;
    this.#first = Math.floor(index / units) * AREA_BLOCKS;
  }

  /** Works until the signal; one connection after the other. */
  async run(): Promise<void> {
    while (!this.#signal.aborted && this.problems.length === 0) {
      try {
        const client = await RawClient.open(this.#socket, this.#name);
        for (let steps = this.#random.between(50, 3000); steps > 0 && !this.#signal.aborted; steps--) {
          await this.#step(client);
        }
        if (this.#random.chance(0.5)) this.#leaveInTheMiddle(client);
        client.close();
      } catch (error) {
        if (!this.#signal.aborted) this.problems.push(`client ${this.#index}: ${String(error)}`);
      }
    }
  }

  async #step(client: RawClient): Promise<void> {
    const what = this.#random.real();
    if (what < 0.45) await this.#write(client);
    else if (what < 0.9) await this.#read(client);
    else if (what < 0.94) await this.#erase(client, this.#random.chance(0.5) ? TRIM : WRITE_ZEROES);
    else if (what < 0.97) this.#judge("flush", (await client.ask({ type: FLUSH })).error);
    else await setTimeout(this.#random.between(1, 50));
    this.ios++;
  }

  #range(): { first: number; count: number } {
    const count = this.#random.between(1, this.#random.chance(0.02) ? BLOCKS_MAX : SMALL_BLOCKS);
    return { first: this.#random.between(0, AREA_BLOCKS - count), count };
  }

  #at(first: number, count: number): { offset: bigint; length: number } {
    return { offset: BigInt((this.#first + first) * BLOCK), length: count * BLOCK };
  }

  #content(first: number, count: number): Buffer {
    const bytes = Buffer.alloc(count * BLOCK);
    for (let i = 0; i < count; i++) {
      const version = this.#versions[first + i] ?? 0;
      if (version <= 0) continue;
      const mark = Buffer.alloc(16);
      mark.writeUInt32LE(this.#index + 1, 0);
      mark.writeUInt32LE(first + i, 4);
      mark.writeUInt32LE(version, 8);
      bytes.fill(mark, i * BLOCK, (i + 1) * BLOCK);
    }
    return bytes;
  }

  /** A few writes at once; where two of them meet, their order is open and so is what is read there. */
  async #write(client: RawClient): Promise<void> {
    const batch = Array.from({ length: this.#random.between(1, BATCH_MAX) }, () => this.#range());
    const touched = new Set<number>();
    for (const { first, count } of batch) {
      this.#version++;
      const open: number[] = [];
      for (let block = first; block < first + count; block++) {
        if (touched.has(block)) open.push(block);
        touched.add(block);
        this.#versions[block] = this.#version;
      }
      const flags = this.#random.chance(0.1) ? FUA : 0;
      client.send(command({ type: WRITE, flags, ...this.#at(first, count) }), this.#content(first, count));
      for (const block of open) this.#versions[block] = UNKNOWN;
    }
    for (const _ of batch) {
      await client.wait(16, TIMEOUT_MS);
      this.#judge("write", (await client.answer()).error);
    }
  }

  async #read(client: RawClient): Promise<void> {
    const { first, count } = this.#range();
    client.send(command({ type: READ, ...this.#at(first, count) }));
    await client.wait(16, TIMEOUT_MS);
    const { error, data } = await client.answer(count * BLOCK);
    this.#judge("read", error);
    if (error !== 0) return;
    const expected = this.#content(first, count);
    for (let i = 0; i < count; i++) {
      if (this.#versions[first + i] === UNKNOWN) continue;
      const [from, to] = [i * BLOCK, (i + 1) * BLOCK];
      if (data.compare(expected, from, to, from, to) === 0) continue;
      const found = data.subarray(from, from + 16).toString("hex");
      this.problems.push(`${this.#name}, block ${this.#first + first + i}: ${found} is not what was written`);
      return;
    }
  }

  async #erase(client: RawClient, type: number): Promise<void> {
    const { first, count } = this.#range();
    client.send(command({ type, ...this.#at(first, count) }));
    await client.wait(16, TIMEOUT_MS);
    this.#judge("erase", (await client.answer()).error);
    this.#versions.fill(type === TRIM ? UNKNOWN : 0, first, first + count);
  }

  /** A write whose answer nobody waits for: it may or may not be there. */
  #leaveInTheMiddle(client: RawClient): void {
    const { first, count } = this.#range();
    const part = this.#content(first, count).subarray(0, this.#random.between(0, count * BLOCK));
    client.send(command({ type: WRITE, ...this.#at(first, count) }), part);
    this.#versions.fill(UNKNOWN, first, first + count);
  }

  #judge(what: string, error: number): void {
    if (error !== 0) this.problems.push(`client ${this.#index}: a ${what} ended with error ${error}`);
  }
}
