// Service time: bytes in flight, this command included, over the weight an operator gave the path (its relative
// throughput). What dm-multipath's selector of that name does.

import { fewOnly, takeLightest, takeLightestOfFour } from "./scan";
import { Selection } from "./layout";

export function pickServiceTime(s: Selection, allowed: u32, closed: usize, bytes: u32): u32 {
  return fewOnly(allowed) ? takeLightestOfFour(s, bytes, closed) : takeLightest(s, bytes, allowed, closed);
}
