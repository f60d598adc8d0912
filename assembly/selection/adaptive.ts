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

export function pickAdaptive(
  selection: Selection,
  allowed: u32,
  closed: usize,
  bytes: u32,
  write: bool,
  nowNs: u64,
): u32 {
  if (nowNs >= selection.retryAtNs) return LONG_WAY;
  const costs = costsOf(selection, classOf(bytes, write));
  if ((allowed & selection.overdue) === 0) {
    const few = fewOnly(allowed);
    const slot = few ? takeSoonestOfFour(selection, costs, closed) : takeSoonest(selection, costs, allowed, closed);
    if (!silent(selection, slot, nowNs)) return slot;
  }
  return LONG_WAY;
}

/** The same when it is time to look for an idle path, or the path that seemed best is late. */
export function pickAdaptiveLong(selection: Selection, allowed: u32, bytes: u32, write: bool, nowNs: u64): u32 {
  const idle = nowNs >= selection.retryAtNs ? idlePath(selection, allowed, nowNs) : -1;
  return idle >= 0 ? <u32>idle : pickInTime(selection, costsOf(selection, classOf(bytes, write)), allowed, nowNs);
}

/** The same without paths with overdue commands; among those when there are no others. */
function pickInTime(selection: Selection, costs: usize, allowed: u32, nowNs: u64): u32 {
  const closed = changetype<usize>(selection) + OPENED;
  for (let open = allowed & ~selection.overdue; open !== 0; open = allowed & ~selection.overdue) {
    closeExcept(closed, open);
    const slot = takeSoonest(selection, costs, open, closed);
    if (!overdue(selection, slot, nowNs)) return slot;
    selection.overdue |= 1 << slot;
  }
  closeExcept(closed, allowed);
  return takeSoonest(selection, costs, allowed, closed);
}

/** Whether the path has been silent for far longer than its commands in flight should take. */
function silent(selection: Selection, slot: u32, nowNs: u64): bool {
  const entries = entriesOf(selection, slot);
  const silentNs = <i64>(nowNs - load<u64>(progressAt(selection, slot)));
  return <f32>silentNs * <f32>(<i32>load<u32>(entries, IN_FLIGHT)) > OVERDUE * load<f32>(entries, BACKLOG);
}

/** Whether that is also much longer than the largest command in flight on it takes. */
function overdue(selection: Selection, slot: u32, nowNs: u64): bool {
  if (!silent(selection, slot, nowNs)) return false;
  const silentNs = <i64>(nowNs - load<u64>(progressAt(selection, slot)));
  return <f32>silentNs > OVERDUE * largestInFlight(selection, slot);
}

/** An allowed slot that had no I/O for RETRY_NS, or -1. If there is none, it searches at most once per RETRY_NS / 16. */
function idlePath(selection: Selection, allowed: u32, nowNs: u64): i32 {
  if (<i32>(selection.issued - selection.retryNext) >= 0) {
    for (let rest = allowed; rest !== 0; rest &= rest - 1) {
      const slot = ctz(rest);
      if (
        load<u32>(entryAt(selection, IN_FLIGHT, slot)) === 0 &&
        nowNs > load<u64>(progressAt(selection, slot)) + RETRY_NS
      ) {
        const saved = selection.issued - RETRY_IOS * RETRY_SAVED;
        selection.retryNext = (<i32>(selection.retryNext - saved) > 0 ? selection.retryNext : saved) + RETRY_IOS;
        return <i32>slot;
      }
    }
  }
  selection.retryAtNs = nowNs + RETRY_NS / 16;
  return -1;
}
