// Paths: their three attributes (priority, enabled, failed), the conditions that keep I/O away from them, and their depth.
//
// A path is eligible for I/O when it is enabled, healthy, verified, leads to its own unit, is not being removed and its port
// group accepts I/O. Eligible paths fall into tiers (see unit.ts); the policy chooses within the best one.

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
  PATH_SET_TARGET_PORT,
  PATH_SET_TARGET_PORT_GROUP,
  PATH_SET_WEIGHT,
  REASON_OPERATOR,
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
import { pathAluaState, setDepth } from "./state";
import { BY_CONTROL, pathEnters, pathForgotten, pathLeaves } from "./states";
import { unitRefresh } from "./tiers";
import { patrolArm, patrolBegin } from "./timer";

/** Depth when none is given, and the largest one. */
const DEPTH_MAX: u32 = 4096;
const PRIORITY_MAX: u32 = 254;

let firstFree: u32 = 0;

/** See docs/architecture.md, `pathAdd`. */
export function pathAdd(unit: u32, arrayPort: u32, port: u32, priority: u32, enabled: u32, depth: u32): i32 {
  if (unit >= unitCount || (unitAt(unit).flags & UNIT_FLAG_PRESENT) === 0) return -(<i32>ERROR_HANDLE);
  const u = unitAt(unit);
  if (arrayPort > 1 || enabled > 1 || priority === 0 || priority > PRIORITY_MAX) return -(<i32>ERROR_RANGE);
  if (depth === 0 || depth > DEPTH_MAX) return -(<i32>ERROR_RANGE);
  if (priorityOwner(u, priority) !== NONE) return -(<i32>ERROR_PRIORITY_IN_USE);
  if (u.paths === ALL_SLOTS) return -(<i32>ERROR_LIMIT);
  while (firstFree < pathCount && pathAt(firstFree).flags !== 0) firstFree++;
  if (firstFree === pathCount) return -(<i32>ERROR_LIMIT);
  const p = pathAt(firstFree);
  const resets = p.resetGeneration;
  const slot = ctz(~u.paths);
  assert(slot < PATHS_PER_UNIT_MAX);
  memory.fill(changetype<usize>(p), 0, PATH_BYTES);
  p.resetGeneration = resets;
  p.index = firstFree;
  pathEnters(p, PATH_FLAG_PRESENT | (enabled !== 0 ? PATH_FLAG_ENABLED : 0), BY_CONTROL);
  p.unit = u;
  p.unitHandle = unit;
  p.priority = <u16>priority;
  p.slot = <u8>slot;
  p.depth = depth;
  p.depthMax = depth;
  p.weight = 1;
  p.statistics = <u32>pathStatistics(p.index);
  statisticsReset(p.statistics);
  p.port = port;
  p.arrayPort = arrayPort;
  p.sinceNs = hostNow;
  p.initiatorPort = p.targetPort = p.controller = NONE;
  u.paths |= (<u32>1) << slot;
  store<u32>(changetype<usize>(u) + UNIT_SLOTS + <usize>slot * 4, p.index);
  selectionSetPath(u.selection, slot, priority, p.weight);
  checkIdentity(p, BY_CONTROL);
  patrolBegin(p);
  unitRefresh(u, REASON_OPERATOR, 0, 0);
  return <i32>p.index;
}

/** Handle of the path with this priority in a unit; NONE when there is none. */
function priorityOwner(u: Unit, priority: u32): u32 {
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) {
    const p = unitPath(u, ctz(rest));
    if (<u32>p.priority === priority) return p.index;
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
  const p = pathAt(handle);
  pathEnters(p, PATH_FLAG_REMOVING, BY_CONTROL);
  unitRefresh(p.unit, REASON_OPERATOR, 0, 0);
  pathIdle(p);
  return 0;
}

/** A command of it has come back: a path that is being removed goes when nothing is in flight. */
export function pathIdle(p: Path): void {
  if ((p.flags & PATH_FLAG_REMOVING) === 0 || p.inFlight !== 0 || p.checking !== 0 || p.resetting !== 0) return;
  const u = p.unit;
  const slot = <u32>p.slot;
  u.paths &= ~((<u32>1) << slot);
  u.full &= ~((<u32>1) << slot);
  store<u32>(changetype<usize>(u) + UNIT_SLOTS + <usize>slot * 4, NONE);
  selectionClearPath(u.selection, slot);
  event(EVENT_PATH_STATE, REASON_OPERATOR, u.index, p.index, p.toldFlags, 0, 0, 0);
  pathForgotten(p);
  patrolArm(p);
  firstFree = min(firstFree, p.index);
  unitRefresh(u, REASON_OPERATOR, 0, 0);
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
  const p = pathAt(handle);
  const u = p.unit;
  if (value < 0 || value > <i64>u32.MAX_VALUE) return -(<i32>ERROR_RANGE);
  const number = <u32>value;
  if (property === PATH_SET_PRIORITY) return setPriority(p, number);
  if (property === PATH_SET_ENABLED) {
    if (number > 1) return -(<i32>ERROR_RANGE);
    // Nobody checked where it leads while it was out of use.
    if (number === 1 && (p.flags & PATH_FLAG_ENABLED) === 0) checkIdentity(p, BY_CONTROL);
    if (number === 1) pathEnters(p, PATH_FLAG_ENABLED, BY_CONTROL);
    else pathLeaves(p, PATH_FLAG_ENABLED, BY_CONTROL);
  } else if (property === PATH_SET_DEPTH) {
    if (number === 0 || number > DEPTH_MAX) return -(<i32>ERROR_RANGE);
    p.depthMax = number;
    setDepth(u, p, number);
  } else if (property === PATH_SET_WEIGHT) {
    const answer = selectionSetPath(u.selection, p.slot, p.priority, number);
    if (answer === 0) p.weight = number;
    return answer;
  } else if (property === PATH_SET_ALUA) {
    if (number > ALUA_UNKNOWN) return -(<i32>ERROR_RANGE);
    pathAluaState(p, number, 0);
    return 0;
  } else if (property === PATH_SET_TARGET_PORT_GROUP) {
    p.targetPortGroup = number;
    p.groupKnown = 1;
  } else if (property === PATH_SET_INITIATOR_PORT) p.initiatorPort = number;
  else if (property === PATH_SET_TARGET_PORT) p.targetPort = number;
  else if (property === PATH_SET_CONTROLLER) p.controller = number;
  else if (property === PATH_SET_FAILED) return setFailed(p, number);
  else if (property === PATH_SET_CLEAR_MARGINAL) marginalClear(p);
  else if (property === PATH_SET_FAULTS) return marginalRemember(p, number);
  else if (property === PATH_SET_UNVERIFIED) checkIdentity(p, BY_CONTROL);
  else return -(<i32>ERROR_PROPERTY);
  unitRefresh(u, REASON_OPERATOR, 0, 0);
  return 0;
}

function setPriority(p: Path, priority: u32): i32 {
  if (priority === 0 || priority > PRIORITY_MAX) return -(<i32>ERROR_RANGE);
  const owner = priorityOwner(p.unit, priority);
  if (owner !== NONE && owner !== p.index) return -(<i32>ERROR_PRIORITY_IN_USE);
  p.priority = <u16>priority;
  selectionSetPath(p.unit.selection, p.slot, priority, p.weight);
  unitRefresh(p.unit, REASON_OPERATOR, 0, 0);
  return 0;
}

function setFailed(p: Path, failed: u32): i32 {
  if (failed > 1) return -(<i32>ERROR_RANGE);
  if (failed === 1) {
    p.heldDown = 1;
    p.back = 0;
    pathEnters(p, PATH_FLAG_FAILED, BY_CONTROL);
    p.sinceNs = hostNow;
    unitRefresh(p.unit, REASON_OPERATOR, 0, 0);
    return 0;
  }
  if ((p.flags & PATH_FLAG_FAILED) === 0) return -(<i32>ERROR_NOT_FAILED);
  p.heldDown = 0;
  checkBack(p, REASON_OPERATOR);
  return 0;
}
