// Reads `spsevent.log` and its old generation, without the daemon.

import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";

import { isAtLeast, LEVELS, type Level } from "../../liaison/catalogue/message-kind.ts";
import { clean } from "../../liaison/clean.ts";
import { CommandError } from "../api-client.ts";

/** One line, taken apart. */
export interface LogLine {
  readonly timeMs: number;
  readonly message: number;
  readonly level: Level;
  readonly unit: number | null;
  readonly path: string | null;
  readonly text: string;
  /** The whole line, safe to print. */
  readonly line: string;
}

/** Which lines are wanted. `level` is the least. */
export interface LineFilter {
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly level?: Level | undefined;
  readonly unit?: number | undefined;
  readonly path?: string | undefined;
}

const LINE = /^(\d{4}-\d\d-\d\dT[\d:.]+Z) \S+ (\d+) (info|warning|error) (.*)$/;

/** Null for a line that is torn or not ours. */
function parseLine(raw: string): LogLine | null {
  const line = clean(raw);
  const [, time, number, level, text = ""] = LINE.exec(line) ?? [];
  const timeMs = Date.parse(time ?? "");
  if (!Number.isFinite(timeMs)) return null;
  const unit = /: LogicalUnit #(\d+)/.exec(text)?.[1];
  const path = /(?:: |, )path (\d+:\d+:\d+:\d+)/.exec(text)?.[1] ?? null;
  const known = LEVELS.find((candidate) => candidate === level) ?? "info";
  return {
    timeMs,
    message: Number(number),
    level: known,
    unit: unit === undefined ? null : Number(unit),
    path,
    text,
    line,
  };
}

const isWanted = (found: LogLine, { fromMs, untilMs, level, unit, path }: LineFilter): boolean =>
  (fromMs === undefined || found.timeMs >= fromMs) &&
  (untilMs === undefined || found.timeMs <= untilMs) &&
  (level === undefined || isAtLeast(found.level, level)) &&
  (unit === undefined || found.unit === unit) &&
  (path === undefined || found.path === path);

const isAbsent = (thrown: unknown): boolean => (thrown as NodeJS.ErrnoException).code === "ENOENT";

/** Both generations, oldest line first. */
export function readLog(file: string): string {
  const parts = [`${file}.old`, file].map((name) => {
    try {
      return readFileSync(name, "utf8");
    } catch (thrown) {
      if (isAbsent(thrown)) return null;
      const { code } = thrown as NodeJS.ErrnoException;
      throw new CommandError("LOG", `cannot read ${name} (${code ?? String(thrown)})`, {
        parameter: name,
        remedy: "be root or a member of the group of the log's folder, or name another file with --file",
      });
    }
  });
  if (parts.every((part) => part === null)) {
    throw new CommandError("LOG", `there is no log ${file}`, {
      parameter: file,
      remedy: "name it with --file, or the daemon's configuration with --config",
    });
  }
  return parts.join("");
}

/** The wanted lines of both generations. */
export function linesOf(text: string, filter: LineFilter): LogLine[] {
  return text
    .split("\n")
    .map(parseLine)
    .filter((line) => line !== null)
    .filter((line) => isWanted(line, filter));
}

const POLL_MS = 200;
const CHUNK_BYTES = 65_536;

/** Reads what is new at a file's end, also across its renaming. */
export class Tail {
  readonly #file: string;
  #descriptor: number | null = null;
  #offset = 0;
  #rest = "";
  #decoder = new TextDecoder();

  /** @param fromEnd begin at the end of what there is now */
  constructor(file: string, fromEnd = true) {
    this.#file = file;
    if (this.#open() && fromEnd && this.#descriptor !== null) this.#offset = fstatSync(this.#descriptor).size;
  }

  #open(): boolean {
    try {
      this.#descriptor = openSync(this.#file, "r");
    } catch {
      return false;
    }
    this.#offset = 0;
    return true;
  }

  /** Complete lines that were added since the last call. */
  read(): string[] {
    const lines: string[] = [];
    for (;;) {
      if (this.#descriptor === null && !this.#open()) return lines;
      const isRenamed = this.#isRenamed();
      // After a renaming the rest of the old file comes first: nothing is added to it any more.
      lines.push(...this.#drain());
      if (!isRenamed) return lines;
      this.close();
    }
  }

  #isRenamed(): boolean {
    if (this.#descriptor === null) return false;
    const own = fstatSync(this.#descriptor);
    if (own.size < this.#offset) this.#offset = 0;
    try {
      const named = statSync(this.#file);
      return named.ino !== own.ino || named.dev !== own.dev;
    } catch {
      return false;
    }
  }

  #drain(): string[] {
    if (this.#descriptor === null) return [];
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let text = this.#rest;
    for (;;) {
      const bytes = readSync(this.#descriptor, chunk, 0, CHUNK_BYTES, this.#offset);
      if (bytes === 0) break;
      this.#offset += bytes;
      text += this.#decoder.decode(chunk.subarray(0, bytes), { stream: true });
    }
    const lines = text.split("\n");
    this.#rest = lines.pop() ?? "";
    return lines;
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
    this.#rest = "";
    this.#decoder = new TextDecoder();
  }
}

/** Calls `show` with each wanted line as it is written, until `count` were shown. */
export async function followLog(
  tail: Tail,
  filter: LineFilter,
  count: number,
  show: (line: LogLine) => void,
): Promise<void> {
  for (let left = count; left > 0;) {
    for (const raw of tail.read()) {
      const line = parseLine(raw);
      if (line === null || !isWanted(line, filter) || left === 0) continue;
      show(line);
      left--;
    }
    if (left > 0) {
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS);
      });
    }
  }
  tail.close();
}
