// Finding the smallest of up to 32 scores, four at a time.
//
// Scores are u32, or f32 that are not negative: their bit patterns sort the same way. The lowest five bits of a score
// (of a f32: the last four millionths of it) give way to how far the slot is from the turn. So the smallest of these keys
// names its slot, and equal slots take turns.
//
// Of up to four slots, entries are loaded one by one: a load of all four would have to wait until an entry that was
// stored a moment ago has reached the cache, one of the same entry does not.

import { BACKLOG, IN_FLIGHT_BYTES, Selection, SERVERS_INVERSE, WEIGHT_INVERSE } from "./layout";

/** Bits of a score that the slot takes. */
const SLOT_MASK: u32 = 31;
/** u32[64]: n mod 32. From place 32 - turn on: how far each slot is from the turn. */
const FAR: usize = memory.data<u32>([
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
]);

/** Whether all slots of a mask are among the first four. */
export function fewOnly(allowed: u32): bool {
  return allowed < 16;
}

/** The same as `takeLeast` among the first four slots. */
export function takeLeastOfFour(s: Selection, scores: usize, shift: i32, closed: usize): u32 {
  return take(s, keysOf(i32x4.shl(firstFour(changetype<usize>(s) + scores), shift), distances(s), closed));
}

/**
 * Takes the slot with the smallest score; the turn passes to the next one.
 * @param scores offset of u32[32] (or f32[32], none negative), a multiple of 16
 * @param shift the scores count shifted left by so many bits
 * @param allowed a mask, not empty @param closed address of u32[32]: all ones for what is not allowed, else 0
 */
export function takeLeast(s: Selection, scores: usize, shift: i32, allowed: u32, closed: usize): u32 {
  const array = changetype<usize>(s) + scores;
  const end = groupsEnd(allowed);
  const far = distances(s);
  let best = i32x4.splat(-1);
  for (let at: usize = 0; at < end; at += 16) {
    best = i32x4.min_u(best, keysOf(i32x4.shl(v128.load(array + at), shift), far + at, closed + at));
  }
  return take(s, best);
}

/** The same as `takeLightest` among the first four slots. */
export function takeLightestOfFour(s: Selection, bytes: u32, closed: usize): u32 {
  const base = changetype<usize>(s);
  const scores = over(firstFour(base + IN_FLIGHT_BYTES), bytes, v128.load(base, WEIGHT_INVERSE));
  return take(s, keysOf(scores, distances(s), closed));
}

/** Takes the slot with the smallest (bytes in flight + `bytes`) / weight. */
export function takeLightest(s: Selection, bytes: u32, allowed: u32, closed: usize): u32 {
  const base = changetype<usize>(s);
  const end = groupsEnd(allowed);
  const far = distances(s);
  let best = i32x4.splat(-1);
  for (let at: usize = 0; at < end; at += 16) {
    const scores = over(v128.load(base + at, IN_FLIGHT_BYTES), bytes, v128.load(base + at, WEIGHT_INVERSE));
    best = i32x4.min_u(best, keysOf(scores, far + at, closed + at));
  }
  return take(s, best);
}

function over(inFlight: v128, bytes: u32, inverse: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(inFlight, i32x4.splat(bytes))), inverse);
}

/** The same as `takeSoonest` among the first four slots. */
export function takeSoonestOfFour(s: Selection, costs: usize, closed: usize): u32 {
  const base = changetype<usize>(s);
  const delays = delay(firstFour(base + BACKLOG), v128.load(costs), v128.load(base, SERVERS_INVERSE));
  return take(s, keysOf(delays, distances(s), closed));
}

/**
 * Takes the slot with the shortest expected delay: what the command costs, or the work ahead of it and its own over the
 * servers that share it, whichever is longer. @param costs address of what the command costs on each slot, f32[32]
 */
export function takeSoonest(s: Selection, costs: usize, allowed: u32, closed: usize): u32 {
  const base = changetype<usize>(s);
  const end = groupsEnd(allowed);
  const far = distances(s);
  let best = i32x4.splat(-1);
  for (let at: usize = 0; at < end; at += 16) {
    const share = v128.load(base + at, SERVERS_INVERSE);
    const delays = delay(v128.load(base + at, BACKLOG), v128.load(costs + at), share);
    best = i32x4.min_u(best, keysOf(delays, far + at, closed + at));
  }
  return take(s, best);
}

/** As none is negative, the bit patterns compare as they do. */
function delay(backlog: v128, cost: v128, share: v128): v128 {
  return i32x4.max_u(cost, f32x4.mul(f32x4.add(backlog, cost), share));
}

/** The first four entries of an array. */
function firstFour(array: usize): v128 {
  const two = v128.load32_lane(array, v128.load32_zero(array), 1, 4);
  return v128.load32_lane(array, v128.load32_lane(array, two, 2, 8), 3, 12);
}

/** Address of how far each slot is from the turn, u32[32]. */
function distances(s: Selection): usize {
  return FAR + <usize>((32 - s.turn) << 2);
}

/** The keys of four slots. @param far address of their distances @param closed address of what closes them */
function keysOf(scores: v128, far: usize, closed: usize): v128 {
  const free = v128.and(scores, i32x4.splat(~SLOT_MASK));
  return v128.or(v128.or(free, v128.load(far)), v128.load(closed));
}

/** The slot with the smallest of four keys; the turn passes to the next one. */
function take(s: Selection, keys: v128): u32 {
  const halves = i32x4.min_u(keys, v128.shuffle<i32>(keys, keys, 2, 3, 0, 1));
  const key = <u32>i32x4.extract_lane(i32x4.min_u(halves, v128.shuffle<i32>(halves, halves, 1, 0, 3, 2)), 0);
  const slot = (key + s.turn) & SLOT_MASK;
  s.turn = (slot + 1) & SLOT_MASK;
  return slot;
}

/** Writes an array of u32[32]: 0 for the slots of a mask, all ones for the others. @param array its address */
export function closeExcept(array: usize, open: u32): void {
  let rest = open;
  for (let at: usize = 0; at < 128; at += 16) {
    v128.store(array + at, i32x4.eq(v128.and(i32x4.splat(rest), i32x4(1, 2, 4, 8)), i32x4.splat(0)));
    rest >>= 4;
  }
}

/** Bytes of the groups of four entries that hold every slot of a mask. */
function groupsEnd(allowed: u32): usize {
  return <usize>(((35 - <u32>clz(allowed)) >> 2) << 4);
}

/** The slot of the n-th bit (from 0) of a mask that has more than n. */
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
