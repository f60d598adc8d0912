// Intermittent-failure monitoring: a path that keeps failing, stalling or costing retries is used as a last resort
// only, until an operator vouches for it. Where a clean period is set, it is also used again when it has been without
// faults for that long; the period doubles each time it is found shaky again. The last path is used, shaky or not.
//
// Several faults within one second count as one: they have one cause. Unit attentions and resets by others do not count.

import {
  ERROR_RANGE,
  EVENT_SHAKY,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_SHAKY,
  PATH_FLAG_STALLED,
  REASON_OPERATOR,
  REASON_SHAKY,
} from "../abi";
import { pathAt, pathCount } from "../memory/memory";
import { event, now } from "../memory/ring";
import { NEVER, SECOND } from "../memory/time";
import { PATH_FAULT_TIMES, PATH_FAULT_TIMES_MAX, Path } from "../memory/topology";
import { wakePath } from "../memory/wake";
import { shakyCleanNs, shakyCount, shakyMode, shakyWindowNs } from "./mode";
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
export function shakyCountOne(p: Path): void {
  if (!shakyMode) return;
  if (p.faults !== 0 && now - load<u64>(timeAt(p, p.faults - 1)) < SECOND) return;
  note(p);
  judge(p);
}

/** Faults that control knows of from the time before the path was added: they count as faults of now. */
export function shakyRemember(p: Path, faults: u32): i32 {
  if (faults > PATH_FAULT_TIMES_MAX) return -(<i32>ERROR_RANGE);
  if (!shakyMode || faults === 0) return 0;
  for (let i: u32 = 0; i < faults; i++) note(p);
  judge(p);
  return 0;
}

/** After a fault: whether it is shaky now. */
function judge(p: Path): void {
  if ((p.flags & PATH_FLAG_SHAKY) !== 0) return begin(p);
  if (p.faults < shakyCount) return;
  const firstNs = load<u64>(timeAt(p, p.faults - shakyCount));
  if (now - firstNs > shakyWindowNs) return;
  // Long clean before these faults: the period starts small again.
  const longClean = firstNs - p.shakyEndNs > max(8 * p.shakyPeriodNs, shakyWindowNs);
  p.shakyPeriodNs = p.shakyPeriodNs === 0 || longClean ? shakyCleanNs : min(p.shakyPeriodNs * 2, PERIOD_NS_MAX);
  p.flags |= PATH_FLAG_SHAKY;
  begin(p);
  event(EVENT_SHAKY, REASON_SHAKY, p.unitHandle, p.index, 1, p.shakySeconds, p.lastSense, p.lastHostStatus);
  unitRefresh(p.unit, REASON_SHAKY, p.lastSense, p.lastHostStatus);
}

/** The clean period begins (again), or the wait for an operator, which no time ends. */
function begin(p: Path): void {
  if (shakyCleanNs === 0) {
    p.shakyPeriodNs = 0;
    p.shakyEndNs = NEVER;
    p.shakySeconds = 0;
    return;
  }
  p.shakyEndNs = now + p.shakyPeriodNs;
  p.shakySeconds = <u32>(p.shakyPeriodNs / SECOND);
  wakePath(p, p.shakyEndNs);
}

/** The path's timer has fired; answers when its clean period ends. */
export function shakyTimer(p: Path): u64 {
  if ((p.flags & PATH_FLAG_SHAKY) === 0 || p.shakyEndNs === NEVER) return NEVER;
  if ((p.flags & (PATH_FLAG_FAILED | PATH_FLAG_STALLED)) !== 0) {
    // It is not clean while it is down.
    p.shakyEndNs = max(p.shakyEndNs, now + p.shakyPeriodNs);
  }
  if (p.shakyEndNs > now) {
    p.shakySeconds = <u32>((p.shakyEndNs - now) / SECOND);
    return p.shakyEndNs;
  }
  end(p, REASON_SHAKY);
  unitRefresh(p.unit, REASON_SHAKY, 0, 0);
  return NEVER;
}

/** It is used like any other again: after its clean period (REASON_SHAKY), or by an operator. */
function end(p: Path, reason: u32): void {
  if ((p.flags & PATH_FLAG_SHAKY) === 0) return;
  p.flags &= ~PATH_FLAG_SHAKY;
  p.shakySeconds = 0;
  p.shakyEndNs = now;
  p.faults = 0;
  event(EVENT_SHAKY, reason, p.unitHandle, p.index, 0, <u32>(p.shakyPeriodNs / SECOND), 0, 0);
}

/** An operator vouches for it: what was counted is forgotten. */
export function shakyClear(p: Path): void {
  end(p, REASON_OPERATOR);
  p.shakyPeriodNs = 0;
  p.faults = 0;
}

/** Monitoring was turned off, or another clean period was set: shaky paths obey that too. */
export function shakyAnew(): void {
  for (let i: u32 = 0; i < pathCount; i++) {
    const p = pathAt(i);
    if ((p.flags & PATH_FLAG_PRESENT) === 0 || (p.flags & PATH_FLAG_SHAKY) === 0) continue;
    if (shakyMode) {
      p.shakyPeriodNs = shakyCleanNs;
      begin(p);
    } else {
      shakyClear(p);
      unitRefresh(p.unit, REASON_OPERATOR, 0, 0);
    }
  }
}
