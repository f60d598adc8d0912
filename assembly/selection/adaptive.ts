// Adaptive: the path on which this command is expected to be done first: what is in flight there, valued by the learned
// service time of this path for each class, plus what this command itself costs, over the number of commands the path
// works on at a time; at least what this command costs. Needs no setting.
//
// An estimate is only as good as its last sample. Two guards:
// - a path that lost all its I/O is tried again with one command now and then, so that it is found when it has healed.
//   That costs at most one I/O of RETRY_IOS in the long run.
// - a path whose command is long past its time gets no more until it answers, unless all others are the same.

import { nextInTurn, smallestDelays } from "./lanes";
import { BACKLOG, classOf, IN_FLIGHT, lane, lanesOf, progressAt, Selection, SERVERS_INVERSE } from "./layout";
import { costsOf, largestInFlight } from "./learning";

/** One I/O of so many may be spent on trying an idle path. */
const RETRY_IOS: i32 = 1024;
/** That many tries can be saved up. */
const RETRY_SAVED: i32 = 8;
/** A path is idle when it had no I/O for this long. */
const RETRY_NS: u64 = 100000000;
/** A command is overdue after so many times what it should have taken. */
const OVERDUE: f32 = 8;

export function pickAdaptive(s: Selection, allowed: u32, bytes: u32, write: bool, nowNs: u64): u32 {
  s.retryDebt = max(s.retryDebt - 1, -(RETRY_IOS * RETRY_SAVED));
  if (nowNs >= s.retryAtNs && s.retryDebt <= 0) {
    const idle = idlePath(s, allowed, nowNs);
    if (idle >= 0) return <u32>idle;
  }
  const costs = costsOf(s, classOf(bytes, write));
  let open = allowed & ~s.overdue;
  while (open !== 0) {
    const slot = soonest(s, costs, open);
    if (!overdue(s, slot, nowNs)) return slot;
    s.overdue |= 1 << slot;
    open &= ~(1 << slot);
  }
  return soonest(s, costs, allowed);
}

/** The slot with the shortest expected delay. */
function soonest(s: Selection, costs: usize, allowed: u32): u32 {
  const base = changetype<usize>(s);
  return nextInTurn(s, smallestDelays(s, base + BACKLOG, costs, base + SERVERS_INVERSE, allowed));
}

/** Whether the path has been silent for much longer than the largest command in flight on it takes. */
function overdue(s: Selection, slot: u32, nowNs: u64): bool {
  const lanes = lanesOf(s, slot);
  const inFlight = load<u32>(lanes, IN_FLIGHT);
  if (inFlight === 0) return false;
  const progressNs = load<u64>(progressAt(s, slot));
  if (nowNs <= progressNs) return false;
  const silentNs = <f32>(<i64>(nowNs - progressNs));
  if (silentNs * <f32>inFlight <= OVERDUE * load<f32>(lanes, BACKLOG)) return false;
  return silentNs > OVERDUE * largestInFlight(s, slot);
}

/** An allowed slot that had no I/O for RETRY_NS, or -1. Looks at most once in RETRY_NS / 16 when there is none. */
function idlePath(s: Selection, allowed: u32, nowNs: u64): i32 {
  for (let rest = allowed; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    if (load<u32>(lane(s, IN_FLIGHT, slot)) === 0 && nowNs > load<u64>(progressAt(s, slot)) + RETRY_NS) {
      s.retryDebt += RETRY_IOS;
      return slot;
    }
  }
  s.retryAtNs = nowNs + RETRY_NS / 16;
  return -1;
}
