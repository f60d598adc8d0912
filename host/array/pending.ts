// Commands that the array has accepted but not finished: rows of numbers with a heap by time over them. All memory is allocated
// once; a row is identified by its index.

import { TIME_NOW } from "./times.ts";

/** Bits of a row's flags. */
export const PENDING_EFFECT_DONE = 1;
/** The completion was posted; only the effect is still to come. */
export const PENDING_ANSWERED = 2;
/** Held by a black hole; lifting the fault decides what happens to it. */
export const PENDING_HELD = 4;
/** Held, and executed when the fault is lifted. */
export const PENDING_EXECUTE_ON_LIFT = 8;
/** The effect takes place even if the host has given up on the command before. */
export const PENDING_LANDS_AFTER = 16;
/** Not a command but a reset; its scope is in `slot`. */
export const PENDING_RESET = 32;
/** The row is in use. */
export const PENDING_USED = 64;
/** Still in the host's queue: the device has not received it. */
export const PENDING_QUEUED = 128;

/** Longest delay that is returned; after it the array is simply asked again. */
const WAIT_MAX_NS = 1e12;

export class Pending {
  readonly capacity: number;
  readonly port: Int32Array;
  readonly tag: Int32Array;
  readonly slot: Int32Array;
  readonly flags: Uint8Array;
  /** When the effect takes place, ns; Infinity: never. */
  readonly effectNs: Float64Array;
  /** When the device's answer arrives, ns; Infinity: never. */
  readonly answerNs: Float64Array;
  /** When the host gives up, ns; Infinity: never. */
  readonly giveUpNs: Float64Array;
  /** A copy of slot and data, for effects that come after the host has given up. */
  readonly copies: (Uint8Array | null)[];
  readonly #dueNs: Float64Array;
  readonly #order: Float64Array;
  readonly #heap: Int32Array;
  readonly #free: Int32Array;
  #freeCount: number;
  #heapCount = 0;
  readonly #counter = new Float64Array(1);

  constructor(capacity: number) {
    this.capacity = capacity;
    this.port = new Int32Array(capacity);
    this.tag = new Int32Array(capacity);
    this.slot = new Int32Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.effectNs = new Float64Array(capacity);
    this.answerNs = new Float64Array(capacity);
    this.giveUpNs = new Float64Array(capacity);
    this.copies = [];
    // A callback for each of thousands of rows would slow down every world of a simulation.
    this.copies.length = capacity;
    this.copies.fill(null);
    this.#dueNs = new Float64Array(capacity);
    this.#order = new Float64Array(capacity);
    this.#heap = new Int32Array(capacity);
    this.#free = new Int32Array(capacity);
    for (let i = 0; i < capacity; i++) this.#free[i] = capacity - 1 - i;
    this.#freeCount = capacity;
  }

  /** Rows in use. */
  get count(): number {
    return this.#heapCount;
  }

  /** Takes a free row; -1 if there is none. The caller fills it and then calls `schedule`. */
  take(port: number, tag: number, slot: number): number {
    if (this.#freeCount === 0) return -1;
    const row = this.#free[--this.#freeCount] ?? 0;
    this.port[row] = port;
    this.tag[row] = tag;
    this.slot[row] = slot;
    this.flags[row] = PENDING_USED;
    this.effectNs[row] = Infinity;
    this.answerNs[row] = Infinity;
    this.giveUpNs[row] = Infinity;
    return row;
  }

  /** Inserts a taken row into the time order. Rows due at the same time keep the order of insertion. */
  schedule(row: number): void {
    this.#setDue(row);
    this.#counter[0] = (this.#counter[0] as number) + 1;
    this.#order[row] = this.#counter[0] as number;
    let at = this.#heapCount++;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = this.#heap[above] ?? 0;
      if (!this.#before(row, other)) break;
      this.#heap[at] = other;
      at = above;
    }
    this.#heap[at] = row;
  }

  /** The row due first, or -1. */
  first(): number {
    return this.#heapCount === 0 ? -1 : (this.#heap[0] ?? -1);
  }

  /** True if the first row is due at `times[TIME_NOW]`. */
  isDue(times: Float64Array): boolean {
    return this.#heapCount > 0 && (this.#dueNs[this.#heap[0] as number] as number) <= (times[TIME_NOW] as number);
  }

  /** The delay from `times[TIME_NOW]` until the first row is due or `alarm` expires: whole microseconds, rounded up; -1: never. */
  waitMicroseconds(times: Float64Array, alarm: Float64Array): number {
    const now = times[TIME_NOW] as number;
    let wait = (alarm[0] as number) - now;
    if (this.#heapCount > 0) {
      const due = (this.#dueNs[this.#heap[0] as number] as number) - now;
      if (due < wait) wait = due;
    }
    if (wait === Infinity) return -1;
    if (wait <= 0) return 0;
    return wait >= WAIT_MAX_NS ? WAIT_MAX_NS / 1000 : Math.ceil(wait / 1000) | 0;
  }

  /** When the first row is due, ns; Infinity if none ever is. */
  firstDueNs(): number {
    return this.#heapCount === 0 ? Infinity : (this.#dueNs[this.#heap[0] ?? 0] ?? Infinity);
  }

  /** Removes the first row from the order; it then has to be scheduled again or freed. */
  unscheduleFirst(): void {
    const last = this.#heap[--this.#heapCount] ?? 0;
    if (this.#heapCount > 0) this.#sink(0, last);
  }

  free(row: number): void {
    this.flags[row] = 0;
    this.copies[row] = null;
    this.#free[this.#freeCount++] = row;
  }

  /** Rebuilds the order after rows were changed in place. Unused rows leave it. */
  rebuild(): void {
    const rows: number[] = [];
    for (let i = 0; i < this.#heapCount; i++) rows.push(this.#heap[i] ?? 0);
    rows.sort((a, b) => (this.#order[a] ?? 0) - (this.#order[b] ?? 0));
    this.#heapCount = 0;
    for (const row of rows) if (this.flags[row] !== 0) this.schedule(row);
  }

  /** When the row's next step is due: the earliest outstanding one of effect, answer and giving up. */
  #setDue(row: number): void {
    const flags = this.flags[row] as number;
    let due = Infinity;
    if ((flags & PENDING_EFFECT_DONE) === 0) due = this.effectNs[row] as number;
    if ((flags & PENDING_ANSWERED) === 0) {
      const answer = this.answerNs[row] as number;
      const giveUp = this.giveUpNs[row] as number;
      if (answer < due) due = answer;
      if (giveUp < due) due = giveUp;
    }
    this.#dueNs[row] = due;
  }

  #before(a: number, b: number): boolean {
    const dueA = this.#dueNs[a] as number;
    const dueB = this.#dueNs[b] as number;
    return dueA === dueB ? (this.#order[a] as number) < (this.#order[b] as number) : dueA < dueB;
  }

  #sink(from: number, row: number): void {
    let at = from;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= this.#heapCount) break;
      if (below + 1 < this.#heapCount && this.#before(this.#heap[below + 1] ?? 0, this.#heap[below] ?? 0)) below++;
      const other = this.#heap[below] ?? 0;
      if (!this.#before(other, row)) break;
      this.#heap[at] = other;
      at = below;
    }
    this.#heap[at] = row;
  }
}
