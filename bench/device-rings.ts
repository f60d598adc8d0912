// What every host in these benches does for the core: it completes SCSI commands at once, and lets time pass. No system calls,
// no copies of data: what remains is the core's own work.

import * as abi from "../host/abi.ts";
import type { Core } from "../host/reactor/core-loader.ts";

/** A load of requests of one size, at random places. */
export interface Load {
  readonly write: boolean;
  readonly depth: number;
  /** Bytes of one request. */
  readonly bytes: number;
  readonly unitBytes: number;
}

/** A front end's side of the rings, with as little code as possible. */
export interface BenchHost {
  /** Requests answered, modulo 2^32. */
  readonly answered: number;
  /** Lets time pass. */
  tick(ns: number): void;
  /** Carries out everything the core has queued. */
  turn(): void;
  /** Saves the state of everything. */
  save(): void;
  /** Goes back to where `save` was called; the core must not have run since. */
  rewind(): void;
}

/** The offset of the request with this number, in requests of the same size. */
export function place(index: number, { unitBytes, bytes }: Load): number {
  return (Math.imul(index, 2_654_435_761) >>> 0) % (unitBytes / bytes);
}

export class DeviceRings {
  readonly core: Core;
  /** Over the core's memory; re-created by whoever grows it. */
  protected words: Int32Array;
  readonly #array: number;
  readonly #completions: number;
  readonly #answered: number;
  readonly #saved = new Int32Array(2);

  constructor(core: Core, unit: number) {
    this.core = core;
    this.words = core.words;
    this.#array = (core.control + abi.CONTROL_ARRAY_QUEUE) >>> 2;
    this.#completions = (core.control + abi.CONTROL_COMPLETION_QUEUE) >>> 2;
    this.#answered = (core.unitTable + unit * abi.UNIT_BYTES + abi.UNIT_ANSWERED) >>> 2;
  }

  get answered(): number {
    return this.words[this.#answered] as number;
  }

  tick(ns: number): void {
    const at = (this.core.control + abi.CONTROL_NOW_NS) >>> 2;
    const low = ((this.words[at] as number) >>> 0) + ns;
    this.words[at] = low | 0;
    if (low >= 4_294_967_296) this.words[at + 1] = (this.words[at + 1] as number) + 1;
  }

  save(): void {
    this.#saved[0] = this.words[this.#array + 2] as number;
    this.#saved[1] = this.words[this.#completions + 3] as number;
  }

  rewind(): void {
    this.words[this.#array + 2] = this.#saved[0] as number;
    this.words[this.#completions + 3] = this.#saved[1] as number;
  }

  complete(tag: number, result: number): void {
    const { words } = this;
    const ring = this.#completions;
    const tail = words[ring + 3] as number;
    const at = ((words[ring] as number) >>> 2) + (tail & ((words[ring + 1] as number) - 1)) * 4;
    words[at] = tag;
    words[at + 1] = result;
    words[at + 2] = words[this.core.control >>> 2] as number;
    words[at + 3] = words[(this.core.control >>> 2) + 1] as number;
    words[ring + 3] = (tail + 1) | 0;
  }

  takeArray(): void {
    const { words } = this;
    const ring = this.#array;
    const mask = (words[ring + 1] as number) - 1;
    const tail = words[ring + 3] as number;
    let head = words[ring + 2] as number;
    for (; head !== tail; head = (head + 1) | 0) {
      const at = ((words[ring] as number) >>> 2) + (head & mask) * 8;
      const slot = (words[at + 3] as number) >>> 0;
      // Status and sense length share a word with CDB length and direction, which stay.
      words[(slot + abi.COMMAND_CDB_BYTES) >>> 2] = (words[(slot + abi.COMMAND_CDB_BYTES) >>> 2] as number) & 0xffff;
      words[(slot + abi.COMMAND_HOST_STATUS) >>> 2] = 0;
      words[(slot + abi.COMMAND_RESIDUAL) >>> 2] = 0;
      this.complete(words[at + 1] as number, 0);
    }
    words[ring + 2] = head;
  }
}
