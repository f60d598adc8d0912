// Handles a completed SCSI command: what its outcome means for the path, for the piece, and for the client.

import {
  DIRECTION_OUT,
  OPERATION_FLAG_FAST_ZERO,
  PATH_FLAG_FAILED,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PATH_FLAG_UNREGISTERED,
  PATH_FLAG_UNVERIFIED,
  REASON_IDENTITY,
  REASON_IO,
  REASON_RESERVATION,
  UNIT_CAN_LBA_STATUS,
  UNIT_CAN_WRITE_SAME,
  UNIT_CAN_WRITE_SAME_UNMAP,
} from "../abi";
import { unitDirty } from "../memory/due";
import { EIO, ENOTSUP } from "../memory/errno";
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
import { listsOf } from "../memory/unit-lists";
import { hedgeReadBack } from "../overdue/hedge";
import { resetOver } from "../overdue/reset";
import { sharerAnswers, sharersSuspect } from "../overdue/shared";
import { pathAnswers } from "../overdue/stall";
import { checkIdentity } from "../path/ask";
import { aluaOfSense, unitAwaitsPath } from "../path/facts";
import { groupsWanted } from "../path/groups";
import { pathIdle } from "../path/path";
import { marginalCountOne } from "../path/marginal";
import { pathAluaState, pathBack, pathDepthGood, pathDepthLower, pathFailed } from "../path/io-effects";
import { registrationDoubt, registrationSense } from "../path/registration";
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
import { OUTCOME_CONFLICT, OUTCOME_GOOD, OUTCOME_PROTECTED, OUTCOME_UNSUPPORTED } from "../scsi/outcome";
import { KEY_ABSENT, keyOf } from "../scsi/sense";
import { timedOut } from "../scsi/status";
import { tellControl } from "./attention";
import { classify, fromDevice, sense, senseBytes } from "./classify";
import { refusalNote, refusalsCount } from "./refusal";

/** How often a command is retried on the same path before another path gets it. */
const RETRIES_MAX: u8 = 3;

/** The host has completed a command of a request. */
export function commandCompleted(command: Command, result: i32, timeNs: u64): void {
  const unit = command.unit;
  const path = command.path;
  listsOf(unit).inFlight.remove(command);
  command.state = COMMAND_FREE;
  path.inFlight--;
  if ((command.flags & COMMAND_ORPHAN) !== 0) path.orphansHeld--;
  if (isLong(command.method)) unit.longs--;
  if (path.inFlight < path.depth) unit.full &= ~((<u32>1) << (<u32>path.slot));
  if ((unit.queueFirst | unit.retryFirst | unit.flows) !== 0) unitDirty(unit);
  const outcome = classify(command, result);
  const good = outcome === OUTCOME_GOOD;
  const latencyNs = timeNs > command.timeNs ? timeNs - command.timeNs : 0;
  writeOff(command, timeNs, good);
  if (fromDevice(command, result)) {
    path.lastAnswerNs = hostNow;
    path.lastIoNs = timeNs;
    if (command.timeNs > path.answeredNs) path.answeredNs = command.timeNs;
  }
  if ((command.flags & (COMMAND_ORPHAN | COMMAND_LOST)) !== 0) {
    orphanCompleted(command);
    if ((command.flags & COMMAND_LOST) !== 0) path.lost--;
    if (path.orphans === 0) resetOver(path, BY_IO);
  }
  if (good) commandGood(command, unit, path, latencyNs);
  else commandBad(command, unit, path, outcome);
  if (path.inFlight === 0) pathIdle(path);
}

function commandGood(command: Command, unit: Unit, path: Path, latencyNs: u64): void {
  path.ios++;
  statisticsRecord(path.statistics, command.method !== METHOD_READ, command.pieceBytes, latencyNs);
  if (command.method === METHOD_READ) path.bytesRead += <u64>command.pieceBytes;
  else if (command.direction === <u8>DIRECTION_OUT) path.bytesWritten += <u64>command.bufferBytes;
  if (path.depth !== path.depthMax) pathDepthGood(unit, path);
  hedgeReadBack(unit, command, latencyNs);
  if ((command.flags & COMMAND_ORPHAN) !== 0) {
    if (!isLong(command.method)) stallLearnOrphan(unit, latencyNs);
    pathBack(path);
  } else if (command.method <= METHOD_ZERO_WRITE) stallLearn(unit, latencyNs);
  if (isLong(command.method)) longLearn(unit, command, latencyNs);
  if ((command.refused | (<u32>path.refusals)) !== 0) refusalsOver(command, unit, path);
  if ((path.flags & (PATH_FLAG_STALLED | PATH_FLAG_SUSPECT)) !== 0) {
    pathAnswers(path, command.timeNs);
    sharerAnswers(path);
  }
  if ((command.flags & COMMAND_DEAD) !== 0) return free(command);
  if (command.method === METHOD_STATUS) extents(command);
  pieceDone(command);
}

/** A path has completed a piece: it does not refuse I/O now, but others have refused this piece. */
function refusalsOver(command: Command, unit: Unit, path: Path): void {
  path.refusals = 0;
  refusalsCount(unit, command.refused & ~((<u32>1) << (<u32>path.slot)));
  command.refused = 0;
}

/** Frees a command that is in no list of its unit. */
function free(command: Command): void {
  const request = command.request;
  commandFree(command);
  requestFreeIfOver(request);
}

/** A piece is done: the first good answer wins, other commands for it no longer matter. */
function pieceDone(command: Command): void {
  const request = command.request;
  if (request.syncAfter !== 0) request.powerLosses = min(request.powerLosses, command.powerLosses);
  if (changetype<usize>(request.commands.first.nextOfRequest) !== 0) endDuplicates(command, false);
  if (command.ownBuffer !== 0 && command.method === METHOD_READ) {
    if ((command.flags & COMMAND_HEDGED) !== 0) statisticsHedgeWon(request.unit.statistics);
    command.state = COMMAND_KEPT;
    request.kept++;
  } else commandFree(command);
  requestPieceSettled(request);
}

/** Other commands for the piece of `command` no longer matter; `open`: whether they are carried out stays unknown. */
function endDuplicates(command: Command, open: bool): void {
  for (let next = command.request.commands.first; changetype<usize>(next) !== 0;) {
    const other = next;
    next = other.nextOfRequest;
    if (other === command || other.pieceOffset !== command.pieceOffset || other.method !== command.method) continue;
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
function pieceFailed(command: Command, error: u32): void {
  const request = command.request;
  endDuplicates(command, true);
  commandFree(command);
  request.pieces--;
  requestFail(request, error);
}

/**
 * Whether an outcome leaves the piece to another command in flight for it. A reservation may cover one path and not the other:
 * then the conflict says nothing about the request.
 */
function tellsOnly(command: Command, outcome: u8): bool {
  return (command.flags & (COMMAND_ORPHAN | COMMAND_HEDGED)) !== 0 || outcome === OUTCOME_CONFLICT;
}

/** What an unsuccessful command implies for its path, then what becomes of its piece. */
function commandBad(command: Command, unit: Unit, path: Path, outcome: u8): void {
  const shown = senseBytes(command);
  const blame = blameOf(outcome);
  if (timedOut(command.hostStatus, command.driverStatus) && path.answeredNs > command.timeNs) {
    // The host has given up one command of a path that answers others. If it may legitimately take long, nobody is blamed.
    if (!isLong(command.method)) {
      path.errors++;
      statisticsError(path.statistics);
      if ((command.flags & COMMAND_LOST) === 0) marginalCountOne(path);
    }
  } else if (blame === BLAME_REFUSAL) refusalNote(path, shown);
  else if (blame === BLAME_FAILED) {
    // Without sense data nothing answered: the fault may be that of a shared component.
    if (keyOf(sense) === KEY_ABSENT && (path.flags & PATH_FLAG_FAILED) === 0) sharersSuspect(path);
    pathFailed(path, REASON_IO, shown, command.hostStatus);
  }
  const lost = tellsLoss(command.method, outcome, sense);
  if (lost) dataLost(path, REASON_IO, sense, shown);
  if (lowersDepth(outcome)) pathDepthLower(unit, path);
  if (groupsAfter(outcome) === GROUPS_STATE) pathAluaState(path, aluaOfSense(sense), shown);
  if (groupsAfter(outcome) !== GROUPS_SAME) groupsWanted(path);
  tellControl(path, outcome, REASON_IO, sense, shown);
  const registration = registrationSense(sense);
  if (registration !== 0) registrationDoubt(path, registration, BY_IO);
  // The path may lead elsewhere now: no I/O on it before its identity is checked.
  if (doubtsIdentity(outcome)) {
    powerMaybeLost(unit, sense);
    checkIdentity(path, BY_IO);
    unitRefresh(unit, REASON_IDENTITY, shown, 0);
  } else if (registration !== 0) unitRefresh(unit, REASON_RESERVATION, shown, 0);
  // Its piece was settled, or another command for it is in flight: this one only counts for its path.
  const flushFailed = lost && command.method === METHOD_SYNC;
  if (
    (command.flags & COMMAND_DEAD) !== 0 ||
    (!flushFailed && tellsOnly(command, outcome) && commandDuplicate(command))
  )
    return free(command);
  command.flags = 0;
  if (command.request.error !== 0) return pieceFailed(command, command.request.error);
  if (flushFailed) pieceFailed(command, EIO);
  else if (isAnswer(outcome) && !isAskedElsewhere(command, unit, path, outcome)) answered(command, unit, outcome);
  else sendAgain(command, unit, path, outcome, shown);
}

/**
 * Whether another path is asked before the client gets an error for an address past the end: a unit may have grown, and this
 * path may not show it yet. Nothing was carried out. Paths that answered something else have not reported that end, nor have paths whose
 * identity is being checked.
 */
function isAskedElsewhere(command: Command, unit: Unit, path: Path, outcome: u8): bool {
  if (nextOf(outcome) !== NEXT_CLIENT_IF_ALL) return false;
  command.pastEnd |= (<u32>1) << (<u32>path.slot);
  return (unit.eligible & ~command.pastEnd) !== 0 || unitAwaitsPath(unit);
}

/** Whether the outcome, which did not fail the path, bars it until it is identified or registered. */
function isBarredForNow(path: Path, next: u32): bool {
  if ((path.flags & PATH_FLAG_UNREGISTERED) !== 0) return true;
  return next === NEXT_HERE_VERIFIED && (path.flags & PATH_FLAG_UNVERIFIED) !== 0;
}

/** Sends the piece again: here, elsewhere, or after a pause. */
function sendAgain(command: Command, unit: Unit, path: Path, outcome: u8, shown: u32): void {
  const here = (<u32>1) << (<u32>path.slot);
  const next = nextOf(outcome);
  const blame = blameOf(outcome);
  if (next === NEXT_HERE || next === NEXT_HERE_VERIFIED) {
    if (command.retries < RETRIES_MAX && (unit.eligible & here) !== 0) {
      command.retries++;
      path.retries++;
      if (blame === BLAME_RETRIES) marginalCountOne(path);
      statisticsRetry(path.statistics);
      if ((unit.full & here) === 0 && !commandOverlapsOrphan(unit, command)) return issue(command, path.slot);
    } else if (command.retries < RETRIES_MAX && isBarredForNow(path, next)) {
      // It may be sent here again once the path has been identified or registered, or on another one now.
      command.retries++;
      path.retries++;
      statisticsRetry(path.statistics);
      return requeue(command);
    } else if (blame === BLAME_RETRIES) pathFailed(path, REASON_IO, shown, command.hostStatus);
  }
  command.retries = 0;
  command.tried |= here;
  if (blame === BLAME_REFUSAL) command.refused |= here;
  const elsewhere = (unit.eligible & ~command.tried) !== 0;
  if ((next === NEXT_PAUSE || next === NEXT_CLIENT_IF_ALL) && !elsewhere) {
    // The device asks for patience: that is limited by the request's deadline, not by a count. The same applies to a port group
    // in transition that does not report it, or not yet. If only some paths report the end of the unit, the others are asked
    // soon.
    command.tried = 0;
    return delay(command);
  }
  requeue(command);
}

/** The device's own answer. */
function answered(command: Command, unit: Unit, outcome: u8): void {
  const request = command.request;
  if (outcome === OUTCOME_UNSUPPORTED && command.method === METHOD_UNMAP) return pieceDone(command);
  if (outcome === OUTCOME_UNSUPPORTED && command.method === METHOD_SYNC) return flushRefused(command, unit, request);
  if (outcome === OUTCOME_UNSUPPORTED && knowsAnotherWay(unit, command)) {
    build(unit, request, command);
    return requeue(command);
  }
  if (outcome === OUTCOME_UNSUPPORTED && (command.method === METHOD_SAME || command.method === METHOD_SAME_UNMAP)) {
    return zeroAnotherWay(command, unit, request);
  }
  if (command.method === METHOD_STATUS && outcome !== OUTCOME_PROTECTED && outcome !== OUTCOME_CONFLICT) {
    // The device did not promise to report it: what is not known to be a hole counts as data.
    if (outcome === OUTCOME_UNSUPPORTED) unit.capabilities &= ~UNIT_CAN_LBA_STATUS;
    allocated(request);
    return pieceDone(command);
  }
  const error = errnoOf(outcome);
  if (keyOf(sense) !== KEY_ABSENT) request.sense = sense;
  pieceFailed(command, error === BY_OPERATION ? pastEnd(<u32>request.kind) : error);
}

/** Whether a READ or WRITE that the device does not know is retried: first without FUA, then with the shorter CDB. */
function knowsAnotherWay(unit: Unit, command: Command): bool {
  if (!asksForFua(command)) return shorten(unit, command, sense);
  fuaRefused(unit, command.path);
  return true;
}

/**
 * The device does not know SYNCHRONIZE CACHE: the shorter form is tried; without either it has no cache, unless it has reported
 * one.
 */
function flushRefused(command: Command, unit: Unit, request: Request): void {
  if (command.cdbBytes === 16) {
    unit.shortSync = 1;
    build(unit, request, command);
    requeue(command);
  } else if (cacheDenied(unit, command.path)) pieceDone(command);
  else pieceFailed(command, EIO);
}

/** The device does not support WRITE SAME as it claimed: it is not used any more, and this request restarts. */
function zeroAnotherWay(command: Command, unit: Unit, request: Request): void {
  const lost = command.method === METHOD_SAME ? UNIT_CAN_WRITE_SAME : UNIT_CAN_WRITE_SAME_UNMAP;
  unit.capabilities &= ~lost;
  if ((request.flags & OPERATION_FLAG_FAST_ZERO) !== 0 && zeroMethod(unit, request.flags) === METHOD_ZERO_WRITE) {
    return pieceFailed(command, ENOTSUP);
  }
  request.method = (unit.capabilities & UNIT_CAN_WRITE_SAME) !== 0 ? METHOD_SAME : METHOD_ZERO_WRITE;
  request.whole = request.method;
  pieceFailed(command, ERROR_AGAIN);
}
