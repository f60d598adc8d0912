// Reads everything back: every cell that was ever written, with requests of all sizes.

import type { Cells, History } from "./history.ts";
import type { Random } from "./random.ts";

/** Cells of a request; one request in eight continues to the end of the contiguous written cells. */
const CELLS_MAX = 256;
const LONG_CHANCE = 0.125;
/** Cells of such a request: 16 MiB with the smallest blocks. */
const LONG_CELLS_MAX = 32_768;

/** The requests. @param end the first cell that the unit does not have any more */
export function sweep(history: History, random: Random, end: number): Cells[] {
  const written = history.written().filter((cell) => cell < end);
  const parts: Cells[] = [];
  for (let i = 0; i < written.length;) {
    const first = written[i] ?? 0;
    const most = random.chance(LONG_CHANCE) ? LONG_CELLS_MAX : random.between(1, CELLS_MAX);
    let count = 1;
    while (count < most && written[i + count] === first + count) count++;
    parts.push({ first, count });
    i += count;
  }
  return parts;
}
