// Least in flight (queue depth): the path with the fewest commands in flight; equal paths take turns.

import { fewOnly, takeLeast, takeLeastOfFour } from "./scan";
import { IN_FLIGHT, Selection } from "./layout";

/** The number in flight is shifted left by this, to make room for the slot; a path never has 2^27 commands in flight. */
const SHIFT: u32 = 5;

export function pickLeastInFlight(selection: Selection, allowed: u32, closed: usize): u32 {
  return fewOnly(allowed)
    ? takeLeastOfFour(selection, IN_FLIGHT, SHIFT, closed)
    : takeLeast(selection, IN_FLIGHT, SHIFT, allowed, closed);
}
