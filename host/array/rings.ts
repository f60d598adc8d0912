// The array's side of the rings in a core's memory: submissions to take, completions to post, and the clock.
//
// Nothing is allocated: numbers stay small integers, and the time is kept where it cannot become an object.

import {
  COMPLETION_BYTES,
  COMPLETION_RESULT,
  COMPLETION_TAG,
  COMPLETION_TIME_NS,
  CONTROL_ARRAY_QUEUE,
  CONTROL_COMPLETION_QUEUE,
  CONTROL_NOW_NS,
  RING_BASE,
  RING_CAPACITY,
  RING_HEAD,
  RING_TAIL,
} from "../abi.ts";
import { TIME_NOW } from "./times.ts";

const TWO_32 = 4294967296;

export class Rings {
  readonly words: Int32Array;
  readonly #control: number;

  /** @param controlBlock address of the core's control block, a multiple of 4 */
  constructor(words: Int32Array, controlBlock: number) {
    this.words = words;
    this.#control = controlBlock >>> 2;
  }

  #word(offset: number): number {
    return this.words[this.#control + (offset >>> 2)] ?? 0;
  }

  #put(offset: number, value: number): void {
    this.words[this.#control + (offset >>> 2)] = value;
  }

  /** Capacity for completions when none waits. */
  get completions(): number {
    return this.#word(CONTROL_COMPLETION_QUEUE + RING_CAPACITY);
  }

  /** Whether a submission waits. */
  get waiting(): boolean {
    return this.head !== this.tail;
  }

  /** Whether a completion can be posted. */
  get room(): boolean {
    const used =
      (this.#word(CONTROL_COMPLETION_QUEUE + RING_TAIL) - this.#word(CONTROL_COMPLETION_QUEUE + RING_HEAD)) | 0;
    return used < this.completions;
  }

  // ---- Submissions: entries from `head` to `tail`, wrapped by `mask` ----

  /** Word index of the first entry. */
  get entries(): number {
    return this.#word(CONTROL_ARRAY_QUEUE + RING_BASE) >>> 2;
  }

  get mask(): number {
    return this.#word(CONTROL_ARRAY_QUEUE + RING_CAPACITY) - 1;
  }

  get tail(): number {
    return this.#word(CONTROL_ARRAY_QUEUE + RING_TAIL);
  }

  get head(): number {
    return this.#word(CONTROL_ARRAY_QUEUE + RING_HEAD);
  }

  set head(head: number) {
    this.#put(CONTROL_ARRAY_QUEUE + RING_HEAD, head);
  }

  // ---- Completions ----

  post(tag: number, result: number): void {
    const { words } = this;
    const tail = this.#word(CONTROL_COMPLETION_QUEUE + RING_TAIL);
    const mask = this.completions - 1;
    const at = (this.#word(CONTROL_COMPLETION_QUEUE + RING_BASE) >>> 2) + (tail & mask) * (COMPLETION_BYTES >>> 2);
    words[at + (COMPLETION_TAG >>> 2)] = tag;
    words[at + (COMPLETION_RESULT >>> 2)] = result;
    words[at + (COMPLETION_TIME_NS >>> 2)] = this.#word(CONTROL_NOW_NS);
    words[at + (COMPLETION_TIME_NS >>> 2) + 1] = this.#word(CONTROL_NOW_NS + 4);
    this.#put(CONTROL_COMPLETION_QUEUE + RING_TAIL, (tail + 1) | 0);
  }

  /** Drops waiting submissions that nobody will take. */
  forgetSubmissions(): void {
    this.head = this.tail;
  }

  /** Drops posted completions that nobody will read. */
  forgetCompletions(): void {
    this.#put(CONTROL_COMPLETION_QUEUE + RING_HEAD, this.#word(CONTROL_COMPLETION_QUEUE + RING_TAIL));
  }

  // ---- The clock in the control block ----

  /** Sets `times[TIME_NOW]`, ns. */
  readClock(times: Float64Array): void {
    times[TIME_NOW] = (this.#word(CONTROL_NOW_NS + 4) >>> 0) * TWO_32 + (this.#word(CONTROL_NOW_NS) >>> 0);
  }

  setTime(nowNs: number): void {
    this.#put(CONTROL_NOW_NS, (nowNs % TWO_32) | 0);
    this.#put(CONTROL_NOW_NS + 4, Math.floor(nowNs / TWO_32) | 0);
  }
}
