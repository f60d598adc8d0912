// Standard output and standard error of the daemon. The reader may go away, or stay and not read: a terminal, a pipe, a pager, a
// full disk. The daemon must never wait for it. What cannot be written at once is buffered up to a limit and retried; the rest is
// dropped and counted. Node's own streams will not do: on an error they end the process, go silent for good, or block.

import { constants } from "node:os";
import { writeNow } from "../../native/index.ts";

/** Writes without blocking; returns the number of bytes, or a negated errno. */
export type Write = (descriptor: number, bytes: Uint8Array) => number;

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;
/** Buffered for a slow reader. */
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

  /** Texts dropped because nobody read them. */
  get lost(): number {
    return this.#lost;
  }

  /** Writes a text now, buffers it, or drops it. As long as the reader keeps reading, a text is never cut. */
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
      // EPIPE, EIO, ENOSPC: there is nobody to report this to; the next text is tried again.
      const done = written < 0 ? next.length : written;
      this.#keptBytes -= done;
      if (done < next.length) this.#kept[0] = next.subarray(done);
      else this.#kept.shift();
    }
  }
}

export const standardOutput = new Output(STANDARD_OUTPUT);
export const standardError = new Output(STANDARD_ERROR);

/** Node's own warnings go through its streams and must be allowed to fail silently, too. */
export function forgiveStreams(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
}
