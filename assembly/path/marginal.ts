// Intermittent-failure monitoring: a path that keeps failing, stalling or costing retries is used only as a last resort, until an
// operator clears it. If a clean period is set, it is also used again after that long without faults; the period doubles each
// time it becomes marginal again. The last path is used, marginal or not.
//
// Several faults within one second count as one: they have one cause. Unit attentions and resets by others do not count.

import {
  ERROR_RANGE,
  EVENT_MARGINAL,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_MARGINAL,
  PATH_FLAG_STALLED,
  REASON_OPERATOR,
  REASON_MARGINAL,
} from "../abi";
import { pathAt, pathCount } from "../memory/memory";
import { event, now } from "../memory/ring";
import { NEVER, SECOND } from "../memory/time";
import { PATH_FAULT_TIMES, PATH_FAULT_TIMES_MAX, Path } from "../memory/topology";
import { wakePath } from "../memory/wake";
import { marginalCleanNs, marginalCount, marginalMode, marginalWindowNs } from "./mode";
import { BY_CONTROL, BY_MONITOR, pathEnters, pathLeaves } from "./states";
import { unitRefresh } from "./tiers";

const PERIOD_NS_MAX: u64 = 86400 * SECOND;

function timeAt(path: Path, index: u32): usize {
  return changetype<usize>(path) + PATH_FAULT_TIMES + <usize>(index % PATH_FAULT_TIMES_MAX) * 8;
}

function note(path: Path): void {
  store<u64>(timeAt(path, path.faults), now);
  path.faults++;
}

/** The path has failed, stalled, or cost a retry. */
export function marginalCountOne(path: Path): void {
  if (!marginalMode) return;
  if (path.faults !== 0 && now - load<u64>(timeAt(path, path.faults - 1)) < SECOND) return;
  note(path);
  judge(path);
}

/** Faults that control knows from before the path was added: they count as present faults. */
export function marginalRemember(path: Path, faults: u32): i32 {
  if (faults > PATH_FAULT_TIMES_MAX) return -(<i32>ERROR_RANGE);
  if (!marginalMode || faults === 0) return 0;
  for (let i: u32 = 0; i < faults; i++) note(path);
  judge(path);
  return 0;
}

/** After a fault: whether the path is marginal now. */
function judge(path: Path): void {
  if ((path.flags & PATH_FLAG_MARGINAL) !== 0) return begin(path);
  if (path.faults < marginalCount) return;
  const firstNs = load<u64>(timeAt(path, path.faults - marginalCount));
  if (now - firstNs > marginalWindowNs) return;
  // Long clean before these faults: the period starts from the beginning.
  const longClean = firstNs - path.marginalEndNs > max(8 * path.marginalPeriodNs, marginalWindowNs);
  path.marginalPeriodNs =
    path.marginalPeriodNs === 0 || longClean ? marginalCleanNs : min(path.marginalPeriodNs * 2, PERIOD_NS_MAX);
  pathEnters(path, PATH_FLAG_MARGINAL, BY_MONITOR);
  begin(path);
  event(
    EVENT_MARGINAL,
    REASON_MARGINAL,
    path.unitHandle,
    path.index,
    1,
    path.marginalSeconds,
    path.lastSense,
    path.lastHostStatus,
  );
  unitRefresh(path.unit, REASON_MARGINAL, path.lastSense, path.lastHostStatus);
}

/** Starts the clean period (again), or the unlimited wait for an operator. */
function begin(path: Path): void {
  if (marginalCleanNs === 0) {
    path.marginalPeriodNs = 0;
    path.marginalEndNs = NEVER;
    path.marginalSeconds = 0;
    return;
  }
  path.marginalEndNs = now + path.marginalPeriodNs;
  path.marginalSeconds = <u32>(path.marginalPeriodNs / SECOND);
  wakePath(path, path.marginalEndNs);
}

/** The path's timer has fired; returns when its clean period ends. */
export function marginalTimer(path: Path): u64 {
  if ((path.flags & PATH_FLAG_MARGINAL) === 0 || path.marginalEndNs === NEVER) return NEVER;
  if ((path.flags & (PATH_FLAG_FAILED | PATH_FLAG_STALLED)) !== 0) {
    // It is not clean while it is down.
    path.marginalEndNs = max(path.marginalEndNs, now + path.marginalPeriodNs);
  }
  if (path.marginalEndNs > now) {
    // Rounded up: none left would mean until an operator clears it.
    path.marginalSeconds = <u32>((path.marginalEndNs - now + SECOND - 1) / SECOND);
    return path.marginalEndNs;
  }
  end(path, REASON_MARGINAL);
  unitRefresh(path.unit, REASON_MARGINAL, 0, 0);
  return NEVER;
}

/** It is in normal use again: after its clean period (REASON_MARGINAL), or by an operator. */
function end(path: Path, reason: u32): void {
  if ((path.flags & PATH_FLAG_MARGINAL) === 0) return;
  pathLeaves(path, PATH_FLAG_MARGINAL, reason === REASON_OPERATOR ? BY_CONTROL : BY_MONITOR);
  path.marginalSeconds = 0;
  path.marginalEndNs = now;
  path.faults = 0;
  event(EVENT_MARGINAL, reason, path.unitHandle, path.index, 0, <u32>(path.marginalPeriodNs / SECOND), 0, 0);
}

/** An operator clears it: its faults are forgotten. */
export function marginalClear(path: Path): void {
  end(path, REASON_OPERATOR);
  path.marginalPeriodNs = 0;
  path.faults = 0;
}

/** Monitoring was turned off, or the clean period changed: marginal paths follow that, too. */
export function marginalAnew(): void {
  for (let i: u32 = 0; i < pathCount; i++) {
    const path = pathAt(i);
    if ((path.flags & PATH_FLAG_PRESENT) === 0 || (path.flags & PATH_FLAG_MARGINAL) === 0) continue;
    if (marginalMode) {
      path.marginalPeriodNs = marginalCleanNs;
      begin(path);
    } else {
      marginalClear(path);
      unitRefresh(path.unit, REASON_OPERATOR, 0, 0);
    }
  }
}
