// A client at the core's block door (docs/block-door.md) that always has as many requests under way as it is told: reads and writes of
// 4 KiB at random places, from buffers of its own.

import * as abi from "../../abi.ts";
import { SeededRandom } from "../../array/faults/fault-state.ts";
import type { LaidOutCore } from "../../reactor/laid-out-core.ts";

const REQUEST_BYTES = 4096;
/** Requests under way at most. */
const DEPTH_MAX = 64;
/** Tags: more than requests, because a buffer may be held after its request was answered. */
const TAGS = 2 * DEPTH_MAX;
/** How the core's door has to be laid out. */
export const DOOR = { clients: 1, tags: TAGS, regionBytes: TAGS * REQUEST_BYTES } as const;
const READS = 0.7;

export interface ClientOptions {
  readonly unit: number;
  readonly unitBytes: number;
  readonly seed: number;
  readonly answered: (latencyNs: number, isGood: boolean) => void;
}

export class BlockClient {
  readonly #core: LaidOutCore;
  readonly #options: ClientOptions;
  readonly #random: SeededRandom;
  readonly #handle: number;
  readonly #region: number;
  readonly #begunNs = new Float64Array(TAGS);
  #free = Array.from({ length: TAGS }, (_, tag) => tag);
  /** Requests not answered. */
  #open = 0;
  depth = 16;

  constructor(core: LaidOutCore, options: ClientOptions) {
    this.#core = core;
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.#region = core.exports.blockRegion() >>> 0;
    this.#handle = core.exports.blockOpen(options.unit, 0);
    if (this.#handle < 0) throw new Error(`the block door refuses the unit: ${this.#handle}`);
  }

  get open(): number {
    return this.#open;
  }

  /** Takes what was answered, and sends as much as there is room for. Returns whether there was anything to do. */
  turn(nowNs: number): boolean {
    const took = this.#take(nowNs);
    let sent = false;
    while (this.#open < this.depth) {
      const tag = this.#free.pop();
      if (tag === undefined) break;
      this.#begin(tag, nowNs);
      sent = true;
    }
    return took || sent;
  }

  #begin(tag: number, nowNs: number): void {
    const blocks = this.#options.unitBytes / REQUEST_BYTES;
    const offset = Math.floor(this.#random.next() * blocks) * REQUEST_BYTES;
    const isRead = this.#random.next() < READS;
    this.#put(tag, isRead ? abi.OPERATION_READ : abi.OPERATION_WRITE, offset, this.#region + tag * REQUEST_BYTES);
    this.#begunNs[tag] = nowNs;
    this.#open++;
  }

  #put(tag: number, operation: number, offset: number, buffer: number): void {
    const { view, control } = this.#core;
    const ring = control + abi.CONTROL_BLOCK_ENTRIES;
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    const mask = view.getUint32(ring + abi.RING_CAPACITY, true) - 1;
    const at = view.getUint32(ring + abi.RING_BASE, true) + ((tail & mask) >>> 0) * abi.BLOCK_ENTRY_BYTES;
    view.setUint8(at + abi.BLOCK_ENTRY_OPERATION, operation);
    view.setUint8(at + abi.BLOCK_ENTRY_FLAGS, 0);
    view.setUint32(at + abi.BLOCK_ENTRY_TAG, tag, true);
    view.setUint32(at + abi.BLOCK_ENTRY_CLIENT, this.#handle, true);
    view.setUint32(at + abi.BLOCK_ENTRY_BUFFER, buffer, true);
    view.setBigUint64(at + abi.BLOCK_ENTRY_OFFSET, BigInt(offset), true);
    view.setBigUint64(at + abi.BLOCK_ENTRY_LENGTH, BigInt(buffer === 0 ? 0 : REQUEST_BYTES), true);
    view.setUint32(ring + abi.RING_TAIL, (tail + 1) >>> 0, true);
  }

  #take(nowNs: number): boolean {
    const { view, control } = this.#core;
    const ring = control + abi.CONTROL_BLOCK_COMPLETIONS;
    const base = view.getUint32(ring + abi.RING_BASE, true);
    const mask = view.getUint32(ring + abi.RING_CAPACITY, true) - 1;
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    const begin = view.getUint32(ring + abi.RING_HEAD, true);
    let head = begin;
    for (; head !== tail; head = (head + 1) >>> 0)
      this.#completed(base + ((head & mask) >>> 0) * abi.BLOCK_COMPLETION_BYTES, nowNs);
    view.setUint32(ring + abi.RING_HEAD, head, true);
    return head !== begin;
  }

  #completed(at: number, nowNs: number): void {
    const { view } = this.#core;
    const tag = view.getUint32(at + abi.BLOCK_COMPLETION_TAG, true);
    const kind = view.getUint8(at + abi.BLOCK_COMPLETION_KIND);
    const flags = view.getUint8(at + abi.BLOCK_COMPLETION_FLAGS);
    const error = view.getUint32(at + abi.BLOCK_COMPLETION_ERROR, true);
    if (kind === abi.BLOCK_RETURNED) return void this.#free.push(tag);
    if (kind !== abi.BLOCK_ANSWER) throw new Error(`the block door refuses request ${tag}: error ${error}`);
    this.#open--;
    this.#options.answered(nowNs - (this.#begunNs[tag] ?? nowNs), error === 0);
    if ((flags & abi.BLOCK_LENT) !== 0) this.#put(tag, abi.BLOCK_RELEASE, 0, 0);
    // A buffer that is held comes back with RETURNED.
    if ((flags & abi.BLOCK_HELD) === 0) this.#free.push(tag);
  }
}
