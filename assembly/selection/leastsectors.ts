// Least sectors: the path with the fewest bytes unanswered; among equals they take turns.

import { nextInTurn, smallestSlots } from "./lanes";
import { IN_FLIGHT_BYTES, Selection } from "./layout";

export function pickLeastSectors(s: Selection, allowed: u32): u32 {
  return nextInTurn(s, smallestSlots(changetype<usize>(s) + IN_FLIGHT_BYTES, allowed));
}
