// Logical units: how they come and go, and the time limits of their requests. What control may set of them is in unitset.ts.

import {
  CONTROL_SEED,
  ERROR_BUSY,
  ERROR_HANDLE,
  ERROR_LIMIT,
  ERROR_RANGE,
  IDENTITY_BYTES_MAX,
  PATHS_PER_UNIT_MAX,
  PIECE_BYTES_MAX,
  POLICY_STATIC,
  REASON_OPERATOR,
  REASON_TIMEOUT,
  UNIT_BYTES,
  UNIT_FLAG_PRESENT,
  UNIT_SLOTS,
  ZEROING_PIECE_BYTES_FIRST,
  ZEROING_PIECE_BYTES_MAX,
} from "./abi";
import {
  DEFAULT_ALUA_EXPLICIT,
  DEFAULT_COMMAND_TIMEOUT_MS,
  DEFAULT_ORPHAN_RESET_MS,
  DEFAULT_HEDGE_BUDGET,
  DEFAULT_IO_TIMEOUT_MS,
  DEFAULT_LOST_RESET_MS,
  DEFAULT_NO_PATH_TIMEOUT_MS,
  DEFAULT_PATROL_READ,
  DEFAULT_POLICY,
  DEFAULT_STALL_MAX_MS,
  DEFAULT_STALL_MIN_MS,
} from "./defaults";
import { unitDirty, unitsDirty } from "./memory/due";
import { EIO } from "./memory/errno";
import { listNext, listRemove, listShift } from "./memory/lists";
import { control, scratchArea, selectionOf, unitAt, unitCount, unitStatistics } from "./memory/memory";
import { COMMAND_FLIGHT, Command, Request } from "./memory/records";
import { NONE, now } from "./memory/ring";
import { statisticsReset } from "./memory/statistics";
import { MILLISECOND, NEVER } from "./memory/time";
import { UNIT_IDENTITY, Unit } from "./memory/topology";
import { wakeUnit, wakeUnitNever } from "./memory/wake";
import { stallTimer } from "./overdue/stall";
import { checkIdentity } from "./path/ask";
import { unitPath, unitUnverified } from "./path/facts";
import { groupsTimer } from "./path/groups";
import { clusterMode } from "./path/mode";
import { pathFailed } from "./path/state";
import { BY_CONTROL } from "./path/states";
import { unitRefresh } from "./path/tiers";
import { longPutOff } from "./request/long";
import { requestAbandon } from "./request/request";
import { delaysOver, noPathFail, noPathWaitNs, transitionPutOff } from "./request/retry";
import { unitDispatch } from "./request/serve";
import { notStarved, slotsOffer } from "./request/slots";
import { stallThreshold } from "./request/threshold";
import { hedgeSetBudget } from "./selection/hedge";
import { selectionInit, selectionSetPolicy } from "./selection/selection";

const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");
const LINK: usize = offsetof<Unit>("dirtyNext");

/** Dispatches what is due. */
export function unitsServe(): void {
  for (let at = listShift(unitsDirty, LINK); at !== 0; at = listShift(unitsDirty, LINK)) {
    const u = changetype<Unit>(at);
    u.dirty = 0;
    unitDispatch(u);
    slotsOffer(u);
  }
}

/** The unit's timer has fired: pauses, deadlines, the wait for a path. */
export function unitWoken(u: Unit): void {
  if ((u.flags & UNIT_FLAG_PRESENT) === 0) return;
  delaysOver(u);
  groupsTimer(u);
  while (u.requestFirst !== 0) {
    const r = changetype<Request>(u.requestFirst);
    if (r.deadlineNs > now) {
      wakeUnit(u, r.deadlineNs);
      break;
    }
    if (longPutOff(r) || transitionPutOff(r)) continue;
    blame(r);
    requestAbandon(r, EIO);
  }
  stallTimer(u);
  if (u.flows !== 0) unitDirty(u);
  if (u.noPathNs === 0 || u.requestFirst === 0) return;
  const waitNs = noPathWaitNs(u);
  if (waitNs !== 0 || !unitUnverified(u)) {
    const before = now > waitNs ? now - waitNs : 0;
    const dueNs = noPathFail(u, before);
    if (dueNs !== NEVER) wakeUnit(u, dueNs);
  }
}

/** The deadline has come: paths that had half of the time, and have answered nothing since, have failed. */
function blame(r: Request): void {
  for (let at = r.commandFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, OF_REQUEST);
    if (c.state !== COMMAND_FLIGHT || c.timeNs + r.unit.ioTimeoutNs / 2 > now) continue;
    if (c.path.answeredNs > c.timeNs) continue;
    c.path.silent = 1;
    pathFailed(c.path, REASON_TIMEOUT, 0, 0);
  }
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
  u.policy = clusterMode ? POLICY_STATIC : DEFAULT_POLICY;
  selectionSetPolicy(u.selection, u.policy);
  u.statistics = <u32>unitStatistics(u.index);
  statisticsReset(u.statistics);
  // NONE in each.
  memory.fill(changetype<usize>(u) + UNIT_SLOTS, 0xff, 4 * PATHS_PER_UNIT_MAX);
  defaults(u);
  stallThreshold(u);
  u.transferBytes = PIECE_BYTES_MAX;
  u.unmapBytes = ZEROING_PIECE_BYTES_MAX;
  u.sameBytes = ZEROING_PIECE_BYTES_MAX;
  u.zeroingBytes = ZEROING_PIECE_BYTES_FIRST;
  u.inUsePath = NONE;
  u.noPathNs = max<u64>(now, 1);
  return <i32>u.index;
}

/** What holds until control sets it. */
function defaults(u: Unit): void {
  u.ioTimeoutNs = <u64>DEFAULT_IO_TIMEOUT_MS * MILLISECOND;
  u.noPathTimeoutNs = <u64>DEFAULT_NO_PATH_TIMEOUT_MS * MILLISECOND;
  u.stallMinNs = <u64>DEFAULT_STALL_MIN_MS * MILLISECOND;
  u.stallMaxNs = <u64>DEFAULT_STALL_MAX_MS * MILLISECOND;
  u.orphanResetNs = <u64>DEFAULT_ORPHAN_RESET_MS * MILLISECOND;
  u.lostResetNs = <u64>DEFAULT_LOST_RESET_MS * MILLISECOND;
  u.commandTimeoutNs = <u64>DEFAULT_COMMAND_TIMEOUT_MS * MILLISECOND;
  u.aluaExplicit = DEFAULT_ALUA_EXPLICIT;
  u.patrolRead = DEFAULT_PATROL_READ;
  u.hedgeBudget = DEFAULT_HEDGE_BUDGET;
  hedgeSetBudget(u.selection, u.hedgeBudget);
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
  if (u.dirty !== 0) listRemove(unitsDirty, changetype<usize>(u), LINK);
  notStarved(u);
  slotsOffer(u);
  wakeUnitNever(u);
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
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) checkIdentity(unitPath(u, ctz(rest)), BY_CONTROL);
  unitRefresh(u, REASON_OPERATOR, 0, 0);
  return 0;
}
