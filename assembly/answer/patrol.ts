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
import { checkBack, checkNote, checkWant } from "../path/ask";
import { WANT_GROUPS, WANT_HEALTH, WANT_IDENTITY, pathEligible, takesIo, unitPath } from "../path/facts";
import { patrolChecksHealth, patrolIntervalNs, patrolRecovers, patrolThresholdNs } from "../path/mode";
import { BY_PATROL, NOTED_WANTED_LATER, pathNotes } from "../path/states";
import { patrolArm } from "../path/timer";
import { checkTimedOut } from "./check";

/** The timer has fired. */
export function pathWoken(path: Path): void {
  if ((path.flags & PATH_FLAG_PRESENT) === 0) return;
  if (path.checking !== 0 && path.checkLost === 0 && path.checkDueNs <= now) checkTimedOut(path);
  if (path.nextCheckNs <= now) {
    // Between 7/8 and 9/8 of the interval, so that checks that have fallen into step separate again.
    path.nextCheckNs = now + patrolIntervalNs - patrolIntervalNs / 8 + (random() % (patrolIntervalNs / 4 + 1));
    patrolPath(path);
  }
  if (path.checkLost !== 0 && path.unit.orphanResetNs !== 0 && path.checkDueNs + path.unit.orphanResetNs <= now) {
    if (path.resetNotBeforeNs <= now) resetStart(path);
  }
  patrolArm(path);
}

/** One check at a time per path. */
function patrolPath(path: Path): void {
  const unit = path.unit;
  if ((path.flags & PATH_FLAG_REMOVING) !== 0 || path.checking !== 0) return;
  const later = path.wantedLater;
  checkNote(path, later);
  pathNotes(path, NOTED_WANTED_LATER, 0, BY_PATROL);
  if ((path.flags & PATH_FLAG_FAILED) !== 0) {
    // It is recovering, and only its identity could not be read yet.
    if (path.back !== 0 && (later & WANT_IDENTITY) !== 0) return checkWant(path, 0);
    if (patrolRecovers() && path.heldDown === 0) checkBack(path, REASON_PATROL);
    return;
  }
  if ((path.flags & (PATH_FLAG_UNVERIFIED | PATH_FLAG_WRONG_UNIT)) !== 0) return checkWant(path, WANT_IDENTITY);
  if ((unit.capabilities & UNIT_CAN_ALUA) !== 0 && asksForGroups(unit, path)) checkNote(path, WANT_GROUPS);
  // A path that is avoided needs a chance to show that it answers.
  const avoided = (path.flags & (PATH_FLAG_STALLED | PATH_FLAG_SUSPECT)) !== 0 || !takesIo(path.alua);
  if (avoided || path.silent !== 0) checkNote(path, WANT_HEALTH);
  if (patrolChecksHealth() && now - path.lastIoNs >= patrolThresholdNs) checkNote(path, WANT_HEALTH);
  checkWant(path, 0);
}

/** One healthy path asks for all groups if its answer covers all; so do paths whose groups are unknown or take no I/O. */
function asksForGroups(unit: Unit, path: Path): bool {
  if (isReporter(unit, path) || !pathEligible(path)) return true;
  return path.groupKnown !== 0 && (path.ownReport !== 0 || <u32>path.alua === ALUA_UNKNOWN);
}

/** One healthy path of each unit asks for the port groups. */
function isReporter(unit: Unit, path: Path): bool {
  return unit.usable !== 0 && unitPath(unit, ctz(unit.usable)) === path;
}
