// A core without a core: memory with the rings of abi.ts in it, driven by hand, so that the native ring is tested alone.

import * as abi from "../../../host/abi.ts";
import { Ring } from "../../../host/native/index.ts";

export const CONTROL = 256;
const SUBMISSIONS = 4096;
const COMPLETIONS = 65536;
/** Where tests may put buffers. */
export const FREE = 262144;
const NEVER = 0xffff_ffff_ffff_ffffn;

export type Backend = "io_uring" | "epoll";
export const BACKENDS: readonly Backend[] = ["io_uring", "epoll"];

export type Completion = { readonly tag: number; readonly result: number; readonly timeNs: bigint };

/** A submission as a test writes it; what is left out is 0. */
export type Submission = {
  readonly op: number;
  readonly tag: number;
  readonly handle?: number;
  readonly flags?: number;
  readonly address?: number;
  readonly length?: number;
};

/** Memory, rings and a native ring over them. */
export class Bench {
  readonly memory: Uint8Array;
  readonly view: DataView;
  readonly ring: Ring;

  constructor(
    backend: Backend,
    {
      bytes = 4 << 20,
      submissions = 1024,
      completions = 1024,
      pollUs = 50,
    }: { bytes?: number; submissions?: number; completions?: number; pollUs?: number } = {},
  ) {
    this.memory = new Uint8Array(bytes);
    this.view = new DataView(this.memory.buffer);
    this.#descriptor(abi.CONTROL_NATIVE_QUEUE, SUBMISSIONS, submissions);
    this.#descriptor(abi.CONTROL_COMPLETION_QUEUE, COMPLETIONS, completions);
    this.deadline(NEVER);
    this.ring = new Ring(this.memory, CONTROL, { backend, pollUs });
  }

  #descriptor(at: number, base: number, capacity: number): void {
    this.view.setUint32(CONTROL + at + abi.RING_BASE, base, true);
    this.view.setUint32(CONTROL + at + abi.RING_CAPACITY, capacity, true);
  }

  /** Sets the core's deadline. */
  deadline(ns: bigint): void {
    this.view.setBigUint64(CONTROL + abi.CONTROL_DEADLINE_NS, ns, true);
  }

  nowNs(): bigint {
    return this.view.getBigUint64(CONTROL + abi.CONTROL_NOW_NS, true);
  }
  waitingNs(): bigint {
    return this.view.getBigUint64(CONTROL + abi.CONTROL_WAITING_NS, true);
  }

  submit({ op, tag, handle = 0, flags = 0, address = 0, length = 0 }: Submission): void {
    this.pushRaw(op, tag, handle, address, length, flags);
  }

  /** As `submit`, without an object: for loops that must not allocate. */
  pushRaw(op: number, tag: number, handle: number, address: number, length: number, flags = 0): void {
    const queue = CONTROL + abi.CONTROL_NATIVE_QUEUE;
    const tail = this.view.getUint32(queue + abi.RING_TAIL, true);
    const capacity = this.view.getUint32(queue + abi.RING_CAPACITY, true);
    const entry = SUBMISSIONS + (tail & (capacity - 1)) * abi.SUBMISSION_BYTES;
    this.view.setUint8(entry + abi.SUBMISSION_OP, op);
    this.view.setUint8(entry + abi.SUBMISSION_FLAGS, flags);
    this.view.setUint32(entry + abi.SUBMISSION_TAG, tag, true);
    this.view.setUint32(entry + abi.SUBMISSION_HANDLE, handle, true);
    this.view.setUint32(entry + abi.SUBMISSION_ADDRESS, address, true);
    this.view.setUint32(entry + abi.SUBMISSION_LENGTH, length, true);
    this.view.setUint32(queue + abi.RING_TAIL, (tail + 1) >>> 0, true);
  }

  recv(handle: number, tag: number, address: number, length: number, flags = 0): void {
    this.submit({ op: abi.OP_RECV, tag, handle, flags, address, length });
  }

  /** Queues a SEND of the given [address, length] entries; the gather table is written to `table`. */
  send(handle: number, tag: number, table: number, entries: readonly (readonly [number, number])[], flags = 0): void {
    for (const [index, [address, length]] of entries.entries()) {
      this.view.setUint32(table + index * abi.GATHER_BYTES + abi.GATHER_ADDRESS, address, true);
      this.view.setUint32(table + index * abi.GATHER_BYTES + abi.GATHER_LENGTH, length, true);
    }
    this.submit({ op: abi.OP_SEND, tag, handle, flags, address: table, length: entries.length });
  }

  /** Takes the completions there are. */
  completions(): Completion[] {
    const queue = CONTROL + abi.CONTROL_COMPLETION_QUEUE;
    const taken: Completion[] = [];
    const tail = this.view.getUint32(queue + abi.RING_TAIL, true);
    const capacity = this.view.getUint32(queue + abi.RING_CAPACITY, true);
    let head = this.view.getUint32(queue + abi.RING_HEAD, true);
    for (; head !== tail; head = (head + 1) >>> 0) {
      const entry = COMPLETIONS + (head & (capacity - 1)) * abi.COMPLETION_BYTES;
      taken.push({
        tag: this.view.getUint32(entry + abi.COMPLETION_TAG, true),
        result: this.view.getInt32(entry + abi.COMPLETION_RESULT, true),
        timeNs: this.view.getBigUint64(entry + abi.COMPLETION_TIME_NS, true),
      });
    }
    this.view.setUint32(queue + abi.RING_HEAD, head, true);
    return taken;
  }

  /** Takes the completions there are without looking at them; answers how many. */
  dropCompletions(): number {
    const queue = CONTROL + abi.CONTROL_COMPLETION_QUEUE;
    const tail = this.view.getUint32(queue + abi.RING_TAIL, true);
    const count = (tail - this.view.getUint32(queue + abi.RING_HEAD, true)) >>> 0;
    this.view.setUint32(queue + abi.RING_HEAD, tail, true);
    return count;
  }

  /** Turns until `count` completions have come; throws when a turn of 10 s brings none. */
  until(count: number): Completion[] {
    const all: Completion[] = [];
    while (all.length < count) {
      this.ring.enter(10_000_000);
      const taken = this.completions();
      if (taken.length === 0) throw new Error(`no completion within 10 s; ${all.length} of ${count} came`);
      all.push(...taken);
    }
    return all;
  }

  /** Results by tag, for tests that do not care about the order. */
  results(count: number): Map<number, number> {
    return new Map(this.until(count).map(({ tag, result }) => [tag, result]));
  }
}

/** The negated errno numbers that results carry. */
export const EBADF = -9;
export const EALREADY = -114;
export const EFAULT = -14;
export const ENODEV = -19;
export const ENOTTY = -25;
export const EINVAL = -22;
export const ERANGE = -34;
export const EPIPE = -32;
export const ECONNRESET = -104;
