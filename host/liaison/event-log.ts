// `spsevent.log`: one line per message, at most 5 MB, then renamed `spsevent.log.old`; one old generation is kept.
//
// No line is lost or torn by a rotation, a full disk, or a process that is killed: what could not be written is kept, up to a limit,
// and written first the next time; beyond the limit lines are counted, and their number is written.

import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { MESSAGES, sentence, type Message } from "./messages.ts";

/** The original's limit. */
const EVENT_LOG_BYTES_MAX = 5_000_000;
/** Kept while the log cannot be written. */
const KEPT_BYTES_MAX = 1_000_000;
const NEWLINE = 0x0a;

/** Source name of our messages. */
export const MESSAGE_SOURCE = "pathmanager";

/** `2026-11-22T16:15:03.120Z pathmanager 258 warning Failover was done: LogicalUnit #0, path 4:0:0:0`. */
export function logLine(message: Message): string {
  const { number, level } = MESSAGES[message.kind];
  return `${new Date(message.timeMs).toISOString()} ${MESSAGE_SOURCE} ${number} ${level} ${sentence(message)}\n`;
}

/** Writes to a descriptor, like fs.writeSync; for tests. */
export type WriteSync = (descriptor: number, bytes: Uint8Array) => number;

/** Whether a file ends within a line: its writer was killed, or the disk was full. */
function isTorn(descriptor: number, size: number): boolean {
  const last = Buffer.alloc(1);
  return size > 0 && readSync(descriptor, last, 0, 1, size - 1) === 1 && last[0] !== NEWLINE;
}

/** Appends to the log. A log that cannot be written is reported once and never stops the daemon. */
export class EventLog {
  readonly #file: string;
  readonly #bytesMax: number;
  readonly #complain: (problem: string) => void;
  readonly #writeSync: WriteSync;
  /** What is still to be written; the first of it may be the rest of a line. */
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #dropped = 0;
  /** The end of the file is the beginning of the first kept line. */
  #isWithinLine = false;
  #broken = false;

  constructor(
    file: string,
    complain: (problem: string) => void,
    bytesMax = EVENT_LOG_BYTES_MAX,
    write: WriteSync = writeSync,
  ) {
    this.#file = file;
    this.#complain = complain;
    this.#bytesMax = bytesMax;
    this.#writeSync = write;
    try {
      mkdirSync(dirname(file), { recursive: true });
    } catch {
      // The first write reports it.
    }
  }

  write(messages: readonly Message[]): void {
    for (const message of messages) this.#keep(logLine(message));
    try {
      this.#append();
      this.#broken = false;
      if (this.#dropped > 0) this.#tellDropped();
    } catch (thrown) {
      if (!this.#broken) {
        this.#complain(
          `cannot write the event log ${this.#file}: ${thrown instanceof Error ? thrown.message : thrown}`,
        );
      }
      this.#broken = true;
    }
  }

  #keep(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#keptBytes + bytes.length > KEPT_BYTES_MAX && this.#broken) {
      this.#dropped++;
      return;
    }
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
  }

  /** What is missing is told at the place where it is missing. */
  #tellDropped(): void {
    const detail = { events: this.#dropped, by: "the event log" };
    this.#dropped = 0;
    this.#keep(logLine({ kind: "events-lost", timeMs: Date.now(), unit: null, path: null, detail }));
    this.#append();
  }

  /** Opens the log to append; its folder may have been deleted since the last line. */
  #open(): number {
    try {
      return openSync(this.#file, "a+", 0o640);
    } catch (thrown) {
      if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT")) throw thrown;
      mkdirSync(dirname(this.#file), { recursive: true });
      return openSync(this.#file, "a+", 0o640);
    }
  }

  /** Writes everything kept, one file's worth at a time. The size is asked of the file, which others may rotate or cut. */
  #append(): void {
    while (this.#kept.length > 0) {
      const descriptor = this.#open();
      let isFull: boolean;
      try {
        const { size } = fstatSync(descriptor);
        const isContinued = this.#isWithinLine && isTorn(descriptor, size);
        if (!isContinued && isTorn(descriptor, size)) this.#writeSync(descriptor, Buffer.from("\n"));
        isFull = !this.#writeInto(descriptor, size, isContinued);
      } finally {
        closeSync(descriptor);
      }
      if (isFull) renameSync(this.#file, `${this.#file}.old`);
    }
  }

  /** Writes what the file has room for; false when it has to be renamed first. */
  #writeInto(descriptor: number, size: number, isContinued: boolean): boolean {
    let bytes = size;
    let count = 0;
    for (const line of this.#kept) {
      const isRest = isContinued && count === 0;
      if (bytes > 0 && !isRest && bytes + line.length > this.#bytesMax) break;
      bytes += line.length;
      count++;
    }
    if (count === 0) return false;
    const text = Buffer.concat(this.#kept.slice(0, count));
    let done = 0;
    try {
      while (done < text.length) done += this.#writeSync(descriptor, text.subarray(done));
    } finally {
      this.#forget(done);
    }
    return true;
  }

  /** So many bytes of what was kept are in the file. */
  #forget(bytes: number): void {
    if (bytes === 0) return;
    this.#keptBytes -= bytes;
    let left = bytes;
    let count = 0;
    for (const line of this.#kept) {
      if (line.length > left) break;
      left -= line.length;
      count++;
    }
    this.#kept.splice(0, count);
    const first = this.#kept[0];
    if (left > 0 && first !== undefined) this.#kept[0] = first.subarray(left);
    this.#isWithinLine = left > 0;
  }
}
