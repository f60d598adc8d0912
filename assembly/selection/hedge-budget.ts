// Hedged reads: whether and when a read is sent a second time on another path because the first is late.
//
// Off unless a budget is set. Late means: beyond the latency that all but the budget's fraction of the reads of this size stay
// below, learned from the reads themselves. Each read earns the budget's fraction of one hedge, so that in the long run the extra
// reads never exceed the budget, whatever the latencies do. Writes are never hedged: those follow the stall rule.

import { ERROR_RANGE } from "../abi";
import { classOf, HEDGE_READS, HEDGE_THRESHOLD, Selection } from "./layout";

/** One hedge, in units of budget: hundredths of a percent. */
const HEDGE_COST: i32 = 10000;
/** This many hedges can be saved up. */
const HEDGES_SAVED: i32 = 16;
/** The fraction of the budget that reads beyond the threshold would use; the rest is reserved for changing latencies. */
const BUDGET_USED: f32 = 0.85;
/** How far the threshold follows one read, as a fraction of itself. */
const STEP: f32 = 0.05;
/** The threshold starts at this many times the first latency. */
const FIRST: f32 = 8;
/** Reads of a class before its threshold is used. */
const READS_MIN: u32 = 200;
/** Classes of reads. */
const HEDGE_CLASSES: u32 = 5;

/**
 * Sets the budget (UNIT_SET_HEDGE_BUDGET). @param budget hundredths of a percent of the reads, 0..10000; 0 turns it off
 * @returns 0, or a negated ERROR_RANGE; the old budget then stays
 */
export function hedgeSetBudget(selection: Selection, budget: u32): i32 {
  if (budget > <u32>HEDGE_COST) return -(<i32>ERROR_RANGE);
  selection.hedgeBudget = budget;
  selection.hedgeSaved = 0;
  return 0;
}

/**
 * A read is sent for the first time: it earns its fraction of a hedge.
 * @returns after how long without an answer (ns) it may be sent again; 0: not at all (off, or not learned yet)
 */
export function hedgeAfterNs(selection: Selection, bytes: u32): u64 {
  if (selection.hedgeBudget === 0) return 0;
  selection.hedgeSaved = min(selection.hedgeSaved + <i32>selection.hedgeBudget, HEDGE_COST * HEDGES_SAVED);
  return hedgeThresholdNs(selection, bytes);
}

/** The threshold for reads of this size now, ns; 0 when there is none. */
export function hedgeThresholdNs(selection: Selection, bytes: u32): u64 {
  return thresholdNs(selection, classOf(bytes, false));
}

function thresholdNs(selection: Selection, sizeClass: u32): u64 {
  if (selection.hedgeBudget === 0 || sizeClass >= HEDGE_CLASSES) return 0;
  const place = <usize>sizeClass;
  if (<u32>load<u16>(changetype<usize>(selection) + HEDGE_READS + (place << 1)) < READS_MIN) return 0;
  return <u64>load<f32>(changetype<usize>(selection) + HEDGE_THRESHOLD + (place << 2));
}

/** The smallest threshold of any size, ns; all ones when there is none. */
export function hedgeSoonestNs(selection: Selection): u64 {
  let soonestNs: u64 = <u64>-1;
  for (let sizeClass: u32 = 0; sizeClass < HEDGE_CLASSES; sizeClass++) {
    const ns = thresholdNs(selection, sizeClass);
    if (ns !== 0) soonestNs = min(soonestNs, ns);
  }
  return soonestNs;
}

/** The time has come: returns whether the budget has room for one more, which is then spent. */
export function hedgeTake(selection: Selection): bool {
  if (selection.hedgeBudget === 0 || selection.hedgeSaved < HEDGE_COST) return false;
  selection.hedgeSaved -= HEDGE_COST;
  return true;
}

/** The first command of a read has completed, possibly after losing to the second. */
export function hedgeLearn(selection: Selection, bytes: u32, latencyNs: u64): void {
  const sizeClass = <usize>classOf(bytes, false);
  if (selection.hedgeBudget === 0 || sizeClass >= <usize>HEDGE_CLASSES) return;
  const reads = changetype<usize>(selection) + HEDGE_READS + (sizeClass << 1);
  const at = changetype<usize>(selection) + HEDGE_THRESHOLD + (sizeClass << 2);
  const latency = <f32>(<i64>latencyNs);
  const seen = <u32>load<u16>(reads);
  if (seen === 0) {
    store<f32>(at, FIRST * latency);
    store<u16>(reads, 1);
    return;
  }
  if (seen < READS_MIN) store<u16>(reads, <u16>(seen + 1));
  // Up by 1 - p of a step for each latency above, down by p for each below: in balance when a fraction p is above.
  const threshold = load<f32>(at);
  const part = <f32>selection.hedgeBudget * BUDGET_USED * 0.0001;
  store<f32>(at, threshold * (latency > threshold ? 1 + STEP * (1 - part) : 1 - STEP * part));
}
