// Static: the usable path with the highest priority carries all I/O; the others are alternatives.

import { LONG_WAY, ORDER, Selection } from "./layout";

/** The first slot in order of priority; LONG_WAY when it is not allowed. */
export function pickStatic(selection: Selection, allowed: u32): u32 {
  const slot = <u32>load<u8>(changetype<usize>(selection) + ORDER);
  return (allowed >> slot) & 1 ? slot : LONG_WAY;
}

/** The first of the allowed slots in order of priority. */
export function pickStaticLong(selection: Selection, allowed: u32): u32 {
  const order = changetype<usize>(selection) + ORDER;
  for (let at: u32 = 1; at < selection.count; at++) {
    const slot = <u32>load<u8>(order + at);
    if ((allowed >> slot) & 1) return slot;
  }
  return ctz(allowed);
}
