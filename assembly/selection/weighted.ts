// Weighted: distributes I/Os evenly in proportion to the configured weights. Stride scheduling (Waldspurger 1995): a slot
// that is picked advances by a stride of 1 / weight; the slot that has advanced least is next.

import { closeExcept, fewOnly, takeLeast, takeLeastOfFour } from "./scan";
import { entryAt, LONG_WAY, OPENED, PROGRESS, Selection, STRIDE } from "./layout";

/** Largest weight. */
export const WEIGHT_MAX: u32 = 65535;
/**
 * Stride of weight 1. The largest weights still advance by 16, so shares are accurate to about 6 % there, and to 0.1 % below
 * 1000.
 */
const STRIDE_MAX: u32 = 1 << 20;
const REBASE_AT: u32 = 1 << 31;

/** How far a slot moves with each I/O. @param weight 1..WEIGHT_MAX */
export function strideOf(weight: u32): u32 {
  return STRIDE_MAX / weight;
}

export function pickWeighted(selection: Selection, allowed: u32, closed: usize): u32 {
  if (selection.virtualTime >= REBASE_AT) return LONG_WAY;
  const few = fewOnly(allowed);
  const slot = few
    ? takeLeastOfFour(selection, PROGRESS, 0, closed)
    : takeLeast(selection, PROGRESS, 0, allowed, closed);
  advance(selection, slot);
  return slot;
}

/** Advances a slot that was picked. */
function advance(selection: Selection, slot: u32): void {
  const at = entryAt(selection, PROGRESS, slot);
  const stride = load<u32>(entryAt(selection, STRIDE, slot));
  // A slot that was held back (its queue was full) has fallen behind; it catches up by one I/O, not by all it missed.
  const progress = max(load<u32>(at), selection.virtualTime - min(selection.virtualTime, stride));
  selection.virtualTime = max(selection.virtualTime, progress);
  store<u32>(at, progress + stride);
}

/** Slots that join or return start where the others are: they neither catch up at once on what they missed, nor wait. */
export function joinWeighted(selection: Selection, slots: u32): void {
  for (let rest = slots; rest !== 0; rest &= rest - 1)
    store<u32>(entryAt(selection, PROGRESS, ctz(rest)), selection.virtualTime);
}

/** The same, after the numbers have become so large that they have to be rebased. */
export function pickWeightedLong(selection: Selection, allowed: u32): u32 {
  rebaseWeighted(selection);
  const closed = changetype<usize>(selection) + OPENED;
  closeExcept(closed, allowed);
  const slot = takeLeast(selection, PROGRESS, 0, allowed, closed);
  advance(selection, slot);
  return slot;
}

/** Subtracts the common part of the progress, so that the numbers never overflow; differences stay. */
function rebaseWeighted(selection: Selection): void {
  for (let slot: u32 = 0; slot < 32; slot++) {
    const at = entryAt(selection, PROGRESS, slot);
    const progress = load<u32>(at);
    store<u32>(at, progress > selection.virtualTime ? progress - selection.virtualTime : 0);
  }
  selection.virtualTime = 0;
}
