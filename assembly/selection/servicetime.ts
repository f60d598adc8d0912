// Service time: bytes in flight, this command included, over the weight an operator gave the path (its relative
// throughput). What dm-multipath's selector of that name does.

import { nextInTurn, smallestProducts } from "./lanes";
import { IN_FLIGHT_BYTES, Selection, WEIGHT_INVERSE } from "./layout";

export function pickServiceTime(s: Selection, allowed: u32, bytes: u32): u32 {
  const base = changetype<usize>(s);
  return nextInTurn(s, smallestProducts(s, base + IN_FLIGHT_BYTES, bytes, base + WEIGHT_INVERSE, allowed));
}
