// Which timer wakes whom. There is one for each unit (deadlines of requests, pauses, stalls, the wait for a path, SET TARGET PORT
// GROUPS), one for each path (patrol, checks, the end of a clean period), and the core's own (clients that hold up others). When
// its timer fires, an owner checks everything it waits for, so a timer only ever has to be early enough.

import { pathCount, unitCount } from "./memory";
import { timerSet, timerSooner } from "./timers";
import { NEVER } from "./time";
import { Path, Unit } from "./topology";

/** Timers: units first, then paths, then the core's own. */
function timerOfPath(path: Path): u32 {
  return unitCount + path.index;
}

/** Wakes the unit at `whenNs` or before. */
export function wakeUnit(unit: Unit, whenNs: u64): void {
  timerSooner(unit.index, whenNs);
}

/** The unit waits for nothing any more. */
export function wakeUnitNever(unit: Unit): void {
  timerSet(unit.index, NEVER);
}

/** Wakes the path at `whenNs` or before. */
export function wakePath(path: Path, whenNs: u64): void {
  timerSooner(timerOfPath(path), whenNs);
}

/** Wakes the path at `whenNs`, and not before. */
export function wakePathAt(path: Path, whenNs: u64): void {
  timerSet(timerOfPath(path), whenNs);
}

/** The core's own timer fires at `whenNs` or before. */
export function wakeCore(whenNs: u64): void {
  timerSooner(unitCount + pathCount, whenNs);
}

/** Whose timer it is: one of WOKEN_*. `indexOfTimer` says which one of them. */
export const WOKEN_UNIT: u32 = 0;
export const WOKEN_PATH: u32 = 1;
const WOKEN_CORE: u32 = 2;

export function ownerOfTimer(timer: u32): u32 {
  if (timer < unitCount) return WOKEN_UNIT;
  return timer < unitCount + pathCount ? WOKEN_PATH : WOKEN_CORE;
}

export function indexOfTimer(timer: u32): u32 {
  return timer < unitCount ? timer : timer - unitCount;
}
