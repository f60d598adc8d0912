// Listens to the rings between the core and its host: what was submitted and has not completed, and who owns which memory.
//
// Until a submission completes, the host owns the memory that it points to. So no tag is used twice, no command slot is used
// or changed while the host has it, and memory filled by the device or a socket does not overlap that of anything else in
// progress.

import {
  COMMAND_BUFFER,
  COMMAND_BUFFER_BYTES,
  COMMAND_CDB,
  COMMAND_DIRECTION,
  COMMAND_DRIVER_STATUS,
  COMMAND_HOST_STATUS,
  COMMAND_RESIDUAL,
  COMMAND_SENSE,
  COMMAND_SENSE_BYTES,
  COMMAND_STATUS,
  COMMAND_TIMEOUT_MS,
  COMPLETION_BYTES,
  COMPLETION_RESULT,
  COMPLETION_TAG,
  CONTROL_ARRAY_QUEUE,
  CONTROL_COMPLETION_QUEUE,
  CONTROL_NATIVE_QUEUE,
  CONTROL_NOW_NS,
  DIRECTION_IN,
  DIRECTION_NONE,
  DIRECTION_OUT,
  GATHER_ADDRESS,
  GATHER_BYTES,
  GATHER_LENGTH,
  OP_RECV,
  OP_SCSI,
  OP_SEND,
  RING_BASE,
  RING_CAPACITY,
  RING_TAIL,
  SUBMISSION_ADDRESS,
  SUBMISSION_BYTES,
  SUBMISSION_HANDLE,
  SUBMISSION_LENGTH,
  SUBMISSION_OP,
  SUBMISSION_TAG,
} from "../../host/abi.ts";

/** Number of tags remembered for repeated completions. */
const PAST_MAX = 256;
const INDEX_MASK = 0xfffff;
/** The part of a tag without its generation: the record that it was given to. */
const PLACE_MASK = ~(0xff << 20);
const STATUS_CHECK_CONDITION = 2;
/** Bits of the driver status that are an error: all but DRIVER_SENSE. */
const DRIVER_FAULTS = 0xf7;
const NS_PER_MS = 1e6;
/** What a command sends is looked at if it is no more than this. */
const LIST_BYTES_MAX = 64;
/** READ(10) and READ(16). */
const READS = new Set([0x28, 0x88]);

/** Memory that an operation accesses. */
interface Range {
  readonly from: number;
  readonly to: number;
  /** Data is stored there. */
  readonly fills: boolean;
}

export interface Operation {
  readonly op: number;
  readonly handle: number;
  /** The command slot; 0 for other operations. */
  readonly slot: number;
  /** A checksum over what may not change: CDB, direction and buffer of the slot, and an UNMAP's parameter list. */
  readonly sum: number;
  readonly check: boolean;
  /** Of a SCSI command: its operation code, and when the host ends it. */
  readonly code: number;
  readonly endsNs: number;
  readonly ranges: readonly Range[];
  readonly sentNs: number;
  /** An event has reported that it can no longer change anything. */
  settled: boolean;
}

/** Hears of each operation as it begins and ends. */
export interface Listener {
  sent(operation: Operation): void;
  /** @param answered the device itself has answered a command for I/O, or has read what a check asked for */
  ended(operation: Operation, answered: boolean, nowNs: number): void;
}

/** A finished operation: its tag, and the number of tags that its record had been given until then. */
interface Past {
  readonly tag: number;
  readonly given: number;
}

/** A ring that is listened to. */
interface Heard {
  readonly queue: number;
  readonly bytes: number;
  readonly base: number;
  readonly mask: number;
  tail: number;
}

const NO_RANGES: readonly Range[] = [];
/** Bytes at the start of a slot that the core writes: CDB, its length, the direction. */
const FRONT_BYTES = COMMAND_DIRECTION + 1;

/** The results of one port's commands, as seen by its host. */
export interface PortAccount {
  /** I/O commands in progress. */
  inFlight: number;
  /** Commands that certainly succeeded; and those of which only the core can tell. */
  good: number;
  unverified: number;
  checks: number;
}

export class Tap {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #control: number;
  readonly #commands: number;
  readonly #violation: (text: string) => void;
  readonly #under = new Map<number, Operation>();
  readonly #ports = new Map<number, PortAccount>();
  readonly #native: Heard;
  readonly #array: Heard;
  readonly #completions: Heard;
  /** Number of tags given out so far, by the record that they were given to. */
  readonly #given = new Map<number, number>();
  readonly #past: Past[] = [];
  listener: Listener | undefined;
  /** Operations that have ended since the previous turn. */
  #ended: Operation[] = [];
  #pastAt = 0;

  /** @param commands number of command slots for I/O; those after them are the paths' check slots */
  constructor(memory: Uint8Array, control: number, commands: number, violation: (text: string) => void) {
    this.#bytes = memory;
    this.#view = new DataView(memory.buffer);
    this.#control = control;
    this.#commands = commands;
    this.#violation = violation;
    this.#native = this.#hear(CONTROL_NATIVE_QUEUE, SUBMISSION_BYTES);
    this.#array = this.#hear(CONTROL_ARRAY_QUEUE, SUBMISSION_BYTES);
    this.#completions = this.#hear(CONTROL_COMPLETION_QUEUE, COMPLETION_BYTES);
  }

  #word(offset: number): number {
    return this.#view.getUint32(this.#control + offset, true);
  }

  /** Processes the entries put into a ring since the last check. */
  #each(ring: Heard, act: (entry: number) => void): void {
    const tail = this.#word(ring.queue + RING_TAIL);
    for (; ring.tail !== tail; ring.tail = (ring.tail + 1) >>> 0) {
      act(ring.base + (ring.tail & ring.mask) * ring.bytes);
    }
  }

  #hear(queue: number, bytes: number): Heard {
    const base = this.#word(queue + RING_BASE);
    return { queue, bytes, base, mask: this.#word(queue + RING_CAPACITY) - 1, tail: this.#word(queue + RING_TAIL) };
  }

  account(port: number): PortAccount {
    let account = this.#ports.get(port);
    if (account === undefined) {
      account = { inFlight: 0, good: 0, unverified: 0, checks: 0 };
      this.#ports.set(port, account);
    }
    return account;
  }

  /** Operations of the given kind in progress; of SCSI commands only those for I/O. */
  count(op: number): number {
    let sum = 0;
    for (const operation of this.#under.values()) if (operation.op === op && !operation.check) sum++;
    return sum;
  }

  /** Pages that checks in progress use for their data. */
  get checkPages(): number {
    let sum = 0;
    for (const { check, ranges } of this.#under.values()) if (check && ranges.length > 0) sum++;
    return sum;
  }

  get nowNs(): number {
    return this.#word(CONTROL_NOW_NS) + this.#word(CONTROL_NOW_NS + 4) * 0x1_0000_0000;
  }

  /** I/O commands of a port that are in progress, or that ended (`over`) with the last completions. */
  commandsOf(port: number, over: boolean): Operation[] {
    const all = over ? this.#ended : [...this.#under.values()];
    return all.filter(({ op, handle, check }) => op === OP_SCSI && handle === port && !check);
  }

  /** Whether a completion with this tag would end an operation. */
  expects(tag: number): boolean {
    return this.#under.has(tag);
  }

  /** The last finished operations. */
  get past(): readonly Past[] {
    return this.#past;
  }

  /** Number of tags that this tag's record has been given. */
  given(tag: number): number {
    return this.#given.get(tag & PLACE_MASK) ?? 0;
  }

  /** Records what the core has submitted since the last call. */
  submitted(): void {
    this.#each(this.#native, this.#begin);
    this.#each(this.#array, this.#begin);
  }

  /** Records what the host has completed since the last call; has to be called before the core runs. */
  completed(): void {
    this.#ended = [];
    this.#each(this.#completions, this.#end);
  }

  /** Skips what was put into the completion ring since the last call: completions of nothing. */
  overlook(): void {
    this.#completions.tail = this.#word(CONTROL_COMPLETION_QUEUE + RING_TAIL);
  }

  readonly #begin = (entry: number): void => {
    const view = this.#view;
    const op = view.getUint8(entry + SUBMISSION_OP);
    const tag = view.getUint32(entry + SUBMISSION_TAG, true);
    const handle = view.getUint32(entry + SUBMISSION_HANDLE, true);
    const address = view.getUint32(entry + SUBMISSION_ADDRESS, true);
    const length = view.getUint32(entry + SUBMISSION_LENGTH, true);
    if (this.#under.has(tag)) this.#violation(`tag ${tag.toString(16)} is given out while it is under way`);
    this.#given.set(tag & PLACE_MASK, this.given(tag) + 1);
    const scsi = op === OP_SCSI;
    const check = scsi && (tag & INDEX_MASK) >= this.#commands;
    if (scsi) {
      const account = this.account(handle);
      if (check) account.checks++;
      else account.inFlight++;
    }
    const ranges = scsi ? this.#ofSlot(address) : this.#ofSocket(op, address, length);
    const slot = scsi ? address : 0;
    const { nowNs } = this;
    for (const other of this.#under.values()) {
      if (slot !== 0 && other.slot === slot) this.#violation(`command slot ${slot} is sent while the host has it`);
      if (ranges.length > 0 && other.ranges.length > 0 && meet(ranges, other.ranges)) {
        this.#violation(`op ${op} on port or socket ${handle} uses memory of op ${other.op} on ${other.handle}`);
      }
    }
    const operation: Operation = {
      op,
      handle,
      slot,
      sum: scsi ? this.#sum(slot) : 0,
      check,
      code: scsi ? view.getUint8(slot + COMMAND_CDB) : 0,
      endsNs: scsi ? nowNs + view.getUint32(slot + COMMAND_TIMEOUT_MS, true) * NS_PER_MS : 0,
      ranges,
      sentNs: nowNs,
      settled: false,
    };
    this.#under.set(tag, operation);
    this.listener?.sent(operation);
  };

  #sum(slot: number): number {
    let sum = 0;
    for (let at = slot; at < slot + FRONT_BYTES; at++) {
      // The fields that the host writes are after the direction.
      sum = (Math.imul(sum, 31) + (this.#bytes[at] ?? 0)) | 0;
    }
    const from = this.#view.getUint32(slot + COMMAND_BUFFER, true);
    const bytes = this.#view.getUint32(slot + COMMAND_BUFFER_BYTES, true);
    sum = (Math.imul(Math.imul(sum, 31) + from, 31) + bytes) | 0;
    if (bytes > LIST_BYTES_MAX || this.#view.getUint8(slot + COMMAND_DIRECTION) !== DIRECTION_OUT) return sum;
    for (let at = from; at < from + bytes; at++) sum = (Math.imul(sum, 31) + (this.#bytes[at] ?? 0)) | 0;
    return sum;
  }

  #ofSlot(slot: number): readonly Range[] {
    const direction = this.#view.getUint8(slot + COMMAND_DIRECTION);
    if (direction === DIRECTION_NONE) return NO_RANGES;
    const from = this.#view.getUint32(slot + COMMAND_BUFFER, true);
    const bytes = this.#view.getUint32(slot + COMMAND_BUFFER_BYTES, true);
    return [{ from, to: from + bytes, fills: direction === DIRECTION_IN }];
  }

  #ofSocket(op: number, address: number, length: number): readonly Range[] {
    if (op === OP_RECV) return [{ from: address, to: address + length, fills: true }];
    if (op !== OP_SEND) return NO_RANGES;
    return Array.from({ length }, (_, i) => {
      const from = this.#view.getUint32(address + i * GATHER_BYTES + GATHER_ADDRESS, true);
      const bytes = this.#view.getUint32(address + i * GATHER_BYTES + GATHER_LENGTH, true);
      return { from, to: from + bytes, fills: false };
    });
  }

  readonly #end = (entry: number): void => {
    const tag = this.#view.getUint32(entry + COMPLETION_TAG, true);
    const result = this.#view.getInt32(entry + COMPLETION_RESULT, true);
    const operation = this.#under.get(tag);
    if (operation === undefined)
      return this.#violation(`the host completes ${tag.toString(16)}, which nobody waits for`);
    this.#under.delete(tag);
    this.#ended.push(operation);
    this.#past[this.#pastAt++ % PAST_MAX] = { tag, given: this.given(tag) };
    this.listener?.ended(operation, result >= 0 && this.#isAnswered(operation), this.nowNs);
    if (operation.op !== OP_SCSI) return;
    if (this.#sum(operation.slot) !== operation.sum) {
      this.#violation(`command slot ${operation.slot} has changed while the host had it`);
    }
    if (operation.check) return;
    const account = this.account(operation.handle);
    account.inFlight--;
    const verdict = result < 0 ? "bad" : this.#verdict(operation.slot);
    if (verdict === "good") account.good++;
    else if (verdict === "unverified") account.unverified++;
  };

  #isAnswered({ op, slot, check, code }: Operation): boolean {
    if (op !== OP_SCSI) return false;
    if (check) return READS.has(code) && this.#verdict(slot) === "good";
    const view = this.#view;
    const driver = view.getUint16(slot + COMMAND_DRIVER_STATUS, true);
    return view.getUint16(slot + COMMAND_HOST_STATUS, true) === 0 && (driver & DRIVER_FAULTS) === 0;
  }

  /** Whether a command has succeeded. If it transferred less, or was recovered, only the core can tell what that means. */
  #verdict(slot: number): "good" | "bad" | "unverified" {
    const view = this.#view;
    const status = view.getUint8(slot + COMMAND_STATUS);
    if (view.getUint16(slot + COMMAND_HOST_STATUS, true) !== 0) return "bad";
    if (status === STATUS_CHECK_CONDITION) {
      const code = view.getUint8(slot + COMMAND_SENSE) & 0x7f;
      const key = view.getUint8(slot + COMMAND_SENSE + (code >= 0x72 ? 1 : 2)) & 15;
      return view.getUint8(slot + COMMAND_SENSE_BYTES) > 2 && key === 1 ? "unverified" : "bad";
    }
    if (status !== 0 || (view.getUint16(slot + COMMAND_DRIVER_STATUS, true) & DRIVER_FAULTS) !== 0) return "bad";
    return view.getInt32(slot + COMMAND_RESIDUAL, true) === 0 ? "good" : "unverified";
  }
}

/** Whether a range of one operation overlaps a range of the other, and at least one of the two is filled. */
function meet(some: readonly Range[], others: readonly Range[]): boolean {
  for (const one of some) {
    for (const other of others) {
      if ((one.fills || other.fills) && one.from < other.to && other.from < one.to) return true;
    }
  }
  return false;
}
