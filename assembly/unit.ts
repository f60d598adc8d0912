// Logical units: how they come and go, their tiers of paths, the time limits of their requests. What control may set of
// them is in unitset.ts.
//
// Tiers: eligible paths that are in order and optimized; in order and non-optimized; suspected or stalled; shaky. I/O
// goes to the first tier that is not empty, chosen there by the policy; the lower ones serve pieces that have failed
// on all of the first.

import {
  ALUA_OPTIMIZED,
  CONTROL_SEED,
  ERROR_BUSY,
  ERROR_HANDLE,
  ERROR_LIMIT,
  ERROR_RANGE,
  EVENT_FAILOVER_DONE,
  EVENT_FAILOVER_FAILED,
  EVENT_FAILOVER_STARTED,
  EVENT_PATH_STATE,
  IDENTITY_BYTES_MAX,
  PATH_FLAG_ENABLED,
  PATH_FLAG_IN_USE,
  PATH_FLAG_SHAKY,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PIECE_BYTES_MAX,
  POLICY_STATIC,
  REASON_OPERATOR,
  REASON_TIMEOUT,
  UNIT_BYTES,
  UNIT_FLAG_PRESENT,
  UNIT_FLAG_RELEASED,
  UNIT_SLOTS,
  ZEROING_PIECE_BYTES_FIRST,
  ZEROING_PIECE_BYTES_MAX,
} from "./abi";
import { groupsConsiderSet, groupsTimer } from "./alua";
import { checkIdentity } from "./check";
import { unitDispatch } from "./dispatch";
import { listNext, listPush, listRemove, listShift } from "./lists";
import { control, scratchArea, selectionOf, unitAt, unitCount, unitStatistics } from "./memory";
import { longPutOff, renewAll } from "./long";
import { NBD_EIO } from "./nbd";
import { pathEligible, pathFailed, unitPath, unitUnverified } from "./path";
import { COMMAND_FLIGHT, Command, Request } from "./records";
import { requestAbandon } from "./request";
import { delaysOver, noPathFail, noPathWaitNs, transitionPutOff } from "./retry";
import { NONE, event, now } from "./ring";
import { inUse, selectionInit, selectionSetPolicy, selectionSetUsable } from "./selection/selection";
import { notStarved } from "./slots";
import { stallThreshold, stallTimer } from "./stall";
import { statisticsReset } from "./statistics";
import { NEVER, timerSet, timerSooner } from "./timers";
import { Path, UNIT_IDENTITY, Unit } from "./topology";

const SIBLING: usize = offsetof<Command>("siblingNext");
const LINK: usize = offsetof<Unit>("dirtyNext");
const MS: u64 = 1000000;
const DEFAULT_IO_TIMEOUT_MS: u64 = 60000;
const DEFAULT_NO_PATH_TIMEOUT_MS: u64 = 30000;
const DEFAULT_STALL_MIN_MS: u64 = 20;
const DEFAULT_STALL_MAX_MS: u64 = 5000;
const DEFAULT_GHOST_RESET_MS: u64 = 30000;
const DEFAULT_LOST_RESET_MS: u64 = 2000;
const DEFAULT_COMMAND_TIMEOUT_MS: u64 = 30000;
const dirty: usize = memory.data(8, 8);

/** Something is to be dispatched at the end of the turn. */
export function unitDirty(u: Unit): void {
  if (u.dirty !== 0) return;
  u.dirty = 1;
  listPush(dirty, changetype<usize>(u), LINK);
}

/** Whether a unit has something to dispatch. */
export function unitsPending(): bool {
  return load<usize>(dirty) !== 0;
}

/** Dispatches what is due. */
export function unitsServe(): void {
  for (let at = listShift(dirty, LINK); at !== 0; at = listShift(dirty, LINK)) {
    const u = changetype<Unit>(at);
    u.dirty = 0;
    unitDispatch(u);
  }
}

/** The unit's timer has fired: pauses, deadlines, the wait for a path. */
export function unitTimer(u: Unit): void {
  if ((u.flags & UNIT_FLAG_PRESENT) === 0) return;
  delaysOver(u);
  groupsTimer(u);
  while (u.requestFirst !== 0) {
    const r = changetype<Request>(u.requestFirst);
    if (r.deadlineNs > now) {
      timerSooner(u.index, r.deadlineNs);
      break;
    }
    if (longPutOff(r) || transitionPutOff(r)) continue;
    blame(r);
    requestAbandon(r, NBD_EIO);
  }
  stallTimer(u);
  if (u.lanes !== 0) unitDirty(u);
  if (u.noPathNs === 0 || u.requestFirst === 0) return;
  const waitNs = noPathWaitNs(u);
  if (waitNs !== 0 || !unitUnverified(u)) {
    const before = now > waitNs ? now - waitNs : 0;
    const dueNs = noPathFail(u, before);
    if (dueNs !== NEVER) timerSooner(u.index, dueNs);
  }
}

/** The deadline has come: paths that had half of the time, and have answered nothing since, have failed. */
function blame(r: Request): void {
  for (let at = r.commandFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, SIBLING);
    if (c.state !== COMMAND_FLIGHT || c.timeNs + r.unit.ioTimeoutNs / 2 > now) continue;
    if (c.path.answeredNs > c.timeNs) continue;
    c.path.silent = 1;
    pathFailed(c.path, REASON_TIMEOUT, 0, 0);
  }
}

/** Works out anew which paths get I/O and which are in use, and tells what changed. */
export function unitRefresh(u: Unit, reason: u32, sense: u32, hostStatus: u16): void {
  tiers(u);
  selectionSetUsable(u.selection, u.usable);
  const used = u.usable === 0 ? 0 : inUse(u.selection);
  let left: u32 = NONE;
  let first: u32 = NONE;
  let firstPriority: u32 = 0;
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    const p = unitPath(u, slot);
    const before = p.toldFlags;
    const uses = ((used >> slot) & 1) !== 0;
    p.flags = uses ? p.flags | PATH_FLAG_IN_USE : p.flags & ~PATH_FLAG_IN_USE;
    if (uses && <u32>p.priority > firstPriority) {
      firstPriority = p.priority;
      first = p.index;
    }
    if ((before & PATH_FLAG_IN_USE) !== 0 && !uses && faulty(p)) left = p.index;
    if (p.flags === before) continue;
    p.toldFlags = p.flags;
    event(EVENT_PATH_STATE, reason, u.index, p.index, before, p.flags, sense, hostStatus);
  }
  u.inUsePath = first;
  // With no other path, one whose identity is being checked is about to be back, or to be found bad.
  const doubtOnly = first === NONE && unitUnverified(u);
  if (left !== NONE && reason !== REASON_OPERATOR && !doubtOnly) failover(u, left, first, reason, sense, hostStatus);
  pathless(u, reason);
  if (u.aluaExplicit !== 0) groupsConsiderSet(u);
}

/** Whether a path is left because of a fault. */
function faulty(p: Path): bool {
  if ((p.flags & PATH_FLAG_ENABLED) === 0) return false;
  return !pathEligible(p) || (p.flags & (PATH_FLAG_STALLED | PATH_FLAG_SHAKY)) !== 0;
}

function failover(u: Unit, left: u32, first: u32, reason: u32, sense: u32, hostStatus: u16): void {
  event(EVENT_FAILOVER_STARTED, reason, u.index, left, 0, 0, sense, hostStatus);
  if (first !== NONE) event(EVENT_FAILOVER_DONE, reason, u.index, first, left, 0, 0, 0);
  else event(EVENT_FAILOVER_FAILED, reason, u.index, left, 0, 0, sense, hostStatus);
}

/** Begins or ends the wait for a path. */
function pathless(u: Unit, reason: u32): void {
  if (u.eligible === 0) {
    if (u.noPathNs !== 0) {
      // What has waited for an identity check only may have to wait for a path now.
      if (u.noPathTold === 0 && u.requestFirst !== 0) unitDirty(u);
      // How long that may be has perhaps changed: a transition has ended in another state that takes no I/O.
      timerSooner(u.index, max(now + 1, u.noPathNs + u.noPathTimeoutNs));
      return;
    }
    u.noPathNs = max<u64>(now, 1);
    u.noPathReason = reason;
    if (u.requestFirst !== 0) unitDirty(u);
    return;
  }
  if (u.noPathNs !== 0) {
    u.noPathNs = 0;
    u.waiting = 0;
    u.noPathTold = 0;
    if (u.putOff !== 0) renewAll(u);
    u.putOff = 0;
    u.released = 0;
    u.flags &= ~UNIT_FLAG_RELEASED;
  }
  if ((u.queueFirst | u.retryFirst | u.lanes) !== 0) unitDirty(u);
}

function tiers(u: Unit): void {
  let best: u32 = 0;
  let second: u32 = 0;
  let third: u32 = 0;
  let fourth: u32 = 0;
  let fifth: u32 = 0;
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    const p = unitPath(u, slot);
    if (!pathEligible(p)) continue;
    const bit = (<u32>1) << slot;
    if ((p.flags & PATH_FLAG_STALLED) !== 0) fifth |= bit;
    else if ((p.flags & PATH_FLAG_SHAKY) !== 0) fourth |= bit;
    else if ((p.flags & PATH_FLAG_SUSPECT) !== 0) third |= bit;
    else if (<u32>p.alua === ALUA_OPTIMIZED) best |= bit;
    else second |= bit;
  }
  u.eligible = best | second | third | fourth | fifth;
  u.stalled = fifth;
  u.usable = best;
  if (u.usable === 0) u.usable = second;
  if (u.usable === 0) u.usable = third;
  if (u.usable === 0) u.usable = fourth;
  if (u.usable === 0) u.usable = fifth;
  u.tier2 = second & ~u.usable;
  u.tier3 = third & ~u.usable;
  u.tier4 = fourth & ~u.usable;
  u.tier5 = fifth & ~u.usable;
}

let firstFree: u32 = 0;

/** See docs/architecture.md, `unitAdd`. */
export function unitAdd(): i32 {
  while (firstFree < unitCount && unitAt(firstFree).flags !== 0) firstFree++;
  if (firstFree === unitCount) return -(<i32>ERROR_LIMIT);
  const u = unitAt(firstFree);
  memory.fill(changetype<usize>(u), 0, UNIT_BYTES);
  u.index = firstFree;
  u.flags = UNIT_FLAG_PRESENT;
  u.selection = selectionOf(u.index);
  selectionInit(u.selection, load<u64>(control + CONTROL_SEED) ^ ((<u64>u.index) << 32));
  selectionSetPolicy(u.selection, POLICY_STATIC);
  u.statistics = <u32>unitStatistics(u.index);
  statisticsReset(u.statistics);
  memory.fill(changetype<usize>(u) + UNIT_SLOTS, 0xff, 128);
  u.ioTimeoutNs = DEFAULT_IO_TIMEOUT_MS * MS;
  u.noPathTimeoutNs = DEFAULT_NO_PATH_TIMEOUT_MS * MS;
  u.stallMinNs = DEFAULT_STALL_MIN_MS * MS;
  u.stallMaxNs = DEFAULT_STALL_MAX_MS * MS;
  u.ghostResetNs = DEFAULT_GHOST_RESET_MS * MS;
  u.lostResetNs = DEFAULT_LOST_RESET_MS * MS;
  u.commandTimeoutNs = DEFAULT_COMMAND_TIMEOUT_MS * MS;
  stallThreshold(u);
  u.transferBytes = PIECE_BYTES_MAX;
  u.unmapBytes = ZEROING_PIECE_BYTES_MAX;
  u.sameBytes = ZEROING_PIECE_BYTES_MAX;
  u.zeroingBytes = ZEROING_PIECE_BYTES_FIRST;
  u.inUsePath = NONE;
  u.noPathNs = max<u64>(now, 1);
  return <i32>u.index;
}

/** Whether `handle` is a unit. */
export function unitPresent(handle: u32): bool {
  return handle < unitCount && (unitAt(handle).flags & UNIT_FLAG_PRESENT) !== 0;
}

/** See docs/architecture.md, `unitRemove`. */
export function unitRemove(handle: u32): i32 {
  if (!unitPresent(handle)) return -(<i32>ERROR_HANDLE);
  const u = unitAt(handle);
  if (u.connections !== 0 || u.paths !== 0 || u.slotsHeld !== 0) return -(<i32>ERROR_BUSY);
  if (u.dirty !== 0) listRemove(dirty, changetype<usize>(u), LINK);
  notStarved(u);
  timerSet(u.index, NEVER);
  u.flags = 0;
  firstFree = min(firstFree, handle);
  return 0;
}

/** See docs/architecture.md, `unitIdentity`. */
export function unitIdentity(handle: u32, bytes: u32): i32 {
  if (!unitPresent(handle)) return -(<i32>ERROR_HANDLE);
  if (bytes > IDENTITY_BYTES_MAX || (bytes !== 0 && bytes < 3)) return -(<i32>ERROR_RANGE);
  const u = unitAt(handle);
  memory.copy(changetype<usize>(u) + UNIT_IDENTITY, scratchArea, bytes);
  u.identityBytes = bytes;
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) checkIdentity(unitPath(u, ctz(rest)));
  unitRefresh(u, REASON_OPERATOR, 0, 0);
  return 0;
}
