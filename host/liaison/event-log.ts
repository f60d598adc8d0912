// `spsevent.log`: one line per message, at most 5 MB, then renamed `spsevent.log.old`; one old generation is kept.

import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { MESSAGES, sentence, type Message } from "./messages.ts";

/** The original's limit. */
const EVENT_LOG_BYTES_MAX = 5_000_000;

/** Source name of our messages. */
export const MESSAGE_SOURCE = "pathmanager";

/** `2026-11-22T16:15:03.120Z pathmanager 258 warning Failover was done: LogicalUnit #0, path 4:0:0:0`. */
export function logLine(message: Message): string {
  const { number, level } = MESSAGES[message.kind];
  const line = `${new Date(message.timeMs).toISOString()} ${MESSAGE_SOURCE} ${number} ${level} ${sentence(message)}`;
  return `${line.replaceAll(/[\r\n]+/g, " ")}\n`;
}

/** Appends to the log. A log that cannot be written is reported once and never stops the daemon. */
export class EventLog {
  readonly #file: string;
  readonly #bytesMax: number;
  readonly #complain: (problem: string) => void;
  #bytes: number;
  #broken = false;

  constructor(file: string, complain: (problem: string) => void, bytesMax = EVENT_LOG_BYTES_MAX) {
    this.#file = file;
    this.#complain = complain;
    this.#bytesMax = bytesMax;
    this.#bytes = 0;
    try {
      mkdirSync(dirname(file), { recursive: true });
      this.#bytes = statSync(file).size;
    } catch {
      // There is no log yet; if it cannot be created, the first write reports that.
    }
  }

  /** The folder may have been deleted since the last line. */
  #append(text: string): void {
    try {
      appendFileSync(this.#file, text, { mode: 0o640 });
    } catch (thrown) {
      if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT")) throw thrown;
      mkdirSync(dirname(this.#file), { recursive: true });
      this.#bytes = 0;
      appendFileSync(this.#file, text, { mode: 0o640 });
    }
  }

  write(messages: readonly Message[]): void {
    const text = messages.map(logLine).join("");
    try {
      if (this.#bytes > 0 && this.#bytes + Buffer.byteLength(text) > this.#bytesMax) {
        renameSync(this.#file, `${this.#file}.old`);
        this.#bytes = 0;
      }
      this.#append(text);
      this.#bytes += Buffer.byteLength(text);
      this.#broken = false;
    } catch (thrown) {
      if (!this.#broken) {
        this.#complain(
          `cannot write the event log ${this.#file}: ${thrown instanceof Error ? thrown.message : thrown}`,
        );
      }
      this.#broken = true;
    }
  }
}
