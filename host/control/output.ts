// Standard output and standard error of the daemon. Whoever reads them may go away: a terminal, a pipe, a disk that is full.
// Nothing depends on them, so what cannot be written is dropped, and the next line is tried again. Not by Node's streams:
// those end the process by an error of their own, or write nothing ever after.

import { writeSync } from "node:fs";

export type Write = (descriptor: number, bytes: Uint8Array) => number;

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

/** Writes text as far as it can be written. */
export function writeTo(descriptor: number, text: string, write: Write = writeSync): void {
  let rest: Uint8Array = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(write(descriptor, rest));
  } catch {
    // EPIPE, EIO, ENOSPC, EAGAIN: there is nobody to tell.
  }
}

export const toStandardOutput = (text: string): void => writeTo(STANDARD_OUTPUT, text);
export const toStandardError = (text: string): void => writeTo(STANDARD_ERROR, text);

/** What else writes through Node's streams (its own warnings) may fail as quietly. */
export function forgiveStreams(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
}
