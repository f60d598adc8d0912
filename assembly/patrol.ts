// Path patrol: each path is looked at once in an interval. A healthy path that has not answered anything for longer
// than the threshold gets a health check, a failed one a recovery check. When in the interval, is random and new each
// time, from the seed: so neither the paths of one host nor the hosts of one array probe together.

import {
  ALUA_UNKNOWN,
  CONTROL_SEED,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_REMOVING,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PATH_FLAG_UNVERIFIED,
  PATH_FLAG_WRONG_UNIT,
  REASON_PATROL,
  UNIT_CAN_ALUA,
} from "./abi";
import { WANT_GROUPS, WANT_HEALTH, WANT_IDENTITY, checkBack, checkTimedOut, checkWant } from "./check";
import { control, pathAt, pathCount, pathTimer } from "./memory";
import { patrolIntervalNs, patrolMode, patrolThresholdNs } from "./mode";
import { pathEligible, takesIo, unitPath } from "./path";
import { now } from "./ring";
import { resetStart } from "./reset";
import { shakyTimer } from "./shaky";
import { NEVER, timerSet } from "./timers";
import { Path, Unit } from "./topology";

const HEALTH: u32 = 1;
const RECOVERY: u32 = 2;
/** While a port group is in transition its state is asked for at this pace. */
const TRANSITION_NS: u64 = 500000000;
/** A page that could not be read is asked for again at this pace, and at the slower one when that has not helped. */
const UNREAD_NS: u64 = 100000000;
const UNREAD_SLOW_NS: u64 = 1000000000;

// The constants of splitmix64 in two halves: TypeScript's tools take a literal over 2^53 for a mistake.
const GOLDEN_HIGH: u64 = 0x9e3779b9;
const GOLDEN: u64 = (GOLDEN_HIGH << 32) | 0x7f4a7c15;
const MIX_HIGH: u64 = 0xbf58476d;
const MIX: u64 = (MIX_HIGH << 32) | 0x1ce4e5b9;
const REMIX_HIGH: u64 = 0x94d049bb;
const REMIX: u64 = (REMIX_HIGH << 32) | 0x133111eb;

let state: u64 = 0;

/** The next random number (splitmix64), from the seed in the control block. */
export function random(): u64 {
  if (state === 0) state = load<u64>(control + CONTROL_SEED) | 1;
  state += GOLDEN;
  let z = state;
  z = (z ^ (z >> 30)) * MIX;
  z = (z ^ (z >> 27)) * REMIX;
  return z ^ (z >> 31);
}

/** A new path: its first look falls anywhere in the interval. */
export function patrolBegin(p: Path): void {
  p.nextLookNs = now + (random() % patrolIntervalNs);
  patrolArm(p);
}

/** The interval has changed. */
export function patrolAnew(): void {
  for (let i: u32 = 0; i < pathCount; i++) {
    const p = pathAt(i);
    if ((p.flags & PATH_FLAG_PRESENT) !== 0) patrolBegin(p);
  }
}

/** A path's timer: for its next look, and for the end of a check. */
export function patrolArm(p: Path): void {
  let dueNs = p.nextLookNs;
  if (p.checking !== 0 && p.checkLost === 0) dueNs = min(dueNs, p.checkDueNs);
  dueNs = min(dueNs, shakyTimer(p));
  timerSet(pathTimer(p.index), (p.flags & PATH_FLAG_PRESENT) === 0 ? NEVER : dueNs);
}

/** The timer has fired. */
export function patrolTimer(p: Path): void {
  if ((p.flags & PATH_FLAG_PRESENT) === 0) return;
  if (p.checking !== 0 && p.checkLost === 0 && p.checkDueNs <= now) checkTimedOut(p);
  if (p.nextLookNs <= now) {
    // Between 7/8 and 9/8 of the interval, so that looks which have met part again.
    p.nextLookNs = now + patrolIntervalNs - patrolIntervalNs / 8 + (random() % (patrolIntervalNs / 4 + 1));
    look(p);
  }
  if (p.checkLost !== 0 && p.unit.ghostResetNs !== 0 && p.checkDueNs + p.unit.ghostResetNs <= now) {
    if (p.resetNotBeforeNs <= now) resetStart(p);
  }
  patrolArm(p);
}

/** One look at a path. */
function look(p: Path): void {
  const u = p.unit;
  if ((p.flags & PATH_FLAG_REMOVING) !== 0 || p.checking !== 0) return;
  const later = p.wantedLater;
  p.wanted |= later;
  p.wantedLater = 0;
  if ((p.flags & PATH_FLAG_FAILED) !== 0) {
    // It is on its way back, and only who it is could not be read yet.
    if (p.back !== 0 && (later & WANT_IDENTITY) !== 0) return checkWant(p, 0);
    if ((patrolMode & RECOVERY) !== 0 && p.heldDown === 0) checkBack(p, REASON_PATROL);
    return;
  }
  if ((p.flags & (PATH_FLAG_UNVERIFIED | PATH_FLAG_WRONG_UNIT)) !== 0) return checkWant(p, WANT_IDENTITY);
  if ((u.capabilities & UNIT_CAN_ALUA) !== 0 && asksForGroups(u, p)) p.wanted |= WANT_GROUPS;
  // A path that is avoided has to get the chance to show that it answers.
  const avoided = (p.flags & (PATH_FLAG_STALLED | PATH_FLAG_SUSPECT)) !== 0 || !takesIo(p.alua);
  if (avoided || p.silent !== 0) p.wanted |= WANT_HEALTH;
  if ((patrolMode & HEALTH) !== 0 && now - p.lastIoNs >= patrolThresholdNs) p.wanted |= WANT_HEALTH;
  checkWant(p, 0);
}

/** One healthy path asks for all, where its answer tells of all; and those of which nothing is known, or nothing good. */
function asksForGroups(u: Unit, p: Path): bool {
  if (isReporter(u, p) || !pathEligible(p)) return true;
  return p.groupKnown !== 0 && (p.ownReport !== 0 || <u32>p.alua === ALUA_UNKNOWN);
}

/** One healthy path of each unit asks for the port groups. */
function isReporter(u: Unit, p: Path): bool {
  return u.usable !== 0 && unitPath(u, ctz(u.usable)) === p;
}

/** The port groups are asked for again soon, by this path. */
export function groupsSoon(p: Path): void {
  lookSoon(p, WANT_GROUPS, TRANSITION_NS);
}

/** The path is asked again soon where it leads. */
export function identitySoon(p: Path, fast: bool): void {
  lookSoon(p, WANT_IDENTITY, fast ? UNREAD_NS : UNREAD_SLOW_NS);
}

function lookSoon(p: Path, what: u8, inNs: u64): void {
  p.wantedLater |= what;
  p.nextLookNs = min(p.nextLookNs, now + inNs);
  patrolArm(p);
}
