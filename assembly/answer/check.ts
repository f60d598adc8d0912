// Checks of a path: one command at a time in the path's own check slot, with a page for its data. So checks need no resource that
// requests could have used up, and requests cannot hold them up.
//
// The checks wanted of a path are a mask; they are sent in the order health, identity, port groups, SET, proof of a registration. A
// failed path has to pass all but the last before it is used: it answers, and it still leads to its unit. A check without an answer
// fails at its timeout; the host keeps its slot until it completes, and no other check is sent before.

import {
  ALUA_NON_OPTIMIZED,
  EVENT_FAILBACK_DONE,
  EVENT_FAILBACK_FAILED,
  EVENT_FAILBACK_STARTED,
  EVENT_PATH_ERROR_CHECK,
  EVENT_WRONG_UNIT,
  FAILBACK_MODE_STANDBY,
  PATH_FLAG_ENABLED,
  PATH_FLAG_FAILED,
  PATH_FLAG_REMOVING,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PATH_FLAG_UNVERIFIED,
  PATH_FLAG_WRONG_UNIT,
  REASON_IDENTITY,
  REASON_OPERATOR,
  REASON_PATROL,
  REASON_RESERVATION,
  REASON_TIMEOUT,
  REGISTRATION_BACK,
  REGISTRATION_IDENTITY,
  UNIT_CAN_ALUA,
} from "../abi";
import { unitDirty } from "../memory/due";
import { checkPageGive, commandAt, commandCount } from "../memory/memory";
import { COMMAND_FREE, Command, METHOD_NONE } from "../memory/records";
import { busyNs, event, hostNow, now } from "../memory/ring";
import { Path } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { resetHelped } from "../overdue/reset";
import { sharerAnswers, sharersSuspect } from "../overdue/shared";
import { pathAnswers } from "../overdue/stall";
import { PAGE_BYTES, checkBack, checkNext, checkNote, checkWant } from "../path/ask";
import { WANT_GROUPS, WANT_HEALTH, WANT_IDENTITY, WANT_PROOF, WANT_SET, aluaOfSense, takesIo } from "../path/facts";
import { groupsRead, groupsSetDone } from "../path/groups";
import { failbackMode, patrolRecovers, patrolTimeoutNs } from "../path/mode";
import { pathIdle } from "../path/path";
import { marginalCountOne } from "../path/marginal";
import { pathAluaState } from "../path/io-effects";
import {
  BY_CHECK,
  BY_SILENCE,
  NOTED_BACK,
  NOTED_BACK_TOLD,
  NOTED_CHECKING,
  NOTED_CHECK_LOST,
  NOTED_GROUP_KNOWN,
  NOTED_REFUSES,
  NOTED_SILENT,
  NOTED_WANTED,
  NOTED_WANTED_LATER,
  pathEnters,
  pathLeaves,
  pathNotes,
} from "../path/states";
import {
  registrationDoubt,
  registrationProven,
  registrationSense,
  registrationUnheard,
  registrationUnproven,
} from "../path/registration";
import { unitRefresh } from "../path/tiers";
import { againSoon } from "../path/timer";
import { dataLost, powerMaybeLost, tellsLoss } from "../request/cache";
import { identityLearn, identityMatches, identityRead } from "../scsi/identity";
import {
  BLAME_FAILED,
  BLAME_REFUSAL,
  GROUPS_READ,
  GROUPS_STATE,
  asksForPatience,
  blameOf,
  doubtsIdentity,
  groupsAfter,
  isAnswer,
  showsLife,
} from "../scsi/meaning";
import { OUTCOME_CONFLICT, OUTCOME_FAILED, OUTCOME_GOOD, OUTCOME_RETRY } from "../scsi/outcome";
import { KEY_UNIT_ATTENTION, keyOf, showsNoSense } from "../scsi/sense";
import { tellControl } from "./attention";
import { classifyCheck, fromDevice, lastSense, senseBytes } from "./classify";

const RETRIES_MAX: u8 = 3;
/** How often an unreadable identity page is requested before the path has failed. */
const UNREAD_MAX: u8 = 23;

/** The host has completed a path's check. */
export function checkCompleted(command: Command, result: i32): void {
  const path = command.path;
  // The slot may carry the path's next check before this one has been handled, so its data is saved here.
  const page: usize = command.buffer;
  conclude(path, command, page, result);
  if (page !== 0) checkPageGive(page);
  if ((path.flags & PATH_FLAG_REMOVING) !== 0) pathIdle(path);
  else checkNext(path);
}

/** What its outcome means for the path. */
function conclude(path: Path, command: Command, page: usize, result: i32): void {
  const what = path.checking;
  const lost = path.checkLost !== 0;
  command.state = COMMAND_FREE;
  pathNotes(path, NOTED_CHECK_LOST, 0, BY_CHECK);
  pathNotes(path, NOTED_CHECKING, 0, BY_CHECK);
  if ((path.flags & PATH_FLAG_REMOVING) !== 0) return;
  const outcome = classifyCheck(command, result);
  const shown = senseBytes(command);
  const bytes = received(command);
  const sentNs = command.timeNs;
  const answered = fromDevice(command, result);
  if (answered) heard(path);
  tell(path, outcome, shown);
  if (lost) {
    // Its failure was handled when it timed out. That it ends now suggests that the path may be back.
    if (outcome === OUTCOME_GOOD && (path.flags & PATH_FLAG_FAILED) !== 0 && path.heldDown === 0)
      checkBack(path, REASON_PATROL);
  } else if (what === WANT_IDENTITY && outcome === OUTCOME_GOOD && !identityRead(path.unit, page, bytes, PAGE_BYTES)) {
    unread(path, what, OUTCOME_RETRY, shown, 0);
  } else if (outcome === OUTCOME_GOOD) checkGood(path, what, page, bytes, sentNs);
  else if (answers(path, what, outcome, answered)) healthGood(path, page !== 0, sentNs);
  else if (blameOf(outcome) === BLAME_FAILED) checkFailed(path, REASON_PATROL, shown, command.hostStatus);
  else if (what === WANT_PROOF && showsNothingUntold(outcome)) checkGood(path, what, page, bytes, sentNs);
  else if (what === WANT_IDENTITY || what === WANT_PROOF) unread(path, what, outcome, shown, command.hostStatus);
  else checkAgain(path, what, outcome, shown, command.hostStatus);
  if (outcome === OUTCOME_FAILED && now - sentNs >= patrolTimeoutNs / 2) askAgain(path);
}

/** The path has answered: it takes more than one command again. */
function heard(path: Path): void {
  const unit = path.unit;
  const wasUnheard = registrationUnheard(path);
  path.lastAnswerNs = hostNow;
  if (!wasUnheard || path.inFlight >= path.depth) return;
  unit.full &= ~((<u32>1) << (<u32>path.slot));
  if ((unit.queueFirst | unit.retryFirst | unit.flows) !== 0) unitDirty(unit);
}

/** A check ended long after it was sent, without an answer. Whatever lost it may be over: the next one is sent now. */
function askAgain(path: Path): void {
  pathNotes(path, NOTED_SILENT, 1, BY_CHECK);
  if ((path.flags & PATH_FLAG_FAILED) === 0 || path.heldDown !== 0 || path.back !== 0 || !patrolRecovers()) return;
  checkBack(path, REASON_PATROL);
}

/** Whether an outcome that is not good still proves that path and device answer: that is all a health check is for. */
function answers(path: Path, what: u8, outcome: u8, fromIt: bool): bool {
  if (what !== WANT_HEALTH) return false;
  // A path that failed because of such answers has to do better.
  if (blameOf(outcome) === BLAME_REFUSAL && path.refuses !== 0) return false;
  return showsLife(outcome, fromIt);
}

/** A device tells of every unit attention before anything else it has to say of a command; a conflict keeps writes out as well. */
function showsNothingUntold(outcome: u8): bool {
  return showsLife(outcome, false) && keyOf(lastSense()) !== KEY_UNIT_ATTENTION;
}

/** Bytes a check returned; never more than requested, whatever the residual says. */
function received(command: Command): u32 {
  if (command.residual < 0 || <u32>command.residual > command.bufferBytes) return 0;
  return command.bufferBytes - <u32>command.residual;
}

/** What any answer implies. */
function tell(path: Path, outcome: u8, shown: u32): void {
  if (tellsLoss(METHOD_NONE, outcome, lastSense())) dataLost(path, REASON_PATROL, lastSense(), shown);
  const groups = groupsAfter(outcome);
  if (groups === GROUPS_STATE) pathAluaState(path, aluaOfSense(lastSense()), shown);
  else if (groups === GROUPS_READ) checkNote(path, WANT_GROUPS);
  tellControl(path, outcome, REASON_PATROL, lastSense(), shown);
  const registration = registrationSense(lastSense());
  if (registration !== 0) {
    registrationDoubt(path, registration, BY_CHECK);
    unitRefresh(path.unit, REASON_RESERVATION, shown, 0);
  }
  // A failed path is asked for its identity while it recovers.
  if (!doubtsIdentity(outcome) || blameOf(outcome) === BLAME_FAILED) return;
  powerMaybeLost(path.unit, lastSense());
  if (path.unit.identityBytes === 0) return;
  pathEnters(path, PATH_FLAG_UNVERIFIED, BY_CHECK);
  checkNote(path, WANT_IDENTITY);
  unitRefresh(path.unit, REASON_IDENTITY, shown, 0);
}

/** Neither good nor final: repeated at once a few times, then taken at face value. */
function checkAgain(path: Path, what: u8, outcome: u8, shown: u32, hostStatus: u16): void {
  // Another host's reservation says nothing about the path, and holds for all of them.
  if (outcome === OUTCOME_CONFLICT) path.checkRetries = RETRIES_MAX;
  else if (what === WANT_GROUPS && isAnswer(outcome) && path.unit.groupsPlain === 0) {
    // SPC-3 devices do not know the extended header.
    path.unit.groupsPlain = 1;
    checkNote(path, what);
    return;
  }
  path.checkRetries++;
  if (path.checkRetries <= RETRIES_MAX) {
    checkNote(path, what);
    return;
  }
  path.checkRetries = 0;
  if (what === WANT_SET) return groupsSetDone(path, false);
  // A path that cannot report its port groups is not treated as faulty for it.
  if (what === WANT_GROUPS) return;
  if (asksForPatience(outcome)) return;
  checkFailed(path, REASON_PATROL, shown, hostStatus);
}

function checkGood(path: Path, what: u8, page: usize, bytes: u32, sentNs: u64): void {
  path.checkRetries = 0;
  if (what === WANT_HEALTH) {
    // It reported standby, which has no announced end, but it is ready now: so standby has ended.
    const groupsTold = path.groupKnown !== 0 && (path.unit.capabilities & UNIT_CAN_ALUA) !== 0;
    if (!takesIo(path.alua) && !groupsTold) pathAluaState(path, ALUA_NON_OPTIMIZED, 0);
    return healthGood(path, page !== 0, sentNs);
  }
  if (what === WANT_GROUPS) return groupsRead(path, page, bytes);
  if (what === WANT_SET) return groupsSetDone(path, true);
  if (what === WANT_PROOF) {
    if (registrationProven(path)) unitRefresh(path.unit, REASON_RESERVATION, 0, 0);
    return;
  }
  if (identityLearn(path, page, bytes)) pathNotes(path, NOTED_GROUP_KNOWN, 1, BY_CHECK);
  if (identityMatches(path.unit, page, bytes)) identityGood(path);
  else identityBad(path);
}

/** The path answers the health check sent at `sentNs`; `read`: it was a READ. */
function healthGood(path: Path, read: bool, sentNs: u64): void {
  const unit = path.unit;
  if ((path.silent !== 0 || path.refuses !== 0) && unit.blockBytes !== 0) {
    // TEST UNIT READY is not enough if it was sent before the path fell silent, or if the path refuses I/O.
    if (!read) return checkWant(path, WANT_HEALTH);
    pathNotes(path, NOTED_REFUSES, 0, BY_CHECK);
    if ((path.flags & PATH_FLAG_STALLED) === 0) pathNotes(path, NOTED_SILENT, 0, BY_CHECK);
  }
  if (read) {
    path.answeredNs = max(path.answeredNs, sentNs);
    resetHelped(path);
    // Commands it has not answered are lost now, and others may wait for them.
    if (path.orphans !== 0) wakeUnit(unit, now + 1);
  }
  pathAnswers(path, sentNs);
  sharerAnswers(path);
  if (path.back === 0) return;
  if (path.back === <u8>REASON_PATROL && path.backTold === 0) {
    pathNotes(path, NOTED_BACK_TOLD, 1, BY_CHECK);
    event(EVENT_FAILBACK_STARTED, REASON_PATROL, unit.index, path.index, 0, 0, 0, 0);
  }
  if ((unit.capabilities & UNIT_CAN_ALUA) !== 0) checkNote(path, WANT_GROUPS);
  if (unit.identityBytes !== 0) checkNote(path, WANT_IDENTITY);
  else reinstate(path);
}

function identityGood(path: Path): void {
  // The page was requested before the doubt arose that caused the next request: it does not settle that.
  if ((path.wanted & WANT_IDENTITY) !== 0) return;
  if ((path.flags & PATH_FLAG_WRONG_UNIT) !== 0) registrationDoubt(path, REGISTRATION_IDENTITY, BY_CHECK);
  pathLeaves(path, PATH_FLAG_UNVERIFIED | PATH_FLAG_WRONG_UNIT, BY_CHECK);
  // Health comes first: while it is still wanted, the path is not back yet.
  if (path.back !== 0 && (path.wanted & WANT_HEALTH) === 0) reinstate(path);
  else unitRefresh(path.unit, REASON_IDENTITY, 0, 0);
}

/**
 * The page that identifies the unit could not be read, or the device had something to tell to the proof of a registration, which
 * proves nothing: it is requested again, first at once and then at a fixed pace. Until it is read the path gets no I/O; if it never
 * is, the path has failed.
 */
function unread(path: Path, what: u8, outcome: u8, shown: u32, hostStatus: u16): void {
  if (what === WANT_PROOF && !registrationUnproven(path)) return;
  if (path.checkRetries < UNREAD_MAX) path.checkRetries++;
  else if (!asksForPatience(outcome) && outcome !== OUTCOME_CONFLICT) {
    path.checkRetries = 0;
    return checkFailed(path, REASON_PATROL, shown, hostStatus);
  }
  if (path.checkRetries <= RETRIES_MAX) checkNote(path, what);
  else againSoon(path, what, path.checkRetries < UNREAD_MAX);
}

/** It leads to another unit: it gets no I/O, whatever its state was. */
function identityBad(path: Path): void {
  const unit = path.unit;
  if ((path.flags & PATH_FLAG_WRONG_UNIT) === 0)
    event(EVENT_WRONG_UNIT, REASON_IDENTITY, unit.index, path.index, 0, 0, 0, 0);
  pathEnters(path, PATH_FLAG_WRONG_UNIT, BY_CHECK);
  pathLeaves(path, PATH_FLAG_UNVERIFIED, BY_CHECK);
  // Any other check would be answered by the wrong unit.
  pathNotes(path, NOTED_WANTED, path.wanted & WANT_IDENTITY, BY_CHECK);
  pathNotes(path, NOTED_WANTED_LATER, 0, BY_CHECK);
  backFailed(path, REASON_IDENTITY);
  unitRefresh(unit, REASON_IDENTITY, 0, 0);
}

/** A path that passed its checks is healthy again. */
function reinstate(path: Path): void {
  const reason = <u32>path.back;
  notBack(path, BY_CHECK);
  registrationDoubt(path, REGISTRATION_BACK, BY_CHECK);
  pathLeaves(path, PATH_FLAG_FAILED | PATH_FLAG_STALLED | PATH_FLAG_SUSPECT, BY_CHECK);
  path.sinceNs = hostNow;
  if (reason !== REASON_OPERATOR && failbackMode === FAILBACK_MODE_STANDBY) {
    pathLeaves(path, PATH_FLAG_ENABLED, BY_CHECK);
  }
  event(EVENT_FAILBACK_DONE, reason, path.unitHandle, path.index, 0, 0, 0, 0);
  unitRefresh(path.unit, reason, 0, 0);
}

/** It is not being reinstated any more. */
function notBack(path: Path, by: u32): void {
  pathNotes(path, NOTED_BACK, 0, by);
  pathNotes(path, NOTED_BACK_TOLD, 0, by);
}

/** BY_SILENCE after a timeout, otherwise BY_CHECK. */
function byOf(reason: u32): u32 {
  return reason === REASON_TIMEOUT ? BY_SILENCE : BY_CHECK;
}

/** Reinstating it failed. Reported when an operator asked, or when it had been announced. */
function backFailed(path: Path, reason: u32): void {
  const told = path.back === <u8>REASON_OPERATOR || path.backTold !== 0;
  const asked = path.back;
  notBack(path, byOf(reason));
  if (asked !== 0 && told) event(EVENT_FAILBACK_FAILED, reason, path.unitHandle, path.index, 0, 0, path.lastSense, 0);
}

/** A check found the path unusable, or got no answer in time. */
function checkFailed(path: Path, reason: u32, shown: u32, hostStatus: u16): void {
  pathNotes(path, NOTED_WANTED, 0, byOf(reason));
  path.checkRetries = 0;
  path.lastSense = shown;
  path.lastHostStatus = hostStatus;
  backFailed(path, reason);
  if ((path.flags & PATH_FLAG_FAILED) !== 0) return;
  path.errors++;
  marginalCountOne(path);
  if (showsNoSense(shown)) sharersSuspect(path);
  pathEnters(path, PATH_FLAG_FAILED, byOf(reason));
  path.sinceNs = hostNow;
  event(EVENT_PATH_ERROR_CHECK, reason, path.unitHandle, path.index, 0, 0, shown, hostStatus);
  unitRefresh(path.unit, reason, shown, hostStatus);
}

/** The check has timed out. */
export function checkTimedOut(path: Path): void {
  const command = commandAt(commandCount + path.index);
  if (command.busyNs !== busyNs) {
    // For part of that time the host fetched no answers.
    path.checkDueNs = now + (busyNs - command.busyNs);
    command.busyNs = busyNs;
    return;
  }
  pathNotes(path, NOTED_CHECK_LOST, 1, BY_SILENCE);
  if (path.answeredNs > command.timeNs) {
    // It has answered I/O that was sent later, so it lost the check, which is repeated.
    pathNotes(path, NOTED_WANTED_LATER, path.wantedLater | path.checking, BY_SILENCE);
    return marginalCountOne(path);
  }
  pathNotes(path, NOTED_SILENT, 1, BY_SILENCE);
  checkFailed(path, REASON_TIMEOUT, 0, 0);
}
