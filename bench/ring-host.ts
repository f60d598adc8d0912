// The host's side of the core's rings, played by as little code as will do: sockets that are a generator of NBD requests,
// SCSI commands that are good at once. No system call, no copy of data: what remains is the core's own work.

import * as abi from "../host/abi.ts";
import type { Core } from "../host/reactor/core.ts";

const HEADER_BYTES = 28;
const REQUEST_MAGIC = 0x25609513;

export interface NbdLoad {
  readonly write: boolean;
  readonly depth: number;
  /** Bytes of one request. */
  readonly bytes: number;
  readonly unitBytes: number;
}

/** Counters that `rewind` puts back, so that the same work can be done twice. */
const SAVED = 8;

export class RingHost {
  readonly #core: Core;
  readonly #load: NbdLoad;
  readonly #words: Int32Array;
  readonly #native: number;
  readonly #array: number;
  readonly #completions: number;
  readonly #answered: number;
  readonly #playArray: boolean;
  /** [0] requests made, [1] bytes left of the current request's payload, [2] RECV armed: tag, [3] address, [4] bytes, [5] 1 when armed. */
  readonly #state = new Int32Array(SAVED);
  readonly #saved = new Int32Array(SAVED + 3);

  /** @param playArray whether SCSI commands are answered here (else an emulated array does) */
  constructor(core: Core, unit: number, load: NbdLoad, playArray: boolean) {
    this.#core = core;
    this.#load = load;
    this.#words = core.words;
    this.#playArray = playArray;
    this.#native = (core.control + abi.CONTROL_NATIVE_QUEUE) >>> 2;
    this.#array = (core.control + abi.CONTROL_ARRAY_QUEUE) >>> 2;
    this.#completions = (core.control + abi.CONTROL_COMPLETION_QUEUE) >>> 2;
    this.#answered = (core.unitTable + unit * abi.UNIT_BYTES + abi.UNIT_ANSWERED) >>> 2;
  }

  /** Requests answered, modulo 2^32. */
  get answered(): number {
    return this.#words[this.#answered] as number;
  }

  /** Lets time pass. */
  tick(ns: number): void {
    const at = (this.#core.control + abi.CONTROL_NOW_NS) >>> 2;
    const low = ((this.#words[at] as number) >>> 0) + ns;
    this.#words[at] = low | 0;
    if (low >= 4_294_967_296) this.#words[at + 1] = (this.#words[at + 1] as number) + 1;
  }

  /** Carries out everything the core has queued. */
  turn(): void {
    this.#takeNative();
    if (this.#playArray) this.#takeArray();
    if (this.#state[5] === 1) this.#receive();
  }

  /** Remembers where everything stands. */
  save(): void {
    this.#saved.set(this.#state);
    this.#saved[SAVED] = this.#words[this.#native + 2] as number;
    this.#saved[SAVED + 1] = this.#words[this.#array + 2] as number;
    this.#saved[SAVED + 2] = this.#words[this.#completions + 3] as number;
  }

  /** Goes back to where `save` was called; the core must not have run since. */
  rewind(): void {
    for (let i = 0; i < SAVED; i++) this.#state[i] = this.#saved[i] as number;
    this.#words[this.#native + 2] = this.#saved[SAVED] as number;
    this.#words[this.#array + 2] = this.#saved[SAVED + 1] as number;
    this.#words[this.#completions + 3] = this.#saved[SAVED + 2] as number;
  }

  #complete(tag: number, result: number): void {
    const words = this.#words;
    const ring = this.#completions;
    const tail = words[ring + 3] as number;
    const at = ((words[ring] as number) >>> 2) + (tail & ((words[ring + 1] as number) - 1)) * 4;
    words[at] = tag;
    words[at + 1] = result;
    words[at + 2] = words[this.#core.control >>> 2] as number;
    words[at + 3] = words[(this.#core.control >>> 2) + 1] as number;
    words[ring + 3] = (tail + 1) | 0;
  }

  #takeNative(): void {
    const words = this.#words;
    const ring = this.#native;
    const mask = (words[ring + 1] as number) - 1;
    const tail = words[ring + 3] as number;
    let head = words[ring + 2] as number;
    for (; head !== tail; head = (head + 1) | 0) {
      const at = ((words[ring] as number) >>> 2) + (head & mask) * 8;
      const op = (words[at] as number) & 0xff;
      if (op === abi.OP_RECV) {
        this.#state[2] = words[at + 1] as number;
        this.#state[3] = words[at + 3] as number;
        this.#state[4] = words[at + 4] as number;
        this.#state[5] = 1;
      } else if (op === abi.OP_SEND) {
        let gather = (words[at + 3] as number) >>> 2;
        let bytes = 0;
        for (let left = words[at + 4] as number; left > 0; left--, gather += 2) bytes += words[gather + 1] as number;
        this.#complete(words[at + 1] as number, bytes);
      } else if (op !== abi.OP_WATCH) this.#complete(words[at + 1] as number, 0);
    }
    words[ring + 2] = head;
  }

  #takeArray(): void {
    const words = this.#words;
    const ring = this.#array;
    const mask = (words[ring + 1] as number) - 1;
    const tail = words[ring + 3] as number;
    let head = words[ring + 2] as number;
    for (; head !== tail; head = (head + 1) | 0) {
      const at = ((words[ring] as number) >>> 2) + (head & mask) * 8;
      const slot = (words[at + 3] as number) >>> 0;
      // Status and sense length lie in one word with CDB length and direction, which stay.
      words[(slot + abi.COMMAND_CDB_BYTES) >>> 2] = (words[(slot + abi.COMMAND_CDB_BYTES) >>> 2] as number) & 0xffff;
      words[(slot + abi.COMMAND_HOST_STATUS) >>> 2] = 0;
      words[(slot + abi.COMMAND_RESIDUAL) >>> 2] = 0;
      this.#complete(words[at + 1] as number, 0);
    }
    words[ring + 2] = head;
  }

  /** Fills the armed RECV with as many requests as the client may have in flight. */
  #receive(): void {
    const state = this.#state;
    const { depth, write, bytes } = this.#load;
    let at = state[3] as number;
    const end = at + (state[4] as number);
    let allowed = (this.answered + depth - (state[0] as number)) | 0;
    for (;;) {
      const payload = Math.min(state[1] as number, end - at);
      at += payload;
      state[1] = (state[1] as number) - payload;
      if (state[1] !== 0 || allowed === 0 || end - at < HEADER_BYTES) break;
      this.#header(at, state[0] as number);
      state[0] = ((state[0] as number) + 1) | 0;
      state[1] = write ? bytes : 0;
      at += HEADER_BYTES;
      allowed--;
    }
    const count = at - (state[3] as number);
    if (count === 0) return;
    state[5] = 0;
    this.#complete(state[2] as number, count);
  }

  #header(at: number, index: number): void {
    const { view } = this.#core;
    const { write, bytes, unitBytes } = this.#load;
    const offset = (Math.imul(index, 2_654_435_761) >>> 0) % (unitBytes / bytes);
    view.setUint32(at, REQUEST_MAGIC);
    view.setUint32(at + 4, write ? 1 : 0);
    view.setUint32(at + 8, 0);
    view.setUint32(at + 12, index);
    view.setUint32(at + 16, 0);
    view.setUint32(at + 20, offset * bytes);
    view.setUint32(at + 24, bytes);
  }
}
