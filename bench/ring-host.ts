// The host's side of the core's rings for NBD: its sockets are a generator of requests.

import * as abi from "../host/abi.ts";
import type { Core } from "../host/reactor/core-loader.ts";
import { type BenchHost, DeviceRings, type Load, place } from "./device-rings.ts";

const HEADER_BYTES = 28;
const REQUEST_MAGIC = 0x25609513;

/** Counters that `rewind` restores, so that the same work can be done twice. */
const SAVED = 8;

export class RingHost extends DeviceRings implements BenchHost {
  readonly #load: Load;
  readonly #native: number;
  readonly #playArray: boolean;
  /** [0] requests made, [1] bytes left of the current request's payload, [2] RECV armed: tag, [3] address, [4] bytes, [5] 1 when armed. */
  readonly #state = new Int32Array(SAVED);
  readonly #saved = new Int32Array(SAVED + 1);

  /** @param playArray whether SCSI commands are answered here (else an emulated array does) */
  constructor(core: Core, unit: number, load: Load, playArray: boolean) {
    super(core, unit);
    if (core.exports.connectionAdd(0, unit, 0, 0) < 0) throw new Error("the core refused the connection");
    this.#load = load;
    this.#playArray = playArray;
    this.#native = (core.control + abi.CONTROL_NATIVE_QUEUE) >>> 2;
  }

  turn(): void {
    this.#takeNative();
    if (this.#playArray) this.takeArray();
    if (this.#state[5] === 1) this.#receive();
  }

  override save(): void {
    super.save();
    this.#saved.set(this.#state);
    this.#saved[SAVED] = this.words[this.#native + 2] as number;
  }

  override rewind(): void {
    super.rewind();
    for (let i = 0; i < SAVED; i++) this.#state[i] = this.#saved[i] as number;
    this.words[this.#native + 2] = this.#saved[SAVED] as number;
  }

  #takeNative(): void {
    const words = this.words;
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
        this.complete(words[at + 1] as number, bytes);
      } else if (op !== abi.OP_WATCH) this.complete(words[at + 1] as number, 0);
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
    this.complete(state[2] as number, count);
  }

  #header(at: number, index: number): void {
    const { view } = this.core;
    const { write, bytes } = this.#load;
    const offset = place(index, this.#load);
    view.setUint32(at, REQUEST_MAGIC);
    view.setUint32(at + 4, write ? 1 : 0);
    view.setUint32(at + 8, 0);
    view.setUint32(at + 12, index);
    view.setUint32(at + 16, 0);
    view.setUint32(at + 20, offset * bytes);
    view.setUint32(at + 24, bytes);
  }
}
