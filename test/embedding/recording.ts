// A recording of the core's calls, as host/embedding/c/replay.c plays them: what the host wrote into the core's memory before
// each call, the call, its answer, and a digest of what the host may read after it.
//
// What the host may write is known: the control block, completions, what a completed command or RECV has filled, entries of
// the block door and the data they name, the scratch area of calls that read it. So nothing has to be compared, and nothing
// that a host should not do is recorded: a replay then differs.

import * as abi from "../../host/abi.ts";
import type { ReplayRow } from "../../host/embedding/glue.ts";

const VERSION = 1;
/** Calls between two digests of all records. */
const TABLES_EVERY = 64;
const GOLDEN = 0x9e3779b1 | 0;
/** Data that repeats itself is recorded once: patterns of tests and worlds. */
const PERIODS = [4, 64, 512];
/** What was written before is put aside when it is so much. */
const CHUNK_BYTES = 8 << 20;
/** Calls that read the scratch area: which argument says how many bytes of it. */
const SCRATCH_ARGUMENT: Readonly<Record<string, number>> = { unitIdentity: 1, connectionAdd: 3, outcome: 3 };

type Values = readonly (number | bigint)[];
type Answer = number | bigint | undefined;
type Call = (...values: Values) => Answer;
type Exports = Readonly<Record<string, Call>> & { readonly memory: WebAssembly.Memory };

/** The beginning of a file of recordings. */
export function recordingHeader(rows: readonly ReplayRow[]): Buffer {
  const header = Buffer.alloc(16);
  header.write("PMREPLAY", "latin1");
  header.writeUInt32LE(VERSION, 8);
  header.writeUInt32LE(rows.length, 12);
  return header;
}

/** Bytes that grow. */
class Writer {
  readonly #done: Buffer[] = [];
  #bytes = Buffer.allocUnsafe(1 << 16);
  #end = 0;

  #room(count: number): number {
    const at = this.#end;
    this.#end += count;
    if (this.#end > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#end));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }

  /** Nothing before this is patched any more. */
  mark(): void {
    if (this.#end < CHUNK_BYTES) return;
    this.#done.push(Buffer.from(this.#bytes.subarray(0, this.#end)));
    this.#end = 0;
  }

  /** Answers where it stands, for `patchByte`. */
  byte(value: number): number {
    const at = this.#room(1);
    this.#bytes[at] = value;
    return at;
  }

  /** Answers where it stands, for `patchWord`. */
  word(value: number): number {
    const at = this.#room(4);
    this.#bytes.writeUInt32LE(value >>> 0, at);
    return at;
  }

  patchByte(at: number, value: number): void {
    this.#bytes[at] = value;
  }

  patchWord(at: number, value: number): void {
    this.#bytes.writeUInt32LE(value, at);
  }

  long(value: bigint): void {
    const at = this.#room(8);
    this.#bytes.writeBigUInt64LE(value, at);
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  take(): Buffer[] {
    return [...this.#done.splice(0), this.#bytes.subarray(0, this.#end)];
  }
}

interface Fetch {
  readonly address: number;
  readonly length: number;
}

interface Pending {
  readonly op: number;
  readonly address: number;
}

/** Where a core's assertion stands that has ended it. */
export interface Place {
  line: number;
  column: number;
}

/** The letters of the records. */
const [INSTANCE = 0, CALL = 0, ABORTED = 0, TABLES = 0, END = 0] = Buffer.from("ICXFE", "latin1");

/** One instance, recorded. Its `exports` stand for the instance's own. */
export class Recording {
  readonly exports: Exports;
  readonly #core: Exports;
  readonly #out = new Writer();
  readonly #place: Place;
  readonly #control: number;
  /** The control block as it was after the last call. */
  readonly #known = Buffer.alloc(abi.CONTROL_BYTES);
  readonly #pending = new Map<number, Pending>();
  readonly #fetches = new Map<number, Fetch>();
  readonly #seen = new Map<number, number>();
  #bytes = Buffer.alloc(0);
  #words = new Int32Array(0);
  #buffer: ArrayBufferLike | undefined;
  #sum = 0;
  #writes = 0;
  #calls = 0;
  #units = 0;
  #paths = 0;
  #over = false;

  constructor(core: Exports, rows: readonly ReplayRow[], place: Place) {
    this.#core = core;
    this.#place = place;
    this.#control = Number(core["controlBlock"]?.()) >>> 0;
    this.#look();
    this.#out.byte(INSTANCE);
    const wrapped = rows.flatMap((row, number): [string, Call][] => {
      const call = core[row.name];
      return call === undefined ? [] : [[row.name, (...values) => this.#record(number, row, call, values)]];
    });
    this.exports = { ...core, ...Object.fromEntries(wrapped) } as unknown as Exports;
  }

  /** Its bytes; it records nothing any more. */
  finish(): Buffer[] {
    this.#out.byte(END);
    this.#out.word(this.#over ? 0 : this.#tables());
    this.#over = true;
    return this.#out.take();
  }

  /** The memory may have grown. */
  #look(): void {
    const { buffer } = this.#core.memory;
    if (buffer === this.#buffer) return;
    this.#buffer = buffer;
    this.#bytes = Buffer.from(buffer);
    this.#words = new Int32Array(buffer);
  }

  #u32(address: number): number {
    return this.#bytes.readUInt32LE(address);
  }

  #record(number: number, row: ReplayRow, call: Call, values: Values): Answer {
    if (this.#over) return call(...values);
    const out = this.#out;
    this.#look();
    out.mark();
    const kind = out.byte(CALL);
    out.byte(number);
    for (const [at, letter] of Array.from(row.kinds.slice(0, -1)).entries()) {
      const value = values[at] ?? 0;
      out.long(letter === "d" ? BigInt.asUintN(64, BigInt(value)) : BigInt(Number(value) >>> 0));
    }
    const count = out.word(0);
    this.#writes = 0;
    this.#hostWrites(row.name, values);
    out.patchWord(count, this.#writes);
    const answer = this.#call(kind, call, values);
    if (row.name === "init") [this.#units, this.#paths] = [Number(values[4]), Number(values[5])];
    this.#look();
    const isLong = row.kinds.endsWith("d");
    out.long(isLong ? BigInt.asUintN(64, BigInt(answer ?? 0)) : BigInt(Number(answer ?? 0) >>> 0));
    out.word(this.#digest());
    this.#bytes.copy(this.#known, 0, this.#control, this.#control + abi.CONTROL_BYTES);
    if (++this.#calls % TABLES_EVERY === 0) {
      out.byte(TABLES);
      out.word(this.#tables());
    }
    return answer;
  }

  #call(kind: number, call: Call, values: Values): Answer {
    this.#place.line = this.#place.column = 0;
    try {
      return call(...values);
    } catch (error) {
      this.#out.patchByte(kind, ABORTED);
      this.#out.word(this.#place.line);
      this.#out.word(this.#place.column);
      this.#over = true;
      throw error;
    }
  }

  // ---- What the host has written -----------------------------------------------------------------------------------

  #write(address: number, bytes: number): void {
    if (bytes === 0) return;
    const data = this.#bytes.subarray(address, address + bytes);
    const period = PERIODS.find((one) => one < bytes && data.subarray(one).equals(data.subarray(0, bytes - one)));
    this.#out.word(address);
    this.#out.word(bytes);
    this.#out.word(period ?? bytes);
    this.#out.bytes(data.subarray(0, period ?? bytes));
    this.#writes++;
  }

  #hostWrites(name: string, values: Values): void {
    this.#fresh(abi.CONTROL_COMPLETION_QUEUE, abi.COMPLETION_BYTES, (entry) => this.#completed(entry));
    this.#fresh(abi.CONTROL_BLOCK_ENTRIES, abi.BLOCK_ENTRY_BYTES, (entry) => this.#entered(entry));
    for (let at = 0; at < abi.CONTROL_BYTES; at += 4) {
      const value = this.#u32(this.#control + at);
      if (value !== this.#known.readUInt32LE(at)) this.#write(this.#control + at, 4);
    }
    const argument = SCRATCH_ARGUMENT[name];
    if (argument === undefined || this.#units === 0) return;
    const bytes = Number(values[argument]) >>> 0;
    this.#write(Number(this.#core["scratch"]?.()) >>> 0, Math.min(bytes, abi.SCRATCH_BYTES));
  }

  /** Looks at what has come into a ring since the last look. */
  #fresh(ring: number, entryBytes: number, act: (entry: number) => void): void {
    const at = this.#control + ring;
    const tail = this.#u32(at + abi.RING_TAIL);
    const mask = this.#u32(at + abi.RING_CAPACITY) - 1;
    const base = this.#u32(at + abi.RING_BASE);
    let seen = this.#seen.get(ring) ?? 0;
    for (; seen !== tail; seen = (seen + 1) >>> 0) act(base + (seen & mask) * entryBytes);
    this.#seen.set(ring, seen);
  }

  #completed(entry: number): void {
    this.#write(entry, abi.COMPLETION_BYTES);
    const tag = this.#u32(entry + abi.COMPLETION_TAG);
    const pending = this.#pending.get(tag);
    if (pending === undefined) return;
    this.#pending.delete(tag);
    const { op, address } = pending;
    if (op === abi.OP_RECV) {
      const result = this.#bytes.readInt32LE(entry + abi.COMPLETION_RESULT);
      if (result > 0) this.#write(address, result);
    } else if (op === abi.OP_SCSI) {
      this.#write(address + abi.COMMAND_STATUS, abi.COMMAND_BUFFER - abi.COMMAND_STATUS);
      this.#write(address + abi.COMMAND_RESIDUAL, 4);
      this.#write(address + abi.COMMAND_SENSE, abi.SENSE_BYTES_MAX);
      if (this.#bytes[address + abi.COMMAND_DIRECTION] === abi.DIRECTION_IN) {
        this.#write(this.#u32(address + abi.COMMAND_BUFFER), this.#u32(address + abi.COMMAND_BUFFER_BYTES));
      }
    }
  }

  #entered(entry: number): void {
    this.#write(entry, abi.BLOCK_ENTRY_BYTES);
    const operation = this.#bytes[entry + abi.BLOCK_ENTRY_OPERATION];
    const tag = this.#u32(entry + abi.BLOCK_ENTRY_TAG);
    const buffer = this.#u32(entry + abi.BLOCK_ENTRY_BUFFER);
    const length = this.#u32(entry + abi.BLOCK_ENTRY_LENGTH);
    if (operation === abi.OPERATION_WRITE && buffer !== 0 && buffer + length <= this.#bytes.length) {
      this.#write(buffer, length);
    } else if (operation === abi.BLOCK_FETCHED) {
      const fetch = this.#fetches.get(tag);
      if (fetch !== undefined) this.#write(fetch.address, fetch.length);
      this.#fetches.delete(tag);
    }
  }

  // ---- What the host may read: in the order of replay.c -------------------------------------------------------------

  #add(word: number): void {
    const mixed = Math.imul(this.#sum ^ word, GOLDEN);
    this.#sum = mixed ^ (mixed >>> 15);
  }

  #addBytes(address: number, bytes: number): void {
    if (address + bytes > this.#bytes.length) return this.#add(-1);
    const end = address + (bytes & ~3);
    let sum = this.#sum;
    const words = this.#words;
    const isAligned = (address & 3) === 0;
    for (let at = address; at < end; at += 4) {
      const word = isAligned ? (words[at >>> 2] ?? 0) : this.#bytes.readInt32LE(at);
      const mixed = Math.imul(sum ^ word, GOLDEN);
      sum = mixed ^ (mixed >>> 15);
    }
    this.#sum = sum;
    for (let at = end; at < address + bytes; at++) this.#add(this.#bytes[at] ?? 0);
  }

  #digest(): number {
    this.#sum = 0;
    this.#addBytes(this.#control, abi.CONTROL_BYTES);
    this.#fresh(abi.CONTROL_NATIVE_QUEUE, abi.SUBMISSION_BYTES, (entry) => this.#submitted(entry));
    this.#fresh(abi.CONTROL_ARRAY_QUEUE, abi.SUBMISSION_BYTES, (entry) => this.#submitted(entry));
    this.#fresh(abi.CONTROL_EVENT_QUEUE, abi.EVENT_BYTES, (entry) => this.#addBytes(entry, abi.EVENT_BYTES));
    this.#fresh(abi.CONTROL_BLOCK_COMPLETIONS, abi.BLOCK_COMPLETION_BYTES, (entry) => this.#answered(entry));
    return this.#sum >>> 0;
  }

  #submitted(entry: number): void {
    const op = this.#bytes[entry + abi.SUBMISSION_OP] ?? 0;
    const address = this.#u32(entry + abi.SUBMISSION_ADDRESS);
    this.#pending.set(this.#u32(entry + abi.SUBMISSION_TAG), { op, address });
    this.#addBytes(entry, abi.SUBMISSION_BYTES);
    if (op === abi.OP_SCSI) {
      const buffer = this.#u32(address + abi.COMMAND_BUFFER);
      const bytes = this.#u32(address + abi.COMMAND_BUFFER_BYTES);
      this.#addBytes(address, abi.COMMAND_STATUS);
      for (const word of [buffer, bytes, this.#u32(address + abi.COMMAND_TIMEOUT_MS)]) this.#add(word);
      if (this.#bytes[address + abi.COMMAND_DIRECTION] === abi.DIRECTION_OUT) this.#addBytes(buffer, bytes);
    } else if (op === abi.OP_SEND) {
      const count = this.#u32(entry + abi.SUBMISSION_LENGTH);
      for (let gather = address; gather < address + count * abi.GATHER_BYTES; gather += abi.GATHER_BYTES) {
        this.#addBytes(gather, abi.GATHER_BYTES);
        this.#addBytes(this.#u32(gather + abi.GATHER_ADDRESS), this.#u32(gather + abi.GATHER_LENGTH));
      }
    }
  }

  #answered(entry: number): void {
    const kind = this.#bytes[entry + abi.BLOCK_COMPLETION_KIND];
    const address = this.#u32(entry + abi.BLOCK_COMPLETION_ADDRESS);
    const length = this.#u32(entry + abi.BLOCK_COMPLETION_LENGTH);
    this.#addBytes(entry, abi.BLOCK_COMPLETION_BYTES);
    if (kind === abi.BLOCK_ANSWER) this.#addBytes(address, length);
    else if (kind === abi.BLOCK_FETCH) this.#fetches.set(this.#u32(entry), { address, length });
  }

  #tables(): number {
    if (this.#units === 0) return 0;
    this.#sum = 0;
    this.#addBytes(Number(this.#core["unitTable"]?.()) >>> 0, this.#units * abi.UNIT_BYTES);
    this.#addBytes(Number(this.#core["pathTable"]?.()) >>> 0, this.#paths * abi.PATH_BYTES);
    return this.#sum >>> 0;
  }
}
