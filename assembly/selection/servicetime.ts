// Service time: bytes in flight, including this command, divided by the path's configured weight (its relative throughput),
// like dm-multipath's selector of that name.

import { fewOnly, takeLightest, takeLightestOfFour } from "./scan";
import { Selection } from "./layout";

export function pickServiceTime(selection: Selection, allowed: u32, closed: usize, bytes: u32): u32 {
  return fewOnly(allowed)
    ? takeLightestOfFour(selection, bytes, closed)
    : takeLightest(selection, bytes, allowed, closed);
}
