// A path's timer: when it is considered next, and by when a check has to be answered. patrol.ts acts when it fires.

import { PATH_FLAG_PRESENT } from "../abi";
import { pathAt, pathCount } from "../memory/memory";
import { random } from "../memory/random";
import { now } from "../memory/ring";
import { MILLISECOND, NEVER, SECOND } from "../memory/time";
import { Path } from "../memory/topology";
import { wakePathAt } from "../memory/wake";
import { WANT_GROUPS } from "./facts";
import { patrolIntervalNs } from "./mode";
import { marginalTimer } from "./marginal";
import { BY_CHECK, NOTED_WANTED_LATER, pathNotes } from "./states";

/** While a port group is in transition its state is requested at this interval. */
const TRANSITION_NS: u64 = 500 * MILLISECOND;
/** What could not be read is requested again at this interval, and at the longer one if that has not helped. */
const UNREAD_NS: u64 = 100 * MILLISECOND;
const UNREAD_SLOW_NS: u64 = SECOND;

/** A new path: its first check comes at a random time in the interval. */
export function patrolBegin(path: Path): void {
  path.nextCheckNs = now + (random() % patrolIntervalNs);
  patrolArm(path);
}

/** The interval has changed. */
export function patrolAnew(): void {
  for (let i: u32 = 0; i < pathCount; i++) {
    const path = pathAt(i);
    if ((path.flags & PATH_FLAG_PRESENT) !== 0) patrolBegin(path);
  }
}

/** A path's timer: for its next check, and for the end of a check. */
export function patrolArm(path: Path): void {
  let dueNs = path.nextCheckNs;
  if (path.checking !== 0 && path.checkLost === 0) dueNs = min(dueNs, path.checkDueNs);
  dueNs = min(dueNs, marginalTimer(path));
  wakePathAt(path, (path.flags & PATH_FLAG_PRESENT) === 0 ? NEVER : dueNs);
}

/** The port groups are to be requested again soon, over this path. */
export function groupsSoon(path: Path): void {
  checkSoon(path, WANT_GROUPS, TRANSITION_NS);
}

/** A check that nobody answered, or not with what it asked for, is to be sent again soon. */
export function againSoon(path: Path, what: u8, fast: bool): void {
  checkSoon(path, what, fast ? UNREAD_NS : UNREAD_SLOW_NS);
}

function checkSoon(path: Path, what: u8, inNs: u64): void {
  pathNotes(path, NOTED_WANTED_LATER, path.wantedLater | what, BY_CHECK);
  path.nextCheckNs = min(path.nextCheckNs, now + inNs);
  patrolArm(path);
}
