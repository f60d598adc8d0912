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

function timeAt(p: Path, index: u32): usize {
  return changetype<usize>(p) + PATH_FAULT_TIMES + <usize>(index % PATH_FAULT_TIMES_MAX) * 8;
}

function note(p: Path): void {
  store<u64>(timeAt(p, p.faults), now);
  p.faults++;
}

/** The path has failed, stalled, or cost a retry. */
export function marginalCountOne(p: Path): void {
  if (!marginalMode) return;
  if (p.faults !== 0 && now - load<u64>(timeAt(p, p.faults - 1)) < SECOND) return;
  note(p);
  judge(p);
}

/** Faults that control knows from before the path was added: they count as present faults. */
export function marginalRemember(p: Path, faults: u32): i32 {
  if (faults > PATH_FAULT_TIMES_MAX) return -(<i32>ERROR_RANGE);
  if (!marginalMode || faults === 0) return 0;
  for (let i: u32 = 0; i < faults; i++) note(p);
  judge(p);
  return 0;
}

/** After a fault: whether the path is marginal now. */
function judge(p: Path): void {
  if ((p.flags & PATH_FLAG_MARGINAL) !== 0) return begin(p);
  if (p.faults < marginalCount) return;
  const firstNs = load<u64>(timeAt(p, p.faults - marginalCount));
  if (now - firstNs > marginalWindowNs) return;
  // Long clean before these faults: the period starts from the beginning.
  const longClean = firstNs - p.marginalEndNs > max(8 * p.marginalPeriodNs, marginalWindowNs);
  p.marginalPeriodNs =
    p.marginalPeriodNs === 0 || longClean ? marginalCleanNs : min(p.marginalPeriodNs * 2, PERIOD_NS_MAX);
  pathEnters(p, PATH_FLAG_MARGINAL, BY_MONITOR);
  begin(p);
  event(EVENT_MARGINAL, REASON_MARGINAL, p.unitHandle, p.index, 1, p.marginalSeconds, p.lastSense, p.lastHostStatus);
  unitRefresh(p.unit, REASON_MARGINAL, p.lastSense, p.lastHostStatus);
}

/** Starts the clean period (again), or the unlimited wait for an operator. */
function begin(p: Path): void {
  if (marginalCleanNs === 0) {
    p.marginalPeriodNs = 0;
    p.marginalEndNs = NEVER;
    p.marginalSeconds = 0;
    return;
  }
  p.marginalEndNs = now + p.marginalPeriodNs;
  p.marginalSeconds = <u32>(p.marginalPeriodNs / SECOND);
  wakePath(p, p.marginalEndNs);
}

/** The path's timer has fired; returns when its clean period ends. */
export function marginalTimer(p: Path): u64 {
  if ((p.flags & PATH_FLAG_MARGINAL) === 0 || p.marginalEndNs === NEVER) return NEVER;
  if ((p.flags & (PATH_FLAG_FAILED | PATH_FLAG_STALLED)) !== 0) {
    // It is not clean while it is down.
    p.marginalEndNs = max(p.marginalEndNs, now + p.marginalPeriodNs);
  }
  if (p.marginalEndNs > now) {
    p.marginalSeconds = <u32>((p.marginalEndNs - now) / SECOND);
    return p.marginalEndNs;
  }
  end(p, REASON_MARGINAL);
  unitRefresh(p.unit, REASON_MARGINAL, 0, 0);
  return NEVER;
}

/** It is in normal use again: after its clean period (REASON_MARGINAL), or by an operator. */
function end(p: Path, reason: u32): void {
  if ((p.flags & PATH_FLAG_MARGINAL) === 0) return;
  pathLeaves(p, PATH_FLAG_MARGINAL, reason === REASON_OPERATOR ? BY_CONTROL : BY_MONITOR);
  p.marginalSeconds = 0;
  p.marginalEndNs = now;
  p.faults = 0;
  event(EVENT_MARGINAL, reason, p.unitHandle, p.index, 0, <u32>(p.marginalPeriodNs / SECOND), 0, 0);
}

/** An operator clears it: its faults are forgotten. */
export function marginalClear(p: Path): void {
  end(p, REASON_OPERATOR);
  p.marginalPeriodNs = 0;
  p.faults = 0;
}

/** Monitoring was turned off, or the clean period changed: marginal paths follow that, too. */
export function marginalAnew(): void {
  for (let i: u32 = 0; i < pathCount; i++) {
    const p = pathAt(i);
    if ((p.flags & PATH_FLAG_PRESENT) === 0 || (p.flags & PATH_FLAG_MARGINAL) === 0) continue;
    if (marginalMode) {
      p.marginalPeriodNs = marginalCleanNs;
      begin(p);
    } else {
      marginalClear(p);
      unitRefresh(p.unit, REASON_OPERATOR, 0, 0);
    }
  }
}
