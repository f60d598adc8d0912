// Outcomes of many direct commands in two buffers instead of an object with two buffers each: what crosses between threads is
// copied, and every small buffer costs more than its content.

import type { CommandResult } from "../array/array.ts";

/** Numbers of one outcome: status, host status, residual, bytes of sense, bytes of data. */
const WORDS = 5;

export interface PackedResults {
  readonly words: Int32Array;
  /** Sense and data of each, one after the other. */
  readonly bytes: Uint8Array;
}

/** Packs outcomes as they come, so that none has to be kept. */
export function packResults(count: number, resultOf: (index: number) => CommandResult): PackedResults {
  const words = new Int32Array(count * WORDS);
  let bytes = new Uint8Array(count * 128);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const { status, hostStatus, residual, sense, data } = resultOf(index);
    words.set([status, hostStatus, residual, sense.length, data.length], index * WORDS);
    const end = at + sense.length + data.length;
    if (end > bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * bytes.length));
      larger.set(bytes);
      bytes = larger;
    }
    bytes.set(sense, at);
    bytes.set(data, at + sense.length);
    at = end;
  }
  return { words, bytes: bytes.slice(0, at) };
}

/** The outcomes, in order. Their sense and data are views: copy any part you keep. */
export function unpackResults({ words, bytes }: PackedResults): CommandResult[] {
  let at = 0;
  return Array.from({ length: words.length / WORDS }, (_, index) => {
    const [status = 0, hostStatus = 0, residual = 0, senseBytes = 0, dataBytes = 0] = words.subarray(index * WORDS);
    const sense = bytes.subarray(at, at + senseBytes);
    const data = bytes.subarray(at + senseBytes, at + senseBytes + dataBytes);
    at += senseBytes + dataBytes;
    return { status, hostStatus, residual, sense, data };
  });
}
