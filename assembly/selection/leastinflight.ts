// Least in flight (queue depth): the path with the fewest commands unanswered; among equals they take turns.

import { fewOnly, takeLeast, takeLeastOfFour } from "./scan";
import { IN_FLIGHT, Selection } from "./layout";

/** What is in flight makes room for the slot: there are never 2^27 commands on a path. */
const SHIFT: u32 = 5;

export function pickLeastInFlight(s: Selection, allowed: u32, closed: usize): u32 {
  return fewOnly(allowed)
    ? takeLeastOfFour(s, IN_FLIGHT, SHIFT, closed)
    : takeLeast(s, IN_FLIGHT, SHIFT, allowed, closed);
}
