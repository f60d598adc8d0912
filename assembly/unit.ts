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
  STATISTICS_UNIT_BYTES,
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
import { control, scratchArea, selectionOf, unitAt, unitCount, unitStatistics } from "./memory/memory";
import { COMMAND_FLIGHT, Request } from "./memory/records";
import { NONE, now } from "./memory/ring";
import { statisticsReset } from "./memory/statistics";
import { MILLISECOND, NEVER } from "./memory/time";
import { UNIT_IDENTITY, Unit } from "./memory/topology";
import { listsOf } from "./memory/unit-lists";
import { wakeUnit, wakeUnitNever } from "./memory/wake";
import { stallTimer } from "./overdue/stall";
import { checkIdentity } from "./path/ask";
import { unitPath, unitAwaitsPath } from "./path/facts";
import { groupsTimer } from "./path/groups";
import { clusterMode } from "./path/mode";
import { pathFailed } from "./path/io-effects";
import { BY_CONTROL, BY_SILENCE, NOTED_SILENT, pathNotes } from "./path/states";
import { unitRefresh } from "./path/tiers";
import { longPutOff } from "./request/long";
import { requestAbandon } from "./request/request";
import { delaysOver, noPathFail, noPathWaitNs, transitionPutOff } from "./request/retry";
import { unitDispatch } from "./request/serve";
import { notStarved, slotsOffer } from "./request/slots";
import { stallThreshold } from "./request/threshold";
import { hedgeSetBudget } from "./selection/hedge-budget";
import { selectionInit, selectionSetPolicy } from "./selection/selection";

/** Dispatches what is due. */
export function unitsServe(): void {
  for (let unit = unitsDirty.shift(); changetype<usize>(unit) !== 0; unit = unitsDirty.shift()) {
    unit.dirty = 0;
    unitDispatch(unit);
    slotsOffer(unit);
  }
}

/** The unit's timer has fired: pauses, deadlines, the wait for a path. */
export function unitWoken(unit: Unit): void {
  if ((unit.flags & UNIT_FLAG_PRESENT) === 0) return;
  delaysOver(unit);
  groupsTimer(unit);
  while (unit.requestFirst !== 0) {
    const request = listsOf(unit).requests.first;
    if (request.deadlineNs > now) {
      wakeUnit(unit, request.deadlineNs);
      break;
    }
    if (longPutOff(request) || transitionPutOff(request)) continue;
    blame(request);
    requestAbandon(request, EIO);
  }
  stallTimer(unit);
  if (unit.flows !== 0) unitDirty(unit);
  if (unit.noPathNs === 0 || unit.requestFirst === 0) return;
  const waitNs = noPathWaitNs(unit);
  if (waitNs !== 0 || !unitAwaitsPath(unit)) {
    const before = now > waitNs ? now - waitNs : 0;
    const dueNs = noPathFail(unit, before);
    if (dueNs !== NEVER) wakeUnit(unit, dueNs);
  }
}

/** The deadline has come: paths that had half of the time, and have answered nothing since, have failed. */
function blame(request: Request): void {
  for (let next = request.commands.first; changetype<usize>(next) !== 0;) {
    const command = next;
    next = command.nextOfRequest;
    if (command.state !== COMMAND_FLIGHT || command.timeNs + request.unit.ioTimeoutNs / 2 > now) continue;
    if (command.path.answeredNs > command.timeNs) continue;
    pathNotes(command.path, NOTED_SILENT, 1, BY_SILENCE);
    pathFailed(command.path, REASON_TIMEOUT, 0, 0);
  }
}

let firstFree: u32 = 0;

/** See docs/architecture.md, `unitAdd`. */
export function unitAdd(): i32 {
  while (firstFree < unitCount && unitAt(firstFree).flags !== 0) firstFree++;
  if (firstFree === unitCount) return -(<i32>ERROR_LIMIT);
  const unit = unitAt(firstFree);
  memory.fill(changetype<usize>(unit), 0, UNIT_BYTES);
  unit.index = firstFree;
  unit.flags = UNIT_FLAG_PRESENT;
  unit.selection = selectionOf(unit.index);
  selectionInit(unit.selection, load<u64>(control + CONTROL_SEED) ^ ((<u64>unit.index) << 32));
  unit.policy = clusterMode ? POLICY_STATIC : DEFAULT_POLICY;
  selectionSetPolicy(unit.selection, unit.policy);
  unit.statistics = <u32>unitStatistics(unit.index);
  statisticsReset(unit.statistics, STATISTICS_UNIT_BYTES);
  // NONE in each.
  memory.fill(changetype<usize>(unit) + UNIT_SLOTS, 0xff, 4 * PATHS_PER_UNIT_MAX);
  defaults(unit);
  stallThreshold(unit);
  unit.transferBytes = PIECE_BYTES_MAX;
  unit.unmapBytes = ZEROING_PIECE_BYTES_MAX;
  unit.sameBytes = ZEROING_PIECE_BYTES_MAX;
  unit.zeroingBytes = ZEROING_PIECE_BYTES_FIRST;
  unit.inUsePath = NONE;
  unit.noPathNs = max<u64>(now, 1);
  return <i32>unit.index;
}

/** What holds until control sets it. */
function defaults(unit: Unit): void {
  unit.ioTimeoutNs = <u64>DEFAULT_IO_TIMEOUT_MS * MILLISECOND;
  unit.noPathTimeoutNs = <u64>DEFAULT_NO_PATH_TIMEOUT_MS * MILLISECOND;
  unit.stallMinNs = <u64>DEFAULT_STALL_MIN_MS * MILLISECOND;
  unit.stallMaxNs = <u64>DEFAULT_STALL_MAX_MS * MILLISECOND;
  unit.orphanResetNs = <u64>DEFAULT_ORPHAN_RESET_MS * MILLISECOND;
  unit.lostResetNs = <u64>DEFAULT_LOST_RESET_MS * MILLISECOND;
  unit.commandTimeoutNs = <u64>DEFAULT_COMMAND_TIMEOUT_MS * MILLISECOND;
  unit.aluaExplicit = DEFAULT_ALUA_EXPLICIT;
  unit.patrolRead = DEFAULT_PATROL_READ;
  unit.hedgeBudget = DEFAULT_HEDGE_BUDGET;
  hedgeSetBudget(unit.selection, unit.hedgeBudget);
}

/** Whether `handle` is a unit. */
export function unitPresent(handle: u32): bool {
  return handle < unitCount && (unitAt(handle).flags & UNIT_FLAG_PRESENT) !== 0;
}

/** See docs/architecture.md, `unitRemove`. */
export function unitRemove(handle: u32): i32 {
  if (!unitPresent(handle)) return -(<i32>ERROR_HANDLE);
  const unit = unitAt(handle);
  if (unit.connections !== 0 || unit.paths !== 0 || unit.slotsHeld !== 0) return -(<i32>ERROR_BUSY);
  if (unit.dirty !== 0) unitsDirty.remove(unit);
  notStarved(unit);
  slotsOffer(unit);
  wakeUnitNever(unit);
  unit.flags = 0;
  firstFree = min(firstFree, handle);
  return 0;
}

/** See docs/architecture.md, `unitIdentity`. */
export function unitIdentity(handle: u32, bytes: u32): i32 {
  if (!unitPresent(handle)) return -(<i32>ERROR_HANDLE);
  if (bytes > IDENTITY_BYTES_MAX || (bytes !== 0 && bytes < 3)) return -(<i32>ERROR_RANGE);
  const unit = unitAt(handle);
  memory.copy(changetype<usize>(unit) + UNIT_IDENTITY, scratchArea, bytes);
  unit.identityBytes = bytes;
  for (let rest = unit.paths; rest !== 0; rest &= rest - 1) checkIdentity(unitPath(unit, ctz(rest)), BY_CONTROL);
  unitRefresh(unit, REASON_OPERATOR, 0, 0);
  return 0;
}
