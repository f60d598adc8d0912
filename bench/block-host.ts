// The host's side of the core's rings for the block door: an embedder that makes a new request as soon as it has an answer.

import * as abi from "../host/abi.ts";
import type { Core } from "../host/reactor/core-loader.ts";
import { type BenchHost, DeviceRings, type Load, place } from "./device-rings.ts";

const ENTRY_WORDS = abi.BLOCK_ENTRY_BYTES / 4;
const COMPLETION_WORDS = abi.BLOCK_COMPLETION_BYTES / 4;

export class BlockHost extends DeviceRings implements BenchHost {
  readonly #load: Load;
  readonly #entries: number;
  readonly #told: number;
  readonly #client: number;
  /** Address of the requests' own buffers; 0: the core lends buffers. */
  readonly #region: number;
  /** Requests made. */
  #made = 0;
  readonly #saved = new Int32Array(3);

  /** @param own whether requests have buffers of their own */
  constructor(core: Core, unit: number, load: Load, own: boolean) {
    super(core, unit);
    const { exports } = core;
    if (exports.blockInit(1, load.depth, own ? load.depth * load.bytes : 0) < 0) throw new Error("no block door");
    this.words = new Int32Array(exports.memory.buffer);
    this.#client = exports.blockOpen(unit, 0);
    this.#region = exports.blockRegion() >>> 0;
    this.#load = load;
    this.#entries = (core.control + abi.CONTROL_BLOCK_ENTRIES) >>> 2;
    this.#told = (core.control + abi.CONTROL_BLOCK_COMPLETIONS) >>> 2;
  }

  turn(): void {
    this.takeArray();
    while (this.#made < this.#load.depth) this.#ask(this.#made);
    this.#take();
  }

  override save(): void {
    super.save();
    this.#saved[0] = this.#made;
    this.#saved[1] = this.words[this.#entries + 3] as number;
    this.#saved[2] = this.words[this.#told + 2] as number;
  }

  override rewind(): void {
    super.rewind();
    this.#made = this.#saved[0] as number;
    this.words[this.#entries + 3] = this.#saved[1] as number;
    this.words[this.#told + 2] = this.#saved[2] as number;
  }

  #take(): void {
    const { words } = this;
    const ring = this.#told;
    const mask = (words[ring + 1] as number) - 1;
    const tail = words[ring + 3] as number;
    let head = words[ring + 2] as number;
    for (; head !== tail; head = (head + 1) | 0) {
      const at = ((words[ring] as number) >>> 2) + (head & mask) * COMPLETION_WORDS;
      const tag = words[at] as number;
      const what = (words[at + 2] as number) & 0xffff;
      if (what === abi.BLOCK_FETCH) this.#entry(abi.BLOCK_FETCHED, tag, 0, 0, 0);
      else {
        if (what >> 8 === abi.BLOCK_LENT) this.#entry(abi.BLOCK_RELEASE, tag, 0, 0, 0);
        this.#ask(tag);
      }
    }
    words[ring + 2] = head;
  }

  #ask(tag: number): void {
    const { write, bytes } = this.#load;
    const buffer = this.#region === 0 ? 0 : this.#region + tag * bytes;
    const offset = place(this.#made++, this.#load) * bytes;
    this.#entry(write ? abi.OPERATION_WRITE : abi.OPERATION_READ, tag, buffer, offset, bytes);
  }

  #entry(operation: number, tag: number, buffer: number, offset: number, bytes: number): void {
    const { words } = this;
    const ring = this.#entries;
    const tail = words[ring + 3] as number;
    const at = ((words[ring] as number) >>> 2) + (tail & ((words[ring + 1] as number) - 1)) * ENTRY_WORDS;
    words[at] = operation;
    words[at + 1] = tag;
    words[at + 2] = this.#client;
    words[at + 3] = buffer;
    words[at + 4] = offset;
    words[at + 5] = 0;
    words[at + 6] = bytes;
    words[at + 7] = 0;
    words[ring + 3] = (tail + 1) | 0;
  }
}
