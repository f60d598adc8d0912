// Handles a completed SCSI command: what its outcome means for the path, for the piece, and for the client.

import {
  DIRECTION_OUT,
  OPERATION_FLAG_FAST_ZERO,
  PATH_FLAG_FAILED,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PATH_FLAG_UNVERIFIED,
  REASON_IDENTITY,
  REASON_IO,
  UNIT_CAN_LBA_STATUS,
  UNIT_CAN_WRITE_SAME,
  UNIT_CAN_WRITE_SAME_UNMAP,
} from "../abi";
import { unitDirty } from "../memory/due";
import { EIO, ENOTSUP } from "../memory/errno";
import { listNext, listRemove } from "../memory/lists";
import {
  COMMAND_DEAD,
  COMMAND_FLIGHT,
  COMMAND_FREE,
  COMMAND_ORPHAN,
  COMMAND_HEDGED,
  COMMAND_KEPT,
  COMMAND_LOST,
  Command,
  METHOD_READ,
  METHOD_SAME,
  METHOD_SAME_UNMAP,
  METHOD_STATUS,
  METHOD_SYNC,
  METHOD_UNMAP,
  METHOD_ZERO_WRITE,
  Request,
} from "../memory/records";
import { hostNow } from "../memory/ring";
import { statisticsError, statisticsHedgeWon, statisticsRecord, statisticsRetry } from "../memory/statistics";
import { Path, Unit } from "../memory/topology";
import { hedgeReadBack } from "../overdue/hedge";
import { resetOver } from "../overdue/reset";
import { sharerAnswers, sharersSuspect } from "../overdue/shared";
import { pathAnswers } from "../overdue/stall";
import { checkIdentity } from "../path/ask";
import { aluaOfSense, unitUnverified } from "../path/facts";
import { groupsWanted } from "../path/groups";
import { pathIdle } from "../path/path";
import { marginalCountOne } from "../path/marginal";
import { pathAluaState, pathBack, pathDepthGood, pathDepthLower, pathFailed } from "../path/state";
import { BY_IO } from "../path/states";
import { unitRefresh } from "../path/tiers";
import { writeOff } from "../request/account";
import { allocated, extents } from "../request/allocation";
import { asksForFua, cacheDenied, dataLost, fuaRefused, powerMaybeLost, tellsLoss } from "../request/cache";
import { build, issue } from "../request/dispatch";
import { becomeOrphan, commandGivenUp, commandOverlapsOrphan, orphanCompleted } from "../request/orphan";
import { longLearn } from "../request/long";
import { pastEnd, zeroMethod } from "../request/method";
import { commandDuplicate, isLong } from "../request/pieces";
import { requestFreeIfOver } from "../request/pool";
import { ERROR_AGAIN, requestFail, requestPieceSettled } from "../request/request";
import { delay, requeue } from "../request/retry";
import { shorten } from "../request/short";
import { commandDrop, commandFree } from "../request/slots";
import { stallLearn, stallLearnOrphan } from "../request/threshold";
import {
  BLAME_FAILED,
  BLAME_REFUSAL,
  BLAME_RETRIES,
  BY_OPERATION,
  GROUPS_SAME,
  GROUPS_STATE,
  NEXT_CLIENT_IF_ALL,
  NEXT_HERE,
  NEXT_HERE_VERIFIED,
  NEXT_PAUSE,
  blameOf,
  doubtsIdentity,
  errnoOf,
  groupsAfter,
  isAnswer,
  lowersDepth,
  nextOf,
} from "../scsi/meaning";
import { OUTCOME_GOOD, OUTCOME_PROTECTED, OUTCOME_UNSUPPORTED } from "../scsi/outcome";
import { KEY_ABSENT, keyOf } from "../scsi/sense";
import { timedOut } from "../scsi/status";
import { tellControl } from "./attention";
import { classify, fromDevice, sense, senseBytes } from "./classify";
import { refusalNote, refusalsCount } from "./refusal";

const LINK: usize = offsetof<Command>("next");
const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");
const FLIGHT: usize = offsetof<Unit>("flightFirst");
/** How often a command is retried on the same path before another path gets it. */
const RETRIES_MAX: u8 = 3;

/** The host has completed a command of a request. */
export function commandCompleted(c: Command, result: i32, timeNs: u64): void {
  const u = c.unit;
  const p = c.path;
  listRemove(changetype<usize>(u) + FLIGHT, changetype<usize>(c), LINK);
  c.state = COMMAND_FREE;
  p.inFlight--;
  if (isLong(c.method)) u.longs--;
  if (p.inFlight < p.depth) u.full &= ~((<u32>1) << (<u32>p.slot));
  if ((u.queueFirst | u.retryFirst | u.flows) !== 0) unitDirty(u);
  const outcome = classify(c, result);
  const good = outcome === OUTCOME_GOOD;
  const latencyNs = timeNs > c.timeNs ? timeNs - c.timeNs : 0;
  writeOff(c, timeNs, good);
  if (fromDevice(c, result)) {
    p.lastAnswerNs = hostNow;
    p.lastIoNs = timeNs;
    if (c.timeNs > p.answeredNs) p.answeredNs = c.timeNs;
  }
  if ((c.flags & (COMMAND_ORPHAN | COMMAND_LOST)) !== 0) {
    orphanCompleted(c);
    if ((c.flags & COMMAND_LOST) !== 0) p.lost--;
    if (p.orphans === 0) resetOver(p);
  }
  if (good) commandGood(c, u, p, latencyNs);
  else commandBad(c, u, p, outcome);
  if (p.inFlight === 0) pathIdle(p);
}

function commandGood(c: Command, u: Unit, p: Path, latencyNs: u64): void {
  p.ios++;
  statisticsRecord(p.statistics, c.method !== METHOD_READ, c.pieceBytes, latencyNs);
  if (c.method === METHOD_READ) p.bytesRead += <u64>c.pieceBytes;
  else if (c.direction === <u8>DIRECTION_OUT) p.bytesWritten += <u64>c.bufferBytes;
  if (p.depth !== p.depthMax) pathDepthGood(u, p);
  hedgeReadBack(u, c, latencyNs);
  if ((c.flags & COMMAND_ORPHAN) !== 0) {
    if (!isLong(c.method)) stallLearnOrphan(u, latencyNs);
    pathBack(p);
  } else if (c.method <= METHOD_ZERO_WRITE) stallLearn(u, latencyNs);
  if (isLong(c.method)) longLearn(u, c, latencyNs);
  if ((c.refused | (<u32>p.refusals)) !== 0) refusalsOver(c, u, p);
  if ((p.flags & (PATH_FLAG_STALLED | PATH_FLAG_SUSPECT)) !== 0) {
    pathAnswers(p, c.timeNs);
    sharerAnswers(p);
  }
  if ((c.flags & COMMAND_DEAD) !== 0) return free(c);
  if (c.method === METHOD_STATUS) extents(c);
  pieceDone(c);
}

/** A path has completed a piece: it does not refuse I/O now, but others have refused this piece. */
function refusalsOver(c: Command, u: Unit, p: Path): void {
  p.refusals = 0;
  refusalsCount(u, c.refused & ~((<u32>1) << (<u32>p.slot)));
  c.refused = 0;
}

/** Frees a command that is in no list of its unit. */
function free(c: Command): void {
  const r = c.request;
  commandFree(c);
  requestFreeIfOver(r);
}

/** A piece is done: the first good answer wins, other commands for it no longer matter. */
function pieceDone(c: Command): void {
  const r = c.request;
  if (r.syncAfter !== 0) r.powerLosses = min(r.powerLosses, c.powerLosses);
  if (listNext(r.commandFirst, OF_REQUEST) !== 0) endDuplicates(c, false);
  if (c.ownBuffer !== 0 && c.method === METHOD_READ) {
    if ((c.flags & COMMAND_HEDGED) !== 0) statisticsHedgeWon(r.unit.statistics);
    c.state = COMMAND_KEPT;
    r.kept++;
  } else commandFree(c);
  requestPieceSettled(r);
}

/** Other commands for the piece of `c` no longer matter; `open`: it remains open whether they are carried out. */
function endDuplicates(c: Command, open: bool): void {
  for (let at = c.request.commandFirst; at !== 0;) {
    const other = changetype<Command>(at);
    at = listNext(at, OF_REQUEST);
    if (other === c || other.pieceOffset !== c.pieceOffset || other.method !== c.method) continue;
    if ((other.flags & COMMAND_DEAD) !== 0 || other.state === COMMAND_KEPT) continue;
    if (other.state !== COMMAND_FLIGHT) commandDrop(other);
    else if (open) commandGivenUp(other);
    else {
      becomeOrphan(other);
      other.flags |= COMMAND_DEAD;
    }
  }
}

/** A piece cannot be carried out: its client gets `error`. */
function pieceFailed(c: Command, error: u32): void {
  const r = c.request;
  endDuplicates(c, true);
  commandFree(c);
  r.pieces--;
  requestFail(r, error);
}

/**
 * Whether an outcome leaves the piece to another command in flight for it. A reservation may cover one path and not the other:
 * then the conflict says nothing about the request.
 */
function tellsOnly(c: Command, outcome: u8): bool {
  return (c.flags & (COMMAND_ORPHAN | COMMAND_HEDGED)) !== 0 || outcome === OUTCOME_PROTECTED;
}

/** What an unsuccessful command implies for its path, then what becomes of its piece. */
function commandBad(c: Command, u: Unit, p: Path, outcome: u8): void {
  const shown = senseBytes(c);
  const blame = blameOf(outcome);
  if (timedOut(c.hostStatus, c.driverStatus) && p.answeredNs > c.timeNs) {
    // The host has given up one command of a path that answers others. If it may legitimately take long, nobody is blamed.
    if (!isLong(c.method)) {
      p.errors++;
      statisticsError(p.statistics);
      if ((c.flags & COMMAND_LOST) === 0) marginalCountOne(p);
    }
  } else if (blame === BLAME_REFUSAL) refusalNote(p, shown);
  else if (blame === BLAME_FAILED) {
    // Without sense data nothing answered: the fault may be that of a shared component.
    if (keyOf(sense) === KEY_ABSENT && (p.flags & PATH_FLAG_FAILED) === 0) sharersSuspect(p);
    pathFailed(p, REASON_IO, shown, c.hostStatus);
  }
  const lost = tellsLoss(c.method, outcome, sense);
  if (lost) dataLost(p, REASON_IO, sense, shown);
  if (lowersDepth(outcome)) pathDepthLower(u, p);
  if (groupsAfter(outcome) === GROUPS_STATE) pathAluaState(p, aluaOfSense(sense), shown);
  if (groupsAfter(outcome) !== GROUPS_SAME) groupsWanted(p);
  tellControl(p, outcome, REASON_IO, sense, shown);
  // The path may lead elsewhere now: no I/O on it before its identity is checked.
  if (doubtsIdentity(outcome)) {
    powerMaybeLost(u, sense);
    checkIdentity(p, BY_IO);
    unitRefresh(u, REASON_IDENTITY, shown, 0);
  }
  // Its piece was settled, or another command for it is in flight: this one only counts for its path.
  const flushFailed = lost && c.method === METHOD_SYNC;
  if ((c.flags & COMMAND_DEAD) !== 0 || (!flushFailed && tellsOnly(c, outcome) && commandDuplicate(c))) return free(c);
  c.flags = 0;
  if (c.request.error !== 0) return pieceFailed(c, c.request.error);
  if (flushFailed) pieceFailed(c, EIO);
  else if (isAnswer(outcome) && !isAskedElsewhere(c, u, p, outcome)) answered(c, u, outcome);
  else sendAgain(c, u, p, outcome, shown);
}

/**
 * Whether another path is asked before the client gets an error for an address past the end: a unit may have grown, and this path
 * not show it yet. Nothing was carried out. Paths that answered something else have not reported that end, nor have paths whose
 * identity is being checked.
 */
function isAskedElsewhere(c: Command, u: Unit, p: Path, outcome: u8): bool {
  if (nextOf(outcome) !== NEXT_CLIENT_IF_ALL) return false;
  c.pastEnd |= (<u32>1) << (<u32>p.slot);
  return (u.eligible & ~c.pastEnd) !== 0 || unitUnverified(u);
}

/** Sends the piece again: here, elsewhere, or after a pause. */
function sendAgain(c: Command, u: Unit, p: Path, outcome: u8, shown: u32): void {
  const here = (<u32>1) << (<u32>p.slot);
  const next = nextOf(outcome);
  const blame = blameOf(outcome);
  if (next === NEXT_HERE || next === NEXT_HERE_VERIFIED) {
    if (c.retries < RETRIES_MAX && (u.eligible & here) !== 0) {
      c.retries++;
      p.retries++;
      if (blame === BLAME_RETRIES) marginalCountOne(p);
      statisticsRetry(p.statistics);
      if ((u.full & here) === 0 && !commandOverlapsOrphan(u, c)) return issue(c, p.slot);
    } else if (next === NEXT_HERE_VERIFIED && c.retries < RETRIES_MAX && (p.flags & PATH_FLAG_UNVERIFIED) !== 0) {
      // It may be sent here again once the path has been identified, or on another one now.
      c.retries++;
      p.retries++;
      statisticsRetry(p.statistics);
      return requeue(c);
    } else if (blame === BLAME_RETRIES) pathFailed(p, REASON_IO, shown, c.hostStatus);
  }
  c.retries = 0;
  c.tried |= here;
  if (blame === BLAME_REFUSAL) c.refused |= here;
  const elsewhere = (u.eligible & ~c.tried) !== 0;
  if ((next === NEXT_PAUSE || next === NEXT_CLIENT_IF_ALL) && !elsewhere) {
    // The device asks for patience: that is limited by the request's deadline, not by a count. The same applies to a port group
    // in transition that does not report it, or not yet. If only some paths report the end of the unit, the others are asked
    // soon.
    c.tried = 0;
    return delay(c);
  }
  requeue(c);
}

/** The device's own answer. */
function answered(c: Command, u: Unit, outcome: u8): void {
  const r = c.request;
  if (outcome === OUTCOME_UNSUPPORTED && c.method === METHOD_UNMAP) return pieceDone(c);
  if (outcome === OUTCOME_UNSUPPORTED && c.method === METHOD_SYNC) return flushRefused(c, u, r);
  if (outcome === OUTCOME_UNSUPPORTED && knowsAnotherWay(u, c)) {
    build(u, r, c);
    return requeue(c);
  }
  if (outcome === OUTCOME_UNSUPPORTED && (c.method === METHOD_SAME || c.method === METHOD_SAME_UNMAP)) {
    return zeroAnotherWay(c, u, r);
  }
  if (c.method === METHOD_STATUS && outcome !== OUTCOME_PROTECTED) {
    // The device did not promise to report it: what is not known to be a hole counts as data.
    if (outcome === OUTCOME_UNSUPPORTED) u.capabilities &= ~UNIT_CAN_LBA_STATUS;
    allocated(r);
    return pieceDone(c);
  }
  const error = errnoOf(outcome);
  pieceFailed(c, error === BY_OPERATION ? pastEnd(<u32>r.kind) : error);
}

/** Whether a READ or WRITE that the device does not know is retried: first without FUA, then with the shorter CDB. */
function knowsAnotherWay(u: Unit, c: Command): bool {
  if (!asksForFua(c)) return shorten(u, c, sense);
  fuaRefused(u, c.path);
  return true;
}

/**
 * The device does not know SYNCHRONIZE CACHE: the shorter form is tried; without either it has no cache, unless it has reported
 * one.
 */
function flushRefused(c: Command, u: Unit, r: Request): void {
  if (c.cdbBytes === 16) {
    u.shortSync = 1;
    build(u, r, c);
    requeue(c);
  } else if (cacheDenied(u, c.path)) pieceDone(c);
  else pieceFailed(c, EIO);
}

/** The device does not support WRITE SAME as it claimed: it is not used any more, and this request restarts. */
function zeroAnotherWay(c: Command, u: Unit, r: Request): void {
  const lost = c.method === METHOD_SAME ? UNIT_CAN_WRITE_SAME : UNIT_CAN_WRITE_SAME_UNMAP;
  u.capabilities &= ~lost;
  if ((r.flags & OPERATION_FLAG_FAST_ZERO) !== 0 && zeroMethod(u, r.flags) === METHOD_ZERO_WRITE) {
    return pieceFailed(c, ENOTSUP);
  }
  r.method = (u.capabilities & UNIT_CAN_WRITE_SAME) !== 0 ? METHOD_SAME : METHOD_ZERO_WRITE;
  r.whole = r.method;
  pieceFailed(c, ERROR_AGAIN);
}
