// Adaptive: the path on which this command is expected to finish first: what is in flight there, weighted by the path's learned
// service time for each class, plus the cost of this command, divided by the number of commands the path works on at a time; at
// least the cost of this command. Needs no setting.
//
// An estimate is only as good as its last sample. Two safeguards:
// - a path that lost all its I/O is tried again with a single command now and then, to find out when it has recovered. That costs
//   at most one I/O of RETRY_IOS in the long run.
// - a path with an overdue command gets no more until it answers, unless all others are in the same state.

import { closeExcept, fewOnly, takeSoonest, takeSoonestOfFour } from "./scan";
import { BACKLOG, classOf, IN_FLIGHT, entryAt, entriesOf, LONG_WAY, OPENED, progressAt, Selection } from "./layout";
import { costsOf, largestInFlight } from "./learning";

/** One I/O of so many may be spent on trying an idle path. */
const RETRY_IOS: u32 = 1024;
/** This many tries can be saved up. */
const RETRY_SAVED: u32 = 8;
/** A path is idle when it had no I/O for this long. */
const RETRY_NS: u64 = 100000000;
/** A command is overdue after this many times its expected duration. */
const OVERDUE: f32 = 8;

export function pickAdaptive(s: Selection, allowed: u32, closed: usize, bytes: u32, write: bool, nowNs: u64): u32 {
  if (nowNs >= s.retryAtNs) return LONG_WAY;
  const costs = costsOf(s, classOf(bytes, write));
  if ((allowed & s.overdue) === 0) {
    const few = fewOnly(allowed);
    const slot = few ? takeSoonestOfFour(s, costs, closed) : takeSoonest(s, costs, allowed, closed);
    if (!silent(s, slot, nowNs)) return slot;
  }
  return LONG_WAY;
}

/** The same when it is time to look for an idle path, or the path that seemed best is late. */
export function pickAdaptiveLong(s: Selection, allowed: u32, bytes: u32, write: bool, nowNs: u64): u32 {
  const idle = nowNs >= s.retryAtNs ? idlePath(s, allowed, nowNs) : -1;
  return idle >= 0 ? <u32>idle : pickInTime(s, costsOf(s, classOf(bytes, write)), allowed, nowNs);
}

/** The same without paths with overdue commands; among those when there are no others. */
function pickInTime(s: Selection, costs: usize, allowed: u32, nowNs: u64): u32 {
  const closed = changetype<usize>(s) + OPENED;
  for (let open = allowed & ~s.overdue; open !== 0; open = allowed & ~s.overdue) {
    closeExcept(closed, open);
    const slot = takeSoonest(s, costs, open, closed);
    if (!overdue(s, slot, nowNs)) return slot;
    s.overdue |= 1 << slot;
  }
  closeExcept(closed, allowed);
  return takeSoonest(s, costs, allowed, closed);
}

/** Whether the path has been silent for far longer than its commands in flight should take. */
function silent(s: Selection, slot: u32, nowNs: u64): bool {
  const entries = entriesOf(s, slot);
  const silentNs = <i64>(nowNs - load<u64>(progressAt(s, slot)));
  return <f32>silentNs * <f32>(<i32>load<u32>(entries, IN_FLIGHT)) > OVERDUE * load<f32>(entries, BACKLOG);
}

/** Whether that is also much longer than the largest command in flight on it takes. */
function overdue(s: Selection, slot: u32, nowNs: u64): bool {
  if (!silent(s, slot, nowNs)) return false;
  const silentNs = <i64>(nowNs - load<u64>(progressAt(s, slot)));
  return <f32>silentNs > OVERDUE * largestInFlight(s, slot);
}

/** An allowed slot that had no I/O for RETRY_NS, or -1. If there is none, it searches at most once per RETRY_NS / 16. */
function idlePath(s: Selection, allowed: u32, nowNs: u64): i32 {
  if (<i32>(s.issued - s.retryNext) >= 0) {
    for (let rest = allowed; rest !== 0; rest &= rest - 1) {
      const slot = ctz(rest);
      if (load<u32>(entryAt(s, IN_FLIGHT, slot)) === 0 && nowNs > load<u64>(progressAt(s, slot)) + RETRY_NS) {
        const saved = s.issued - RETRY_IOS * RETRY_SAVED;
        s.retryNext = (<i32>(s.retryNext - saved) > 0 ? s.retryNext : saved) + RETRY_IOS;
        return <i32>slot;
      }
    }
  }
  s.retryAtNs = nowNs + RETRY_NS / 16;
  return -1;
}
