// Detects a path that refuses what others carry out: a controller with a broken cache answers each I/O with a HARDWARE ERROR, at
// once, so it looks like the fastest path. One such answer may be the device's own, on every path. It counts against the path
// only when another path has carried out the same piece; after REFUSALS_MAX in a row, with nothing carried out in between, the
// path has failed. It recovers by a READ that is carried out; TEST UNIT READY proves nothing.

import { PATH_FLAG_FAILED, PATH_FLAG_PRESENT, REASON_IO } from "../abi";
import { statisticsError } from "../memory/statistics";
import { Path, Unit } from "../memory/topology";
import { unitPath } from "../path/facts";
import { marginalCountOne } from "../path/marginal";
import { pathFailed } from "../path/state";

const REFUSALS_MAX: u32 = 3;

/** A path has refused a piece with an answer (`shown`) that another path may not give. */
export function refusalNote(p: Path, shown: u32): void {
  if ((p.flags & PATH_FLAG_FAILED) !== 0) return;
  p.lastSense = shown;
  p.lastHostStatus = 0;
}

/** A piece that the paths in `slots` have refused was carried out by another one. */
export function refusalsCount(u: Unit, slots: u32): void {
  for (let rest = slots & u.paths; rest !== 0; rest &= rest - 1) {
    const p = unitPath(u, ctz(rest));
    if ((p.flags & PATH_FLAG_PRESENT) !== 0) count(p);
  }
}

function count(p: Path): void {
  p.refusals++;
  if (p.refusals >= REFUSALS_MAX && (p.flags & PATH_FLAG_FAILED) === 0) {
    p.refusals = 0;
    p.refuses = 1;
    return pathFailed(p, REASON_IO, p.lastSense, 0);
  }
  p.errors++;
  statisticsError(p.statistics);
  marginalCountOne(p);
}
