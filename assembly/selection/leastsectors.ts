// Least sectors (512 bytes): the path with the fewest sectors in flight; equal paths take turns.

import { fewOnly, takeLeast, takeLeastOfFour } from "./scan";
import { IN_FLIGHT_BYTES, Selection } from "./layout";

export function pickLeastSectors(selection: Selection, allowed: u32, closed: usize): u32 {
  return fewOnly(allowed)
    ? takeLeastOfFour(selection, IN_FLIGHT_BYTES, 0, closed)
    : takeLeast(selection, IN_FLIGHT_BYTES, 0, allowed, closed);
}
