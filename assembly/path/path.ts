// Paths: their three attributes (priority, enabled, failed), the conditions that keep I/O away from them, and their depth.
//
// A path is eligible for I/O when it is enabled, healthy, verified, leads to its own unit, is not being removed and its port
// group accepts I/O. Eligible paths fall into tiers (see tiers.ts); the policy chooses within the best one.

import {
  ALUA_UNKNOWN,
  ERROR_HANDLE,
  ERROR_LIMIT,
  ERROR_NOT_FAILED,
  ERROR_PRIORITY_IN_USE,
  ERROR_PROPERTY,
  ERROR_RANGE,
  EVENT_PATH_STATE,
  PATHS_PER_UNIT_MAX,
  PATH_BYTES,
  PATH_FLAG_ENABLED,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_REMOVING,
  PATH_SET_ALUA,
  PATH_SET_CLEAR_MARGINAL,
  PATH_SET_CONTROLLER,
  PATH_SET_DEPTH,
  PATH_SET_UNVERIFIED,
  PATH_SET_ENABLED,
  PATH_SET_FAILED,
  PATH_SET_FAULTS,
  PATH_SET_INITIATOR_PORT,
  PATH_SET_PRIORITY,
  PATH_SET_REGISTERED,
  PATH_SET_TARGET_PORT,
  PATH_SET_TARGET_PORT_GROUP,
  PATH_SET_WEIGHT,
  REASON_OPERATOR,
  REASON_RESERVATION,
  REGISTRATION_ADDED,
  UNIT_FLAG_PRESENT,
  UNIT_SLOTS,
} from "../abi";
import { pathAt, pathCount, pathStatistics, unitAt, unitCount } from "../memory/memory";
import { NONE, event, hostNow } from "../memory/ring";
import { statisticsReset } from "../memory/statistics";
import { Path, Unit } from "../memory/topology";
import { selectionClearPath, selectionSetPath } from "../selection/selection";
import { checkBack, checkIdentity } from "./ask";
import { ALL_SLOTS, unitPath } from "./facts";
import { marginalClear, marginalRemember } from "./marginal";
import { pathAluaState, setDepth } from "./io-effects";
import { registrationDoubt, registrationSet } from "./registration";
import {
  BY_CONTROL,
  NOTED_BACK,
  NOTED_GROUP_KNOWN,
  NOTED_HELD_DOWN,
  pathEnters,
  pathForgotten,
  pathLeaves,
  pathNotes,
} from "./states";
import { unitRefresh } from "./tiers";
import { patrolArm, patrolBegin } from "./timer";

/** Depth when none is given, and the largest one. */
const DEPTH_MAX: u32 = 4096;
const PRIORITY_MAX: u32 = 254;

let firstFree: u32 = 0;

/** See docs/architecture.md, `pathAdd`. */
export function pathAdd(handle: u32, arrayPort: u32, port: u32, priority: u32, enabled: u32, depth: u32): i32 {
  if (handle >= unitCount || (unitAt(handle).flags & UNIT_FLAG_PRESENT) === 0) return -(<i32>ERROR_HANDLE);
  const unit = unitAt(handle);
  if (arrayPort > 1 || enabled > 1 || priority === 0 || priority > PRIORITY_MAX) return -(<i32>ERROR_RANGE);
  if (depth === 0 || depth > DEPTH_MAX) return -(<i32>ERROR_RANGE);
  if (priorityOwner(unit, priority) !== NONE) return -(<i32>ERROR_PRIORITY_IN_USE);
  if (unit.paths === ALL_SLOTS) return -(<i32>ERROR_LIMIT);
  while (firstFree < pathCount && pathAt(firstFree).flags !== 0) firstFree++;
  if (firstFree === pathCount) return -(<i32>ERROR_LIMIT);
  const path = pathAt(firstFree);
  const resets = path.resetGeneration;
  const slot = ctz(~unit.paths);
  assert(slot < PATHS_PER_UNIT_MAX);
  memory.fill(changetype<usize>(path), 0, PATH_BYTES);
  path.resetGeneration = resets;
  path.index = firstFree;
  pathEnters(path, PATH_FLAG_PRESENT | (enabled !== 0 ? PATH_FLAG_ENABLED : 0), BY_CONTROL);
  path.unit = unit;
  path.unitHandle = handle;
  path.priority = <u16>priority;
  path.slot = <u8>slot;
  path.depth = depth;
  path.depthMax = depth;
  path.weight = 1;
  path.statistics = <u32>pathStatistics(path.index);
  statisticsReset(path.statistics);
  path.port = port;
  path.arrayPort = arrayPort;
  path.sinceNs = hostNow;
  path.initiatorPort = path.targetPort = path.controller = NONE;
  unit.paths |= (<u32>1) << slot;
  store<u32>(changetype<usize>(unit) + UNIT_SLOTS + <usize>slot * 4, path.index);
  selectionSetPath(unit.selection, slot, priority, path.weight);
  registrationDoubt(path, REGISTRATION_ADDED, BY_CONTROL);
  checkIdentity(path, BY_CONTROL);
  patrolBegin(path);
  unitRefresh(unit, REASON_OPERATOR, 0, 0);
  return <i32>path.index;
}

/** Handle of the path with this priority in a unit; NONE when there is none. */
function priorityOwner(unit: Unit, priority: u32): u32 {
  for (let rest = unit.paths; rest !== 0; rest &= rest - 1) {
    const path = unitPath(unit, ctz(rest));
    if (<u32>path.priority === priority) return path.index;
  }
  return NONE;
}

/** Whether `handle` is a path. */
function pathPresent(handle: u32): bool {
  return handle < pathCount && (pathAt(handle).flags & PATH_FLAG_PRESENT) !== 0;
}

/** See docs/architecture.md, `pathRemove`. */
export function pathRemove(handle: u32): i32 {
  if (!pathPresent(handle)) return -(<i32>ERROR_HANDLE);
  const path = pathAt(handle);
  pathEnters(path, PATH_FLAG_REMOVING, BY_CONTROL);
  unitRefresh(path.unit, REASON_OPERATOR, 0, 0);
  pathIdle(path);
  return 0;
}

/** A command of it has come back: a path that is being removed goes when nothing is in flight. */
export function pathIdle(path: Path): void {
  if ((path.flags & PATH_FLAG_REMOVING) === 0 || path.inFlight !== 0 || path.checking !== 0 || path.resetting !== 0)
    return;
  const unit = path.unit;
  const slot = <u32>path.slot;
  unit.paths &= ~((<u32>1) << slot);
  unit.full &= ~((<u32>1) << slot);
  store<u32>(changetype<usize>(unit) + UNIT_SLOTS + <usize>slot * 4, NONE);
  selectionClearPath(unit.selection, slot);
  event(EVENT_PATH_STATE, REASON_OPERATOR, unit.index, path.index, path.toldFlags, 0, 0, 0);
  pathForgotten(path);
  patrolArm(path);
  firstFree = min(firstFree, path.index);
  unitRefresh(unit, REASON_OPERATOR, 0, 0);
}

/** See docs/architecture.md, `pathSwap`. */
export function pathSwap(a: u32, b: u32): i32 {
  if (!pathPresent(a) || !pathPresent(b)) return -(<i32>ERROR_HANDLE);
  const first = pathAt(a);
  const second = pathAt(b);
  if (first.unit !== second.unit) return -(<i32>ERROR_RANGE);
  const priority = first.priority;
  first.priority = second.priority;
  second.priority = priority;
  selectionSetPath(first.unit.selection, first.slot, first.priority, first.weight);
  selectionSetPath(second.unit.selection, second.slot, second.priority, second.weight);
  unitRefresh(first.unit, REASON_OPERATOR, 0, 0);
  return 0;
}

/** See docs/architecture.md, `pathSet`. */
export function pathSet(handle: u32, property: u32, value: i64): i32 {
  if (!pathPresent(handle)) return -(<i32>ERROR_HANDLE);
  const path = pathAt(handle);
  const unit = path.unit;
  if (value < 0 || value > <i64>u32.MAX_VALUE) return -(<i32>ERROR_RANGE);
  const number = <u32>value;
  if (property === PATH_SET_PRIORITY) return setPriority(path, number);
  if (property === PATH_SET_ENABLED) {
    if (number > 1) return -(<i32>ERROR_RANGE);
    // Nobody checked where it leads while it was out of use.
    if (number === 1 && (path.flags & PATH_FLAG_ENABLED) === 0) checkIdentity(path, BY_CONTROL);
    if (number === 1) pathEnters(path, PATH_FLAG_ENABLED, BY_CONTROL);
    else pathLeaves(path, PATH_FLAG_ENABLED, BY_CONTROL);
  } else if (property === PATH_SET_DEPTH) {
    if (number === 0 || number > DEPTH_MAX) return -(<i32>ERROR_RANGE);
    path.depthMax = number;
    setDepth(unit, path, number);
  } else if (property === PATH_SET_WEIGHT) {
    const answer = selectionSetPath(unit.selection, path.slot, path.priority, number);
    if (answer === 0) path.weight = number;
    return answer;
  } else if (property === PATH_SET_ALUA) {
    if (number > ALUA_UNKNOWN) return -(<i32>ERROR_RANGE);
    pathAluaState(path, number, 0);
    return 0;
  } else if (property === PATH_SET_TARGET_PORT_GROUP) {
    path.targetPortGroup = number;
    pathNotes(path, NOTED_GROUP_KNOWN, 1, BY_CONTROL);
  } else if (property === PATH_SET_INITIATOR_PORT) path.initiatorPort = number;
  else if (property === PATH_SET_TARGET_PORT) path.targetPort = number;
  else if (property === PATH_SET_CONTROLLER) path.controller = number;
  else if (property === PATH_SET_FAILED) return setFailed(path, number);
  else if (property === PATH_SET_CLEAR_MARGINAL) marginalClear(path);
  else if (property === PATH_SET_FAULTS) return marginalRemember(path, number);
  else if (property === PATH_SET_UNVERIFIED) checkIdentity(path, BY_CONTROL);
  else if (property === PATH_SET_REGISTERED) {
    const answer = registrationSet(path, number);
    if (answer === 0) unitRefresh(unit, REASON_RESERVATION, 0, 0);
    return answer;
  } else return -(<i32>ERROR_PROPERTY);
  unitRefresh(unit, REASON_OPERATOR, 0, 0);
  return 0;
}

function setPriority(path: Path, priority: u32): i32 {
  if (priority === 0 || priority > PRIORITY_MAX) return -(<i32>ERROR_RANGE);
  const owner = priorityOwner(path.unit, priority);
  if (owner !== NONE && owner !== path.index) return -(<i32>ERROR_PRIORITY_IN_USE);
  path.priority = <u16>priority;
  selectionSetPath(path.unit.selection, path.slot, priority, path.weight);
  unitRefresh(path.unit, REASON_OPERATOR, 0, 0);
  return 0;
}

function setFailed(path: Path, failed: u32): i32 {
  if (failed > 1) return -(<i32>ERROR_RANGE);
  if (failed === 1) {
    pathNotes(path, NOTED_HELD_DOWN, 1, BY_CONTROL);
    pathNotes(path, NOTED_BACK, 0, BY_CONTROL);
    pathEnters(path, PATH_FLAG_FAILED, BY_CONTROL);
    path.sinceNs = hostNow;
    unitRefresh(path.unit, REASON_OPERATOR, 0, 0);
    return 0;
  }
  if ((path.flags & PATH_FLAG_FAILED) === 0) return -(<i32>ERROR_NOT_FAILED);
  pathNotes(path, NOTED_HELD_DOWN, 0, BY_CONTROL);
  checkBack(path, REASON_OPERATOR);
  return 0;
}
