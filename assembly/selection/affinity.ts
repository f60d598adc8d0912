// Affinity: each connection has a path of its own, so that one client's I/O stays in order on one nexus (and in one cache of the
// array). Homes are distributed over all paths of the unit; only connections whose home is unusable move, spread over the other
// paths, and they return when it is back.

import { nthSlot } from "./scan";
import { Selection } from "./layout";

export function pickAffinity(selection: Selection, allowed: u32, affinity: u32): u32 {
  const paths = <u32>popcnt(selection.present);
  if (paths === 0) return nthSlot(allowed, affinity % <u32>popcnt(allowed));
  const home = nthSlot(selection.present, affinity % paths);
  if ((allowed >> home) & 1) return home;
  return nthSlot(allowed, (affinity / paths + affinity) % <u32>popcnt(allowed));
}
