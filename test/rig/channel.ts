// One output of the guest, carried over a serial line. A serial line has no end of file, so the guest writes a mark.

import type { Readable, Writable } from "node:stream";

/** Length of the longest suffix of `bytes` with which `mark` begins: it may be the first part of a mark. */
function heldBack(bytes: Buffer, mark: Buffer): number {
  for (let length = Math.min(mark.length - 1, bytes.length); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(mark.subarray(0, length))) return length;
  }
  return 0;
}

/**
 * Copies `from` to `to` until `mark`, which is not copied, followed by a line.
 *
 * @returns the line after the mark; undefined when the stream ended before it
 */
export function copyUntilMark(from: Readable, to: Writable, mark: Buffer): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  let held = Buffer.alloc(0);
  let marked = false;
  from.on("data", (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    if (!marked) {
      const at = held.indexOf(mark);
      const end = at === -1 ? held.length - heldBack(held, mark) : at;
      if (end > 0) to.write(held.subarray(0, end));
      held = held.subarray(end);
      if (at === -1) return;
      marked = true;
      held = held.subarray(mark.length);
    }
    const newline = held.indexOf("\n");
    if (newline !== -1) resolve(held.subarray(0, newline).toString());
  });
  const ended = (): void => {
    if (!marked && held.length > 0) to.write(held);
    resolve(undefined);
  };
  from.on("end", ended).on("error", ended);
  return promise;
}
