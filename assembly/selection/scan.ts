// Finds the smallest of up to 32 scores.
//
// Scores are u32, or non-negative f32, whose bit patterns sort the same way. The lowest five bits of a score (the last four
// millionths of an f32) are replaced by the slot's distance from the turn. So the smallest of these keys identifies its
// slot, and equal slots take turns.
//
// Up to four slots are compared one by one, which is the fastest way; more, four at a time. Values that every command
// changes are loaded entry by entry there as well: a load of all four would have to wait until an entry stored a moment ago
// has reached the cache, whereas a load of that entry alone does not.

import { BACKLOG, IN_FLIGHT_BYTES, Selection, SERVERS_INVERSE, WEIGHT_INVERSE } from "./layout";

/** Bits of a score that are replaced by the slot. */
const SLOT_MASK: u32 = 31;
/** u32[4]: the bits that a score keeps. In memory, because the engine builds a 128-bit constant again at each use. */
const SCORE_BITS: usize = memory.data<u32>([~SLOT_MASK, ~SLOT_MASK, ~SLOT_MASK, ~SLOT_MASK], 16);
/** u32[64]: n mod 32. From index 32 - turn on: the distance of each slot from the turn. */
const FAR: usize = memory.data<u32>([
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
]);

/** Whether all slots of a mask are among the first four. */
export function fewOnly(allowed: u32): bool {
  return allowed < 16;
}

/** The same as `takeLeast` among the first four slots. */
export function takeLeastOfFour(selection: Selection, scores: usize, shift: u32, closed: usize): u32 {
  const array = changetype<usize>(selection) + scores;
  const turn = selection.turn;
  const first = keyOf(load<u32>(array) << shift, 0, turn, closed);
  const second = keyOf(load<u32>(array, 4) << shift, 1, turn, closed);
  const third = keyOf(load<u32>(array, 8) << shift, 2, turn, closed);
  const fourth = keyOf(load<u32>(array, 12) << shift, 3, turn, closed);
  return takeKey(selection, lesser(lesser(first, second), lesser(third, fourth)), turn);
}

/**
 * Picks the slot with the smallest score; the turn passes to the next one.
 * @param scores offset of u32[32] (or non-negative f32[32]), a multiple of 16
 * @param shift number of bits by which the scores are shifted left: 0, or at least as many as the slot needs
 * @param allowed a mask, not empty
 * @param closed address of u32[32]: all ones for slots that are not allowed, else 0
 */
export function takeLeast(selection: Selection, scores: usize, shift: u32, allowed: u32, closed: usize): u32 {
  const array = changetype<usize>(selection) + scores;
  const end = groupsEnd(allowed);
  const far = distances(selection);
  let best = i32x4.splat(-1);
  for (let at: usize = 0; at < end; at += 16) {
    const four = fourOf(array + at);
    const kept = shift !== 0 ? i32x4.shl(four, shift) : scoreBits(four);
    best = i32x4.min_u(best, keysOf(kept, far + at, closed + at));
  }
  return take(selection, best);
}

/** The same as `takeLightest` among the first four slots. */
export function takeLightestOfFour(selection: Selection, bytes: u32, closed: usize): u32 {
  const entries = changetype<usize>(selection);
  const turn = selection.turn;
  const first = keyOf(weightOf(entries, bytes), 0, turn, closed);
  const second = keyOf(weightOf(entries + 4, bytes), 1, turn, closed);
  const third = keyOf(weightOf(entries + 8, bytes), 2, turn, closed);
  const fourth = keyOf(weightOf(entries + 12, bytes), 3, turn, closed);
  return takeKey(selection, lesser(lesser(first, second), lesser(third, fourth)), turn);
}

/** (Bytes in flight + `bytes`) / weight of a slot, as bits. @param entries base of its entries */
function weightOf(entries: usize, bytes: u32): u32 {
  const inFlight = <f32>(<i32>(load<u32>(entries, IN_FLIGHT_BYTES) + bytes));
  return reinterpret<u32>(inFlight * load<f32>(entries, WEIGHT_INVERSE));
}

/** Picks the slot with the smallest (bytes in flight + `bytes`) / weight. */
export function takeLightest(selection: Selection, bytes: u32, allowed: u32, closed: usize): u32 {
  const base = changetype<usize>(selection);
  const end = groupsEnd(allowed);
  const far = distances(selection);
  let best = i32x4.splat(-1);
  for (let at: usize = 0; at < end; at += 16) {
    const scores = over(fourOf(base + at + IN_FLIGHT_BYTES), bytes, v128.load(base + at, WEIGHT_INVERSE));
    best = i32x4.min_u(best, keysOf(scoreBits(scores), far + at, closed + at));
  }
  return take(selection, best);
}

function over(inFlight: v128, bytes: u32, inverse: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(inFlight, i32x4.splat(bytes))), inverse);
}

/** The same as `takeSoonest` among the first four slots, where it pays off to compute a single slot at a time. */
export function takeSoonestOfFour(selection: Selection, costs: usize, closed: usize): u32 {
  const base = changetype<usize>(selection);
  const delays = delay(fourOf(base + BACKLOG), v128.load(costs), v128.load(base, SERVERS_INVERSE));
  return take(selection, keysOf(scoreBits(delays), distances(selection), closed));
}

/**
 * Picks the slot with the shortest expected delay: the command's cost, or the backlog plus this cost divided by the number
 * of servers, whichever is longer.
 * @param costs address of the command's cost on each slot, f32[32]
 */
export function takeSoonest(selection: Selection, costs: usize, allowed: u32, closed: usize): u32 {
  const base = changetype<usize>(selection);
  const end = groupsEnd(allowed);
  const far = distances(selection);
  let best = i32x4.splat(-1);
  for (let at: usize = 0; at < end; at += 16) {
    const share = v128.load(base + at, SERVERS_INVERSE);
    const delays = delay(v128.load(base + at, BACKLOG), v128.load(costs + at), share);
    best = i32x4.min_u(best, keysOf(scoreBits(delays), far + at, closed + at));
  }
  return take(selection, best);
}

/** Since no value is negative, comparing the bit patterns gives the same result. */
function delay(backlog: v128, cost: v128, share: v128): v128 {
  return i32x4.max_u(cost, f32x4.mul(f32x4.add(backlog, cost), share));
}

/** Four entries, loaded one by one. */
function fourOf(at: usize): v128 {
  const two = v128.load32_lane(at, v128.load32_zero(at), 1, 4);
  return v128.load32_lane(at, v128.load32_lane(at, two, 2, 8), 3, 12);
}

/** Address of the slots' distances from the turn, u32[32]. */
function distances(selection: Selection): usize {
  return FAR + <usize>((32 - selection.turn) << 2);
}

/** The bits of four scores that are kept. */
function scoreBits(scores: v128): v128 {
  return v128.and(scores, v128.load(SCORE_BITS));
}

/**
 * The keys of four slots.
 * @param far address of their distances
 * @param closed address of their entries that exclude slots: all ones or 0
 */
function keysOf(scores: v128, far: usize, closed: usize): v128 {
  return v128.or(v128.or(scores, v128.load(far)), v128.load(closed));
}

/** The key of one of the first four slots. @param closed address of the first slot's entry that excludes it: all ones or 0 */
function keyOf(score: u32, slot: u32, turn: u32, closed: usize): u32 {
  return (score & ~SLOT_MASK) | ((slot - turn) & SLOT_MASK) | load<u32>(closed + (slot << 2));
}

function lesser(a: u32, b: u32): u32 {
  return select(a, b, a < b);
}

/** The slot of a key; the turn passes to the next one. */
function takeKey(selection: Selection, key: u32, turn: u32): u32 {
  const slot = (key + turn) & SLOT_MASK;
  selection.turn = (slot + 1) & SLOT_MASK;
  return slot;
}

/** The slot with the smallest of four keys; the turn passes to the next one. */
function take(selection: Selection, keys: v128): u32 {
  const halves = i32x4.min_u(keys, v128.shuffle<i32>(keys, keys, 2, 3, 0, 1));
  const key = <u32>i32x4.extract_lane(i32x4.min_u(halves, v128.shuffle<i32>(halves, halves, 1, 0, 3, 2)), 0);
  return takeKey(selection, key, selection.turn);
}

/** Fills an array of u32[32]: 0 for the slots of a mask, all ones for the others. @param array its address */
export function closeExcept(array: usize, open: u32): void {
  let rest = open;
  for (let at: usize = 0; at < 128; at += 16) {
    v128.store(array + at, i32x4.eq(v128.and(i32x4.splat(rest), i32x4(1, 2, 4, 8)), i32x4.splat(0)));
    rest >>= 4;
  }
}

/** Bytes of the groups of four entries that contain all slots of a mask. */
function groupsEnd(allowed: u32): usize {
  return <usize>(((35 - <u32>clz(allowed)) >> 2) << 4);
}

/** The slot of the n-th bit (from 0) of a mask that has more than n bits set. */
export function nthSlot(mask: u32, n: u32): u32 {
  if ((mask & (mask + 1)) === 0) return n;
  let at: u32 = 0;
  for (let width: u32 = 16; width > 0; width >>= 1) {
    const below = <u32>popcnt((mask >> at) & ((1 << width) - 1));
    if (n >= below) {
      n -= below;
      at += width;
    }
  }
  return at;
}
