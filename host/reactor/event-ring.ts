// Drains the core's event ring.

import { CONTROL_EVENT_QUEUE, EVENT_BYTES, RING_BASE, RING_CAPACITY, RING_HEAD, RING_TAIL } from "../abi.ts";
import type { Core } from "./core-loader.ts";

export class EventDrain {
  readonly #core: Core;
  readonly #head: number;
  readonly #tail: number;

  constructor(core: Core) {
    this.#core = core;
    this.#head = (core.control + CONTROL_EVENT_QUEUE + RING_HEAD) >>> 2;
    this.#tail = (core.control + CONTROL_EVENT_QUEUE + RING_TAIL) >>> 2;
  }

  /** True when events wait. */
  get waiting(): boolean {
    const { words } = this.#core;
    return words[this.#head] !== words[this.#tail];
  }

  /** Takes all events: their entries, one after the other. */
  take(): Uint8Array {
    const { bytes, words, view, control } = this.#core;
    const queue = control + CONTROL_EVENT_QUEUE;
    const base = view.getUint32(queue + RING_BASE, true);
    const mask = view.getUint32(queue + RING_CAPACITY, true) - 1;
    const tail = words[this.#tail] ?? 0;
    let head = words[this.#head] ?? 0;
    const entries = new Uint8Array(((tail - head) | 0) * EVENT_BYTES);
    for (let at = 0; head !== tail; at += EVENT_BYTES) {
      const from = base + (head & mask) * EVENT_BYTES;
      entries.set(bytes.subarray(from, from + EVENT_BYTES), at);
      head = (head + 1) | 0;
    }
    words[this.#head] = tail;
    return entries;
  }
}
