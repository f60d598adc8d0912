// Detects a path that refuses what others carry out: a controller with a broken cache answers each I/O with a HARDWARE ERROR, at
// once, so it looks like the fastest path. One such answer may be the device's own, on every path. It counts against the path
// only when another path has carried out the same piece; after REFUSALS_MAX in a row, with nothing carried out in between, the
// path has failed. It recovers by a READ that is carried out; TEST UNIT READY proves nothing.

import { PATH_FLAG_FAILED, PATH_FLAG_PRESENT, REASON_IO } from "../abi";
import { statisticsError } from "../memory/statistics";
import { Path, Unit } from "../memory/topology";
import { unitPath } from "../path/facts";
import { marginalCountOne } from "../path/marginal";
import { pathFailed } from "../path/io-effects";
import { BY_IO, NOTED_REFUSES, pathNotes } from "../path/states";

const REFUSALS_MAX: u32 = 3;

/** A path has refused a piece with an answer (`shown`) that another path may not give. */
export function refusalNote(path: Path, shown: u32): void {
  if ((path.flags & PATH_FLAG_FAILED) !== 0) return;
  path.lastSense = shown;
  path.lastHostStatus = 0;
}

/** A piece that the paths in `slots` have refused was carried out by another one. */
export function refusalsCount(unit: Unit, slots: u32): void {
  for (let rest = slots & unit.paths; rest !== 0; rest &= rest - 1) {
    const path = unitPath(unit, ctz(rest));
    if ((path.flags & PATH_FLAG_PRESENT) !== 0) count(path);
  }
}

function count(path: Path): void {
  path.refusals++;
  if (path.refusals >= REFUSALS_MAX && (path.flags & PATH_FLAG_FAILED) === 0) {
    path.refusals = 0;
    pathNotes(path, NOTED_REFUSES, 1, BY_IO);
    return pathFailed(path, REASON_IO, path.lastSense, 0);
  }
  path.errors++;
  statisticsError(path.statistics);
  marginalCountOne(path);
}
