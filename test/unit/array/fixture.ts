// Shared by the tests of the emulated array: CDBs, and a small core at the other side of the rings.

import {
  COMMAND_BUFFER,
  COMMAND_BUFFER_BYTES,
  COMMAND_CDB_BYTES,
  COMMAND_DIRECTION,
  COMMAND_HOST_STATUS,
  COMMAND_RESIDUAL,
  COMMAND_SENSE,
  COMMAND_SENSE_BYTES,
  COMMAND_STATUS,
  COMMAND_TIMEOUT_MS,
  COMPLETION_BYTES,
  CONTROL_ARRAY_QUEUE,
  CONTROL_COMPLETION_QUEUE,
  CONTROL_NOW_NS,
  DIRECTION_IN,
  DIRECTION_NONE,
  DIRECTION_OUT,
  OP_RESET,
  OP_SCSI,
  RING_BASE,
  RING_CAPACITY,
  RING_HEAD,
  RING_TAIL,
  SUBMISSION_ADDRESS,
  SUBMISSION_BYTES,
  SUBMISSION_HANDLE,
  SUBMISSION_LENGTH,
  SUBMISSION_OP,
  SUBMISSION_TAG,
} from "../../../host/abi.ts";
import { EmulatedArray, type CommandResult } from "../../../host/array/array.ts";

export const STATUS_GOOD = 0;
export const CHECK_CONDITION = 2;
export const BUSY = 8;
export const RESERVATION_CONFLICT = 0x18;
export const TASK_SET_FULL = 0x28;

export function cdb(...bytes: number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

function be(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** (bytes - 1 - i)) % 256);
}

export const cdbs = {
  testUnitReady: cdb(0, 0, 0, 0, 0, 0),
  inquiry: (page = -1, allocation = 512) => cdb(0x12, page < 0 ? 0 : 1, Math.max(page, 0), ...be(allocation, 2), 0),
  reportLuns: (allocation = 4096, select = 0) => cdb(0xa0, 0, select, 0, 0, 0, ...be(allocation, 4), 0, 0),
  requestSense: (descriptor = 0) => cdb(3, descriptor, 0, 0, 252, 0),
  read10: (lba: number, blocks: number) => cdb(0x28, 0, ...be(lba, 4), 0, ...be(blocks, 2), 0),
  write10: (lba: number, blocks: number) => cdb(0x2a, 0, ...be(lba, 4), 0, ...be(blocks, 2), 0),
  read16: (lba: number, blocks: number, flags = 0) => cdb(0x88, flags, ...be(lba, 8), ...be(blocks, 4), 0, 0),
  write16: (lba: number, blocks: number, flags = 0) => cdb(0x8a, flags, ...be(lba, 8), ...be(blocks, 4), 0, 0),
  synchronize10: (lba = 0, blocks = 0) => cdb(0x35, 0, ...be(lba, 4), 0, ...be(blocks, 2), 0),
  synchronize16: (lba = 0, blocks = 0) => cdb(0x91, 0, ...be(lba, 8), ...be(blocks, 4), 0, 0),
  unmap: (bytes: number) => cdb(0x42, 0, 0, 0, 0, 0, 0, ...be(bytes, 2), 0),
  writeSame10: (lba: number, blocks: number, flags = 0) => cdb(0x41, flags, ...be(lba, 4), 0, ...be(blocks, 2), 0),
  writeSame16: (lba: number, blocks: number, flags = 0) => cdb(0x93, flags, ...be(lba, 8), ...be(blocks, 4), 0, 0),
  compareAndWrite: (lba: number, blocks: number) => cdb(0x89, 0, ...be(lba, 8), 0, 0, 0, blocks, 0, 0),
  readCapacity10: cdb(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  readCapacity16: cdb(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0),
  lbaStatus: (lba: number, allocation = 4096) => cdb(0x9e, 0x12, ...be(lba, 8), ...be(allocation, 4), 0, 0),
  modeSense6: (page: number, flags = 0) => cdb(0x1a, flags, page, 0, 255, 0),
  modeSense10: (page: number, flags = 0) => cdb(0x5a, flags, page, 0, 0, 0, 0, 1, 0, 0),
  reportGroups: cdb(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0),
  setGroups: (bytes: number) => cdb(0xa4, 0x0a, 0, 0, 0, 0, ...be(bytes, 4), 0, 0),
  reserveIn: (action: number) => cdb(0x5e, action, 0, 0, 0, 0, 0, 1, 0, 0),
  reserveOut: (action: number, type = 0) => cdb(0x5f, action, type, 0, 0, 0, 0, 0, 24, 0),
};

/** `[key, asc, ascq]` of fixed or descriptor sense; zeroes when there is none. */
export function sense(result: { readonly sense: Uint8Array }): [number, number, number] {
  const { sense: bytes } = result;
  if (bytes.length === 0) return [0, 0, 0];
  const descriptor = ((bytes[0] ?? 0) & 0x7f) >= 0x72;
  return descriptor
    ? [(bytes[1] ?? 0) & 15, bytes[2] ?? 0, bytes[3] ?? 0]
    : [(bytes[2] ?? 0) & 15, bytes[12] ?? 0, bytes[13] ?? 0];
}

export function pattern(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + seed * 97 + (i >>> 8)) & 0xff);
}

/** An array without power-on attentions, for tests that are not about them. */
export function quietArray(...args: ConstructorParameters<typeof EmulatedArray>): EmulatedArray {
  return new EmulatedArray(args[0], { ...args[1], powerOnAttention: false });
}

const CONTROL = 64;
const SUBMISSIONS = 4096;
const COMPLETIONS = 65_536;
const SLOTS = 131_072;
const BUFFERS = 262_144;
const SLOT_BYTES = 256;
const BUFFER_BYTES = 65_536;
const ENTRIES = 64;

/** A completion as the test sees it. */
export interface Finished extends CommandResult {
  readonly tag: number;
  readonly result: number;
}

/** The core's side of the rings: 64 slots with 64 KiB buffers, and a clock that the test sets. */
export class RingSide {
  readonly array: EmulatedArray;
  readonly memory = new Uint8Array(BUFFERS + ENTRIES * BUFFER_BYTES);
  readonly #view = new DataView(this.memory.buffer);
  #nowMs = 1000;

  constructor(array: EmulatedArray, completions = ENTRIES, former: "forgotten" | "under-way" = "forgotten", host = 0) {
    this.array = array;
    const ring = (at: number, base: number, capacity: number): void => {
      this.#view.setUint32(CONTROL + at + RING_BASE, base, true);
      this.#view.setUint32(CONTROL + at + RING_CAPACITY, capacity, true);
    };
    ring(CONTROL_ARRAY_QUEUE, SUBMISSIONS, ENTRIES);
    ring(CONTROL_COMPLETION_QUEUE, COMPLETIONS, completions);
    this.at(this.#nowMs);
    array.attach(this.memory, CONTROL, former, host);
  }

  /** Sets the clock, ms. */
  at(nowMs: number): this {
    this.#nowMs = nowMs;
    this.#view.setBigUint64(CONTROL + CONTROL_NOW_NS, BigInt(Math.round(nowMs * 1e6)), true);
    return this;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** When the array needs its next turn, ms; Infinity when it does not. */
  get deadlineMs(): number {
    return this.array.deadlineNs / 1e6;
  }

  buffer(slot: number): Uint8Array {
    return this.memory.subarray(BUFFERS + slot * BUFFER_BYTES, BUFFERS + (slot + 1) * BUFFER_BYTES);
  }

  /** Submits a command in a slot; the slot's number is the tag. */
  submit(
    slot: number,
    port: number,
    command: Uint8Array,
    data: Uint8Array | number | null = null,
    timeoutMs = 0,
  ): this {
    const at = SLOTS + slot * SLOT_BYTES;
    const bytes = typeof data === "number" ? data : (data?.length ?? 0);
    this.memory.fill(0xee, at, at + 136);
    this.memory.set(command, at);
    this.memory[at + COMMAND_CDB_BYTES] = command.length;
    this.memory[at + COMMAND_DIRECTION] =
      data === null ? DIRECTION_NONE : typeof data === "number" ? DIRECTION_IN : DIRECTION_OUT;
    this.#view.setUint32(at + COMMAND_BUFFER, data === null ? 0 : BUFFERS + slot * BUFFER_BYTES, true);
    this.#view.setUint32(at + COMMAND_BUFFER_BYTES, bytes, true);
    this.#view.setUint32(at + COMMAND_TIMEOUT_MS, timeoutMs, true);
    if (typeof data === "object" && data !== null) this.buffer(slot).set(data);
    return this.#push(OP_SCSI, slot, port, at, 0);
  }

  reset(tag: number, port: number, scope: number): this {
    return this.#push(OP_RESET, tag, port, 0, scope);
  }

  /** Submits an entry that may be invalid. */
  raw(op: number, tag: number, handle: number, address: number): this {
    return this.#push(op, tag, handle, address, 0);
  }

  /** One turn of the array; returns the commands that it completed. */
  turn(): Finished[] {
    this.array.turn();
    return this.completions();
  }

  completions(): Finished[] {
    const at = CONTROL + CONTROL_COMPLETION_QUEUE;
    const finished: Finished[] = [];
    let head = this.#view.getUint32(at + RING_HEAD, true);
    const capacity = this.#view.getUint32(at + RING_CAPACITY, true);
    while (head !== this.#view.getUint32(at + RING_TAIL, true)) {
      const entry = COMPLETIONS + (head & (capacity - 1)) * COMPLETION_BYTES;
      finished.push(this.#finished(this.#view.getUint32(entry, true), this.#view.getInt32(entry + 4, true)));
      head = (head + 1) >>> 0;
    }
    this.#view.setUint32(at + RING_HEAD, head, true);
    return finished;
  }

  #push(op: number, tag: number, handle: number, address: number, length: number): this {
    const at = CONTROL + CONTROL_ARRAY_QUEUE;
    const tail = this.#view.getUint32(at + RING_TAIL, true);
    const entry = SUBMISSIONS + (tail & (ENTRIES - 1)) * SUBMISSION_BYTES;
    this.memory[entry + SUBMISSION_OP] = op;
    this.#view.setUint32(entry + SUBMISSION_TAG, tag, true);
    this.#view.setUint32(entry + SUBMISSION_HANDLE, handle, true);
    this.#view.setUint32(entry + SUBMISSION_ADDRESS, address, true);
    this.#view.setUint32(entry + SUBMISSION_LENGTH, length, true);
    this.#view.setUint32(at + RING_TAIL, (tail + 1) >>> 0, true);
    return this;
  }

  #finished(tag: number, result: number): Finished {
    const at = SLOTS + (tag % ENTRIES) * SLOT_BYTES;
    const senseBytes = this.memory[at + COMMAND_SENSE_BYTES] ?? 0;
    return {
      tag,
      result,
      status: this.memory[at + COMMAND_STATUS] ?? 0,
      hostStatus: this.#view.getUint16(at + COMMAND_HOST_STATUS, true),
      sense: this.memory.slice(at + COMMAND_SENSE, at + COMMAND_SENSE + senseBytes),
      residual: this.#view.getInt32(at + COMMAND_RESIDUAL, true),
      data: this.buffer(tag % ENTRIES).slice(0, this.#view.getUint32(at + COMMAND_BUFFER_BYTES, true)),
    };
  }
}

/** The first block, read through another port. */
export function readBack(rings: RingSide, port = 1): Uint8Array {
  return rings.array.command(port, cdbs.read16(0, 1), 512).data;
}
