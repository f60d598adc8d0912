// The kernel's side of a TCMU device, and the core's side of the block door, both driven by hand: the ring between them is tested alone.

import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as abi from "../../../host/abi.ts";
import { socketPair } from "../../../host/native/index.ts";
import { Bench, CONTROL, FREE } from "./harness.ts";

const RING_OFFSET = 4096;
const RING_BYTES = 65_536;
const DATA_OFFSET = RING_OFFSET + RING_BYTES;
const DATA_BYTES = 4 << 20;
const MAPPED_BYTES = DATA_OFFSET + DATA_BYTES;
const PAGE = 4096;
const OP_PAD = 0;
const OP_COMMAND = 1;
const OP_TMR = 2;

const ENTRIES = 131_072;
const COMPLETIONS = 196_608;
const TAGS = 256;
const CAPACITY = 512;
export const BLOCK_BYTES = 512;

/** A command as the target answers it. */
export interface Answered {
  readonly id: number;
  readonly status: number;
  /** Key, ASC, ASCQ. */
  readonly sense: readonly number[];
  /** Bytes that were read; null when it is all of them. */
  readonly readBytes: number | null;
}

/** An entry of the door. */
export interface DoorEntry {
  readonly operation: number;
  readonly flags: number;
  readonly tag: number;
  readonly client: number;
  readonly offset: number;
  readonly length: number;
}

export interface FakeOptions {
  readonly blocks?: number;
  readonly readOnly?: boolean;
  readonly unmaps?: boolean;
}

export class FakeTarget {
  readonly bench = new Bench("io_uring");
  readonly device: number;
  readonly folder = mkdtempSync(join(tmpdir(), "tcmu-"));
  readonly #file: number;
  /** The kernel's end of what wakes the handler. */
  readonly peer: number;
  #head = 0;
  #cleaned = 0;
  #data = DATA_OFFSET;
  readonly answered: Answered[] = [];

  constructor({ blocks = 131_072, readOnly = false, unmaps = true }: FakeOptions = {}) {
    const { view } = this.bench;
    for (const [at, base] of [
      [abi.CONTROL_BLOCK_ENTRIES, ENTRIES],
      [abi.CONTROL_BLOCK_COMPLETIONS, COMPLETIONS],
    ] as const) {
      view.setUint32(CONTROL + at + abi.RING_BASE, base, true);
      view.setUint32(CONTROL + at + abi.RING_CAPACITY, CAPACITY, true);
    }
    this.#file = openSync(join(this.folder, "ring"), "w+");
    ftruncateSync(this.#file, MAPPED_BYTES);
    this.put(0, Uint8Array.of(2, 0, 15, 0));
    this.put32(4, RING_OFFSET);
    this.put32(8, RING_BYTES);
    const [ours = -1, theirs = -1] = socketPair("stream", true);
    this.peer = theirs;
    this.device = this.bench.ring.addTcmu({
      events: ours,
      mapped: this.#file,
      bytes: MAPPED_BYTES,
      client: 7,
      tagLimit: TAGS,
      blockBytes: BLOCK_BYTES,
      blocks: BigInt(blocks),
      readOnly,
      unmaps,
    });
  }

  close(): void {
    this.bench.ring.close();
    closeSync(this.#file);
    closeSync(this.peer);
    rmSync(this.folder, { recursive: true });
  }

  put(at: number, bytes: Uint8Array): void {
    writeSync(this.#file, bytes, 0, bytes.length, at);
  }

  put32(at: number, value: number): void {
    this.put(at, new Uint8Array(Uint32Array.of(value).buffer));
  }

  get(at: number, bytes: number): Uint8Array {
    const data = new Uint8Array(bytes);
    readSync(this.#file, data, 0, bytes, at);
    return data;
  }

  get32(at: number): number {
    return new DataView(this.get(at, 4).buffer).getUint32(0, true);
  }

  /** Where a command's data lies: pages that are not neighbours. */
  areas(bytes: number): { at: number; bytes: number }[] {
    const areas: { at: number; bytes: number }[] = [];
    for (let rest = bytes; rest > 0; rest -= PAGE) {
      if (this.#data + 2 * PAGE > MAPPED_BYTES) this.#data = DATA_OFFSET;
      areas.push({ at: this.#data, bytes: Math.min(rest, PAGE) });
      this.#data += 2 * PAGE;
    }
    return areas;
  }

  putData(areas: readonly { readonly at: number; readonly bytes: number }[], data: Uint8Array): void {
    let done = 0;
    for (const { at, bytes } of areas) {
      this.put(at, data.subarray(done, done + bytes));
      done += bytes;
    }
  }

  getData(areas: readonly { readonly at: number; readonly bytes: number }[]): Uint8Array {
    return Uint8Array.from(areas.flatMap(({ at, bytes }) => [...this.get(at, bytes)]));
  }

  #room(bytes: number): void {
    if (this.#head + bytes <= RING_BYTES) return;
    if (this.#head < RING_BYTES) this.put32(RING_OFFSET + this.#head, (RING_BYTES - this.#head) | OP_PAD);
    this.#head = 0;
  }

  /** Whether the ring has room for another command, as the kernel sees it. */
  get hasRoom(): boolean {
    const used = (this.#head - this.#cleaned + RING_BYTES) % RING_BYTES;
    return used < RING_BYTES / 2;
  }

  command(
    id: number,
    cdb: readonly number[],
    areas: readonly { readonly at: number; readonly bytes: number }[] = [],
  ): void {
    const least = Math.max(112, 48 + areas.length * 16);
    const bytes = least + 16;
    this.#room(bytes);
    const at = RING_OFFSET + this.#head;
    const entry = new Uint8Array(bytes);
    const view = new DataView(entry.buffer);
    view.setUint32(0, bytes | OP_COMMAND, true);
    view.setUint16(4, id, true);
    view.setUint32(8, areas.length, true);
    view.setBigUint64(24, BigInt(at + least), true);
    for (const [index, area] of areas.entries()) {
      view.setBigUint64(48 + index * 16, BigInt(area.at), true);
      view.setBigUint64(56 + index * 16, BigInt(area.bytes), true);
    }
    entry.set(cdb, least);
    this.put(at, entry);
    this.#advance(bytes);
  }

  tmr(type: number): void {
    this.#room(32);
    this.put(RING_OFFSET + this.#head, Uint8Array.of(32 | OP_TMR, 0, 0, 0, 0, 0, 0, 0, type));
    this.#advance(32);
  }

  #advance(bytes: number): void {
    this.#head = (this.#head + bytes) % RING_BYTES;
    this.put32(12, this.#head);
  }

  /** As the kernel does for its administrator: everything is forgotten. */
  reset(): void {
    this.#head = 0;
    this.#cleaned = 0;
    this.put32(12, 0);
    this.put32(64, 0);
  }

  /** The kernel tells the ring; it takes a turn, and the kernel takes its answers. */
  turn(): number {
    writeSync(this.peer, new Uint8Array(4));
    const entered = this.bench.ring.enter(0) | this.bench.ring.enter(0);
    this.#clean();
    return entered;
  }

  #clean(): void {
    const tail = this.get32(64);
    while (this.#cleaned !== tail) {
      const at = RING_OFFSET + this.#cleaned;
      const what = this.get32(at);
      if ((what & 7) === OP_COMMAND) {
        const entry = this.get(at, 112);
        const view = new DataView(entry.buffer);
        const hasLength = ((entry[7] ?? 0) & 2) !== 0;
        this.answered.push({
          id: view.getUint16(4, true),
          status: entry[8] ?? 0,
          sense: [entry[18] ?? 0, entry[28] ?? 0, entry[29] ?? 0],
          readBytes: hasLength ? view.getUint32(12, true) : null,
        });
      }
      this.#cleaned = (this.#cleaned + (what & ~7)) % RING_BYTES;
    }
  }

  // ---- The door ----

  entries(): DoorEntry[] {
    const { view } = this.bench;
    const ring = CONTROL + abi.CONTROL_BLOCK_ENTRIES;
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    const taken: DoorEntry[] = [];
    let head = view.getUint32(ring + abi.RING_HEAD, true);
    for (; head !== tail; head++) {
      const at = ENTRIES + (head & (CAPACITY - 1)) * abi.BLOCK_ENTRY_BYTES;
      taken.push({
        operation: view.getUint8(at + abi.BLOCK_ENTRY_OPERATION),
        flags: view.getUint8(at + abi.BLOCK_ENTRY_FLAGS),
        tag: view.getUint32(at + abi.BLOCK_ENTRY_TAG, true),
        client: view.getUint32(at + abi.BLOCK_ENTRY_CLIENT, true),
        offset: Number(view.getBigUint64(at + abi.BLOCK_ENTRY_OFFSET, true)),
        length: Number(view.getBigUint64(at + abi.BLOCK_ENTRY_LENGTH, true)),
      });
    }
    view.setUint32(ring + abi.RING_HEAD, head, true);
    return taken;
  }

  /** The core tells of a request. The buffer is at FREE. */
  tell(
    tag: number,
    kind: number,
    told: { error?: number; lent?: boolean; length?: number; address?: number } = {},
  ): void {
    const { error = 0, lent = false, length = 0 } = told;
    const address = told.address ?? (length > 0 ? FREE : 0);
    const { view } = this.bench;
    const ring = CONTROL + abi.CONTROL_BLOCK_COMPLETIONS;
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    const at = COMPLETIONS + (tail & (CAPACITY - 1)) * abi.BLOCK_COMPLETION_BYTES;
    view.setUint32(at + abi.BLOCK_COMPLETION_TAG, tag, true);
    view.setUint32(at + abi.BLOCK_COMPLETION_ERROR, error, true);
    view.setUint32(at + abi.BLOCK_COMPLETION_KIND, kind | ((lent ? abi.BLOCK_LENT : 0) << 8), true);
    view.setUint32(at + abi.BLOCK_COMPLETION_ADDRESS, address, true);
    view.setUint32(at + abi.BLOCK_COMPLETION_LENGTH, length, true);
    view.setUint32(at + abi.BLOCK_COMPLETION_CLIENT, 7, true);
    view.setUint32(ring + abi.RING_TAIL, (tail + 1) >>> 0, true);
  }

  /** Everything succeeds: answers what the door has until it has nothing more. Returns the entries, releases and FETCHED left out. */
  serve(): DoorEntry[] {
    const all: DoorEntry[] = [];
    const lengths = new Map<number, number>();
    for (;;) {
      this.turn();
      const entries = this.entries();
      if (entries.length === 0) return all;
      for (const entry of entries) {
        const { operation, tag, length } = entry;
        if (operation === abi.BLOCK_RELEASE) continue;
        if (operation === abi.BLOCK_FETCHED) this.tell(tag, abi.BLOCK_ANSWER);
        else {
          all.push(entry);
          lengths.set(tag, length);
          if (operation === abi.OPERATION_READ) this.tell(tag, abi.BLOCK_ANSWER, { lent: true, length });
          else if (operation === abi.OPERATION_WRITE) this.tell(tag, abi.BLOCK_FETCH, { length });
          else this.tell(tag, abi.BLOCK_ANSWER);
        }
      }
    }
  }
}
