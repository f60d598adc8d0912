// Checks of a path: one command at a time in the path's own check slot, with a page for its data. So checks need no resource that
// requests could have used up, and requests cannot hold them up.
//
// The checks wanted of a path are a mask; they are sent in the order health, identity, port groups, SET. A failed path has to
// pass all of them before it is used: it answers, and it still leads to its unit. A check without an answer fails at its timeout;
// the host keeps its slot until it completes, and no other check is sent before.

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
  REASON_TIMEOUT,
  UNIT_CAN_ALUA,
} from "../abi";
import { checkPageGive, commandAt, commandCount } from "../memory/memory";
import { COMMAND_FREE, Command, METHOD_NONE } from "../memory/records";
import { busyNs, event, hostNow, now } from "../memory/ring";
import { Path } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { resetHelped } from "../overdue/reset";
import { sharerAnswers, sharersSuspect } from "../overdue/shared";
import { pathAnswers } from "../overdue/stall";
import { PAGE_BYTES, checkBack, checkNext, checkWant } from "../path/ask";
import { WANT_GROUPS, WANT_HEALTH, WANT_IDENTITY, WANT_SET, aluaOfSense, takesIo } from "../path/facts";
import { groupsRead, groupsSetDone } from "../path/groups";
import { failbackMode, patrolRecovers, patrolTimeoutNs } from "../path/mode";
import { pathIdle } from "../path/path";
import { marginalCountOne } from "../path/marginal";
import { pathAluaState } from "../path/state";
import { BY_CHECK, BY_SILENCE, pathEnters, pathLeaves } from "../path/states";
import { unitRefresh } from "../path/tiers";
import { identitySoon } from "../path/timer";
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
import { OUTCOME_FAILED, OUTCOME_GOOD, OUTCOME_RETRY } from "../scsi/outcome";
import { showsNoSense } from "../scsi/sense";
import { tellControl } from "./attention";
import { classifyCheck, fromDevice, lastSense, senseBytes } from "./classify";

const RETRIES_MAX: u8 = 3;
/** How often an unreadable identity page is requested before the path has failed. */
const UNREAD_MAX: u8 = 23;

/** The host has completed a path's check. */
export function checkCompleted(c: Command, result: i32): void {
  const p = c.path;
  // The slot may carry the path's next check before this one has been handled, so its data is saved here.
  const page: usize = c.buffer;
  conclude(p, c, page, result);
  if (page !== 0) checkPageGive(page);
  if ((p.flags & PATH_FLAG_REMOVING) !== 0) pathIdle(p);
  else checkNext(p);
}

/** What its outcome means for the path. */
function conclude(p: Path, c: Command, page: usize, result: i32): void {
  const what = p.checking;
  const lost = p.checkLost !== 0;
  c.state = COMMAND_FREE;
  p.checking = 0;
  p.checkLost = 0;
  if ((p.flags & PATH_FLAG_REMOVING) !== 0) return;
  const outcome = classifyCheck(c, result);
  const shown = senseBytes(c);
  const bytes = received(c);
  const sentNs = c.timeNs;
  const answered = fromDevice(c, result);
  if (answered) p.lastAnswerNs = hostNow;
  tell(p, outcome, shown);
  if (lost) {
    // Its failure was handled when it timed out. That it ends now suggests that the path may be back.
    if (outcome === OUTCOME_GOOD && (p.flags & PATH_FLAG_FAILED) !== 0 && p.heldDown === 0) checkBack(p, REASON_PATROL);
  } else if (what === WANT_IDENTITY && outcome === OUTCOME_GOOD && !identityRead(p.unit, page, bytes, PAGE_BYTES)) {
    identityUnread(p, OUTCOME_RETRY, shown, 0);
  } else if (outcome === OUTCOME_GOOD) checkGood(p, what, page, bytes, sentNs);
  else if (answers(p, what, outcome, answered)) healthGood(p, page !== 0, sentNs);
  else if (blameOf(outcome) === BLAME_FAILED) checkFailed(p, REASON_PATROL, shown, c.hostStatus);
  else if (what === WANT_IDENTITY) identityUnread(p, outcome, shown, c.hostStatus);
  else checkAgain(p, what, outcome, shown, c.hostStatus);
  if (outcome === OUTCOME_FAILED && now - sentNs >= patrolTimeoutNs / 2) askAgain(p);
}

/** A check ended long after it was sent, without an answer. Whatever lost it may be over: the next one is sent now. */
function askAgain(p: Path): void {
  p.silent = 1;
  if ((p.flags & PATH_FLAG_FAILED) === 0 || p.heldDown !== 0 || p.back !== 0 || !patrolRecovers()) return;
  checkBack(p, REASON_PATROL);
}

/** Whether an outcome that is not good still proves that path and device answer: that is all a health check is for. */
function answers(p: Path, what: u8, outcome: u8, fromIt: bool): bool {
  if (what !== WANT_HEALTH) return false;
  // A path that failed because of such answers has to do better.
  if (blameOf(outcome) === BLAME_REFUSAL && p.refuses !== 0) return false;
  return showsLife(outcome, fromIt);
}

/** Bytes a check returned; never more than requested, whatever the residual says. */
function received(c: Command): u32 {
  if (c.residual < 0 || <u32>c.residual > c.bufferBytes) return 0;
  return c.bufferBytes - <u32>c.residual;
}

/** What any answer implies. */
function tell(p: Path, outcome: u8, shown: u32): void {
  if (tellsLoss(METHOD_NONE, outcome, lastSense())) dataLost(p, REASON_PATROL, lastSense(), shown);
  const groups = groupsAfter(outcome);
  if (groups === GROUPS_STATE) pathAluaState(p, aluaOfSense(lastSense()), shown);
  else if (groups === GROUPS_READ) p.wanted |= WANT_GROUPS;
  tellControl(p, outcome, REASON_PATROL, lastSense(), shown);
  // A failed path is asked for its identity while it recovers.
  if (!doubtsIdentity(outcome) || blameOf(outcome) === BLAME_FAILED) return;
  powerMaybeLost(p.unit, lastSense());
  if (p.unit.identityBytes === 0) return;
  pathEnters(p, PATH_FLAG_UNVERIFIED, BY_CHECK);
  p.wanted |= WANT_IDENTITY;
  unitRefresh(p.unit, REASON_IDENTITY, shown, 0);
}

/** Neither good nor final: repeated at once a few times, then taken at face value. */
function checkAgain(p: Path, what: u8, outcome: u8, shown: u32, hostStatus: u16): void {
  if (what === WANT_GROUPS && isAnswer(outcome) && p.unit.groupsPlain === 0) {
    // SPC-3 devices do not know the extended header.
    p.unit.groupsPlain = 1;
    p.wanted |= what;
    return;
  }
  p.checkRetries++;
  if (p.checkRetries <= RETRIES_MAX) {
    p.wanted |= what;
    return;
  }
  p.checkRetries = 0;
  if (what === WANT_SET) return groupsSetDone(p, false);
  // A path that cannot report its port groups is not treated as faulty for it.
  if (what === WANT_GROUPS) return;
  if (asksForPatience(outcome)) return;
  checkFailed(p, REASON_PATROL, shown, hostStatus);
}

function checkGood(p: Path, what: u8, page: usize, bytes: u32, sentNs: u64): void {
  p.checkRetries = 0;
  if (what === WANT_HEALTH) {
    // It reported standby, which has no announced end, but it is ready now: so standby has ended.
    const groupsTold = p.groupKnown !== 0 && (p.unit.capabilities & UNIT_CAN_ALUA) !== 0;
    if (!takesIo(p.alua) && !groupsTold) pathAluaState(p, ALUA_NON_OPTIMIZED, 0);
    return healthGood(p, page !== 0, sentNs);
  }
  if (what === WANT_GROUPS) return groupsRead(p, page, bytes);
  if (what === WANT_SET) return groupsSetDone(p, true);
  identityLearn(p, page, bytes);
  if (identityMatches(p.unit, page, bytes)) identityGood(p);
  else identityBad(p);
}

/** The path answers the health check sent at `sentNs`; `read`: it was a READ. */
function healthGood(p: Path, read: bool, sentNs: u64): void {
  const u = p.unit;
  if ((p.silent !== 0 || p.refuses !== 0) && u.blockBytes !== 0) {
    // TEST UNIT READY is not enough if it was sent before the path fell silent, or if the path refuses I/O.
    if (!read) return checkWant(p, WANT_HEALTH);
    p.refuses = 0;
    if ((p.flags & PATH_FLAG_STALLED) === 0) p.silent = 0;
  }
  if (read) {
    p.answeredNs = max(p.answeredNs, sentNs);
    resetHelped(p);
    // Commands it has not answered are lost now, and others may wait for them.
    if (p.orphans !== 0) wakeUnit(u, now + 1);
  }
  pathAnswers(p, sentNs);
  sharerAnswers(p);
  if ((p.flags & PATH_FLAG_FAILED) === 0 || p.back === 0) return;
  if (p.back === <u8>REASON_PATROL && p.backTold === 0) {
    p.backTold = 1;
    event(EVENT_FAILBACK_STARTED, REASON_PATROL, u.index, p.index, 0, 0, 0, 0);
  }
  if ((u.capabilities & UNIT_CAN_ALUA) !== 0) p.wanted |= WANT_GROUPS;
  if (u.identityBytes !== 0) p.wanted |= WANT_IDENTITY;
  else reinstate(p);
}

function identityGood(p: Path): void {
  // The page was requested before the doubt arose that caused the next request: it does not settle that.
  if ((p.wanted & WANT_IDENTITY) !== 0) return;
  pathLeaves(p, PATH_FLAG_UNVERIFIED | PATH_FLAG_WRONG_UNIT, BY_CHECK);
  // Health comes first: while it is still wanted, the path is not back yet.
  if (p.back !== 0 && (p.wanted & WANT_HEALTH) === 0) reinstate(p);
  else unitRefresh(p.unit, REASON_IDENTITY, 0, 0);
}

/**
 * The page that identifies the unit could not be read, which proves nothing: it is requested again, first at once and then at a
 * fixed pace. Until it is read the path gets no I/O; if it never is, the path has failed.
 */
function identityUnread(p: Path, outcome: u8, shown: u32, hostStatus: u16): void {
  if (p.checkRetries < UNREAD_MAX) p.checkRetries++;
  else if (!asksForPatience(outcome)) {
    p.checkRetries = 0;
    return checkFailed(p, REASON_PATROL, shown, hostStatus);
  }
  if (p.checkRetries <= RETRIES_MAX) p.wanted |= WANT_IDENTITY;
  else identitySoon(p, p.checkRetries < UNREAD_MAX);
}

/** It leads to another unit: it gets no I/O, whatever its state was. */
function identityBad(p: Path): void {
  const u = p.unit;
  if ((p.flags & PATH_FLAG_WRONG_UNIT) === 0) event(EVENT_WRONG_UNIT, REASON_IDENTITY, u.index, p.index, 0, 0, 0, 0);
  pathEnters(p, PATH_FLAG_WRONG_UNIT, BY_CHECK);
  pathLeaves(p, PATH_FLAG_UNVERIFIED, BY_CHECK);
  // Any other check would be answered by the wrong unit.
  p.wanted &= WANT_IDENTITY;
  p.wantedLater = 0;
  backFailed(p, REASON_IDENTITY);
  unitRefresh(u, REASON_IDENTITY, 0, 0);
}

/** A path that passed its checks is healthy again. */
function reinstate(p: Path): void {
  const reason = <u32>p.back;
  p.back = 0;
  p.backTold = 0;
  pathLeaves(p, PATH_FLAG_FAILED | PATH_FLAG_STALLED | PATH_FLAG_SUSPECT, BY_CHECK);
  p.sinceNs = hostNow;
  if (reason !== REASON_OPERATOR && failbackMode === FAILBACK_MODE_STANDBY) {
    pathLeaves(p, PATH_FLAG_ENABLED, BY_CHECK);
  }
  event(EVENT_FAILBACK_DONE, reason, p.unitHandle, p.index, 0, 0, 0, 0);
  unitRefresh(p.unit, reason, 0, 0);
}

/** Reinstating it failed. Reported when an operator asked, or when it had been announced. */
function backFailed(p: Path, reason: u32): void {
  const told = p.back === <u8>REASON_OPERATOR || p.backTold !== 0;
  const asked = p.back;
  p.back = 0;
  p.backTold = 0;
  if (asked !== 0 && told) event(EVENT_FAILBACK_FAILED, reason, p.unitHandle, p.index, 0, 0, p.lastSense, 0);
}

/** A check found the path unusable, or got no answer in time. */
function checkFailed(p: Path, reason: u32, shown: u32, hostStatus: u16): void {
  p.wanted = 0;
  p.checkRetries = 0;
  p.lastSense = shown;
  p.lastHostStatus = hostStatus;
  backFailed(p, reason);
  if ((p.flags & PATH_FLAG_FAILED) !== 0) return;
  p.errors++;
  marginalCountOne(p);
  if (showsNoSense(shown)) sharersSuspect(p);
  pathEnters(p, PATH_FLAG_FAILED, reason === REASON_TIMEOUT ? BY_SILENCE : BY_CHECK);
  p.sinceNs = hostNow;
  event(EVENT_PATH_ERROR_CHECK, reason, p.unitHandle, p.index, 0, 0, shown, hostStatus);
  unitRefresh(p.unit, reason, shown, hostStatus);
}

/** The check has timed out. */
export function checkTimedOut(p: Path): void {
  const c = commandAt(commandCount + p.index);
  if (c.busyNs !== busyNs) {
    // For part of that time the host fetched no answers.
    p.checkDueNs = now + (busyNs - c.busyNs);
    c.busyNs = busyNs;
    return;
  }
  p.checkLost = 1;
  if (p.answeredNs > c.timeNs) {
    // It has answered I/O that was sent later, so it lost the check, which is repeated.
    p.wantedLater |= p.checking;
    return marginalCountOne(p);
  }
  p.silent = 1;
  checkFailed(p, REASON_TIMEOUT, 0, 0);
}
