// Power of two choices: of two paths chosen at random, the one with fewer commands in flight (Mitzenmacher 1996).

import { nthSlot } from "./scan";
import { IN_FLIGHT, entryAt, Selection } from "./layout";
import { randomBelow } from "./selection-random";

export function pickPowerOfTwo(selection: Selection, allowed: u32): u32 {
  const count = <u32>popcnt(allowed);
  if (count === 1) return ctz(allowed);
  const drawn = drawTwo(selection, count);
  const first = nthSlot(allowed, drawn & 0xffff);
  const second = nthSlot(allowed, drawn >> 16);
  return load<u32>(entryAt(selection, IN_FLIGHT, second)) < load<u32>(entryAt(selection, IN_FLIGHT, first))
    ? second
    : first;
}

/**
 * Two different numbers below `count` (2..65535), each pair equally likely: the first in the low half, the second in the
 * high half.
 */
export function drawTwo(selection: Selection, count: u32): u32 {
  const draw = randomBelow(selection, count * (count - 1));
  const first = draw / (count - 1);
  const other = draw - first * (count - 1);
  return first | ((other >= first ? other + 1 : other) << 16);
}
