// Least in flight (queue depth): the path with the fewest commands unanswered; among equals they take turns.

import { nextInTurn, smallestSlots } from "./lanes";
import { IN_FLIGHT, Selection } from "./layout";

export function pickLeastInFlight(s: Selection, allowed: u32): u32 {
  return nextInTurn(s, smallestSlots(changetype<usize>(s) + IN_FLIGHT, allowed));
}
