// Intermittent-failure monitoring: a path that keeps failing, stalling or costing retries is used as a last resort
// only, until it has been without such for a clean period. The period doubles each time the path is found shaky; an
// operator can vouch for it. A last resort is still used when nothing else is left.
//
// Several faults within one second count as one: they have one cause. Unit attentions and resets by others do not count.

import { EVENT_SHAKY, PATH_FLAG_FAILED, PATH_FLAG_SHAKY, PATH_FLAG_STALLED, REASON_SHAKY } from "./abi";
import { pathTimer } from "./memory";
import { shakyCleanNs, shakyCount, shakyMode, shakyWindowNs } from "./mode";
import { event, now } from "./ring";
import { timerSooner } from "./timers";
import { PATH_FAULT_TIMES, PATH_FAULT_TIMES_MAX, Path } from "./topology";
import { unitRefresh } from "./unit";

const SECOND: u64 = 1000000000;
const PERIOD_NS_MAX: u64 = 86400 * SECOND;

function timeAt(p: Path, index: u32): usize {
  return changetype<usize>(p) + PATH_FAULT_TIMES + <usize>(index % PATH_FAULT_TIMES_MAX) * 8;
}

/** The path has failed, stalled, or cost a retry. */
export function shakyCountOne(p: Path): void {
  if (!shakyMode) return;
  if (p.faults !== 0 && now - load<u64>(timeAt(p, p.faults - 1)) < SECOND) return;
  store<u64>(timeAt(p, p.faults), now);
  p.faults++;
  if ((p.flags & PATH_FLAG_SHAKY) !== 0) return begin(p);
  if (p.faults < shakyCount || now - load<u64>(timeAt(p, p.faults - shakyCount)) > shakyWindowNs) return;
  // Long clean since: the period starts small again.
  const longClean = p.shakyPeriodNs !== 0 && now - p.shakyEndNs > 8 * p.shakyPeriodNs;
  p.shakyPeriodNs = p.shakyPeriodNs === 0 || longClean ? shakyCleanNs : min(p.shakyPeriodNs * 2, PERIOD_NS_MAX);
  p.flags |= PATH_FLAG_SHAKY;
  begin(p);
  event(EVENT_SHAKY, REASON_SHAKY, p.unitHandle, p.index, 1, p.shakySeconds, p.lastSense, p.lastHostStatus);
  unitRefresh(p.unit, REASON_SHAKY, p.lastSense, p.lastHostStatus);
}

/** The clean period begins (again). */
function begin(p: Path): void {
  p.shakyEndNs = now + p.shakyPeriodNs;
  p.shakySeconds = <u32>(p.shakyPeriodNs / SECOND);
  timerSooner(pathTimer(p.index), p.shakyEndNs);
}

/** The path's timer has fired; answers when its clean period ends. */
export function shakyTimer(p: Path): u64 {
  if ((p.flags & PATH_FLAG_SHAKY) === 0) return <u64>-1;
  if ((p.flags & (PATH_FLAG_FAILED | PATH_FLAG_STALLED)) !== 0) {
    // It is not clean while it is down.
    p.shakyEndNs = max(p.shakyEndNs, now + p.shakyPeriodNs);
  }
  if (p.shakyEndNs > now) {
    p.shakySeconds = <u32>((p.shakyEndNs - now) / SECOND);
    return p.shakyEndNs;
  }
  shakyEnd(p);
  unitRefresh(p.unit, REASON_SHAKY, 0, 0);
  return <u64>-1;
}

/** It is used like any other again: after its clean period, or by an operator. */
export function shakyEnd(p: Path): void {
  if ((p.flags & PATH_FLAG_SHAKY) === 0) return;
  p.flags &= ~PATH_FLAG_SHAKY;
  p.shakySeconds = 0;
  p.shakyEndNs = now;
  p.faults = 0;
  event(EVENT_SHAKY, REASON_SHAKY, p.unitHandle, p.index, 0, <u32>(p.shakyPeriodNs / SECOND), 0, 0);
}

/** An operator vouches for it: what was counted is forgotten. */
export function shakyClear(p: Path): void {
  shakyEnd(p);
  p.shakyPeriodNs = 0;
  p.faults = 0;
}
