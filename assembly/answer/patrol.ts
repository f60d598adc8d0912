// Path patrol: each path is considered once per interval. A healthy path that has not answered anything for longer than the
// threshold gets a health check, a failed one a recovery check. The moment within the interval is random and new each time, from
// the seed, so that neither the paths of one host nor the hosts of one array probe in step.

import {
  ALUA_UNKNOWN,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_REMOVING,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PATH_FLAG_UNVERIFIED,
  PATH_FLAG_WRONG_UNIT,
  REASON_PATROL,
  UNIT_CAN_ALUA,
} from "../abi";
import { random } from "../memory/random";
import { now } from "../memory/ring";
import { Path, Unit } from "../memory/topology";
import { resetStart } from "../overdue/reset";
import { checkBack, checkWant } from "../path/ask";
import { WANT_GROUPS, WANT_HEALTH, WANT_IDENTITY, pathEligible, takesIo, unitPath } from "../path/facts";
import { patrolChecksHealth, patrolIntervalNs, patrolRecovers, patrolThresholdNs } from "../path/mode";
import { patrolArm } from "../path/timer";
import { checkTimedOut } from "./check";

/** The timer has fired. */
export function pathWoken(p: Path): void {
  if ((p.flags & PATH_FLAG_PRESENT) === 0) return;
  if (p.checking !== 0 && p.checkLost === 0 && p.checkDueNs <= now) checkTimedOut(p);
  if (p.nextCheckNs <= now) {
    // Between 7/8 and 9/8 of the interval, so that checks that have fallen into step separate again.
    p.nextCheckNs = now + patrolIntervalNs - patrolIntervalNs / 8 + (random() % (patrolIntervalNs / 4 + 1));
    patrolPath(p);
  }
  if (p.checkLost !== 0 && p.unit.orphanResetNs !== 0 && p.checkDueNs + p.unit.orphanResetNs <= now) {
    if (p.resetNotBeforeNs <= now) resetStart(p);
  }
  patrolArm(p);
}

/** One check at a time per path. */
function patrolPath(p: Path): void {
  const u = p.unit;
  if ((p.flags & PATH_FLAG_REMOVING) !== 0 || p.checking !== 0) return;
  const later = p.wantedLater;
  p.wanted |= later;
  p.wantedLater = 0;
  if ((p.flags & PATH_FLAG_FAILED) !== 0) {
    // It is recovering, and only its identity could not be read yet.
    if (p.back !== 0 && (later & WANT_IDENTITY) !== 0) return checkWant(p, 0);
    if (patrolRecovers() && p.heldDown === 0) checkBack(p, REASON_PATROL);
    return;
  }
  if ((p.flags & (PATH_FLAG_UNVERIFIED | PATH_FLAG_WRONG_UNIT)) !== 0) return checkWant(p, WANT_IDENTITY);
  if ((u.capabilities & UNIT_CAN_ALUA) !== 0 && asksForGroups(u, p)) p.wanted |= WANT_GROUPS;
  // A path that is avoided needs a chance to show that it answers.
  const avoided = (p.flags & (PATH_FLAG_STALLED | PATH_FLAG_SUSPECT)) !== 0 || !takesIo(p.alua);
  if (avoided || p.silent !== 0) p.wanted |= WANT_HEALTH;
  if (patrolChecksHealth() && now - p.lastIoNs >= patrolThresholdNs) p.wanted |= WANT_HEALTH;
  checkWant(p, 0);
}

/** One healthy path asks for all groups if its answer covers all; so do paths whose groups are unknown or take no I/O. */
function asksForGroups(u: Unit, p: Path): bool {
  if (isReporter(u, p) || !pathEligible(p)) return true;
  return p.groupKnown !== 0 && (p.ownReport !== 0 || <u32>p.alua === ALUA_UNKNOWN);
}

/** One healthy path of each unit asks for the port groups. */
function isReporter(u: Unit, p: Path): bool {
  return u.usable !== 0 && unitPath(u, ctz(u.usable)) === p;
}
