// Standard output and standard error of the daemon. Whoever reads them may go away, or stay and read nothing: a terminal, a
// pipe, a pager, a disk that is full. Nothing depends on them, so nobody waits for them: what is not taken at once is kept up to a
// bound and tried again, what is beyond it is lost and counted. Not by Node's streams: those end the process by an error of
// their own, or write nothing ever after, or wait.

import { constants } from "node:os";
import { writeNow } from "../../native/index.ts";

/** Writes without waiting: answers how much, or a negated errno. */
export type Write = (descriptor: number, bytes: Uint8Array) => number;

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;
/** Kept for a reader who is slow. */
export const KEPT_BYTES_MAX = 262_144;
const RETRY_MS = 50;

export class Output {
  readonly #descriptor: number;
  readonly #write: Write;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #lost = 0;

  constructor(descriptor: number, write: Write = writeNow) {
    this.#descriptor = descriptor;
    this.#write = write;
  }

  /** Texts that were lost because their reader did not read. */
  get lost(): number {
    return this.#lost;
  }

  /** Writes a text now, or keeps it for later, or loses it; never part of one, as long as the reader reads on. */
  say(text: string): void {
    const bytes = Buffer.from(text);
    if (this.#keptBytes + bytes.length > KEPT_BYTES_MAX) {
      this.#lost++;
      return;
    }
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    for (let next = this.#kept[0]; next !== undefined; next = this.#kept[0]) {
      const written = this.#write(this.#descriptor, next);
      if (written === -constants.errno.EAGAIN) {
        this.#timer = setTimeout(() => this.#flush(), RETRY_MS);
        this.#timer.unref();
        return;
      }
      // EPIPE, EIO, ENOSPC: there is nobody to tell, and the next text is tried again.
      const done = written < 0 ? next.length : written;
      this.#keptBytes -= done;
      if (done < next.length) this.#kept[0] = next.subarray(done);
      else this.#kept.shift();
    }
  }
}

export const standardOutput = new Output(STANDARD_OUTPUT);
export const standardError = new Output(STANDARD_ERROR);

/** What else writes through Node's streams (its own warnings) may fail as quietly. */
export function forgiveStreams(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
}
