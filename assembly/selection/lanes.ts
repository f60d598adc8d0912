// Finding the smallest of up to 32 scores, four at a time.
//
// Scores are u32, or f32 that are not negative: their bit patterns sort the same way. So one integer search serves all.

import { SCORES, Selection } from "./layout";

/** All ones in the lanes whose bit (of the lowest four) is clear. */
function lanesWithout(mask: u32): v128 {
  return i32x4.eq(v128.and(i32x4.splat(mask), i32x4(1, 2, 4, 8)), i32x4.splat(0));
}

/** The smallest lane, in all four. */
function smallest(scores: v128): v128 {
  const halves = i32x4.min_u(scores, v128.shuffle<i32>(scores, scores, 2, 3, 0, 1));
  return i32x4.min_u(halves, v128.shuffle<i32>(halves, halves, 1, 0, 3, 2));
}

/** Which of the allowed slots 0..3 have the smallest of these four scores: a mask. */
function smallestOfFour(scores: v128, allowed: u32): u32 {
  const masked = v128.or(scores, lanesWithout(allowed));
  return (<u32>i32x4.bitmask(i32x4.eq(masked, smallest(masked)))) & allowed;
}

/**
 * Which of the allowed slots have the smallest score: a mask, never empty.
 * @param scores address of u32[32] (or f32[32], none negative), a multiple of 16
 * @param allowed a mask, not empty
 */
export function smallestSlots(scores: usize, allowed: u32): u32 {
  if (allowed < 16) return smallestOfFour(v128.load(scores), allowed);
  const end = groupsEnd(allowed);
  let best = i32x4.splat(-1);
  let without = allowed;
  for (let at: usize = 0; at < end; at += 16) {
    best = i32x4.min_u(best, v128.or(v128.load(scores + at), lanesWithout(without)));
    without >>= 4;
  }
  best = smallest(best);
  let slots: u32 = 0;
  for (let at: usize = 0; at < end; at += 16) {
    const first = <u32>(at >> 2);
    slots |= (<u32>i32x4.bitmask(i32x4.eq(v128.load(scores + at), best))) << first;
  }
  return slots & allowed;
}

/** Bytes of the groups of four entries that hold every slot of a mask. */
function groupsEnd(allowed: u32): usize {
  return <usize>(((35 - <u32>clz(allowed)) >> 2) << 4);
}

/**
 * The slots with the smallest max(b[slot], (a[slot] + b[slot]) x c[slot]) (f32[32] each): what a command costs (b), or
 * the work ahead of it and its own (a + b) over the servers that share it (1 / c), whichever is longer.
 */
export function smallestDelays(s: Selection, a: usize, b: usize, c: usize, allowed: u32): u32 {
  if (allowed < 16) return smallestOfFour(delay(v128.load(a), v128.load(b), v128.load(c)), allowed);
  const scores = changetype<usize>(s) + SCORES;
  const end = groupsEnd(allowed);
  for (let at: usize = 0; at < end; at += 16) {
    v128.store(scores + at, delay(v128.load(a + at), v128.load(b + at), v128.load(c + at)));
  }
  return smallestSlots(scores, allowed);
}

function delay(backlog: v128, cost: v128, share: v128): v128 {
  return f32x4.pmax(cost, f32x4.mul(f32x4.add(backlog, cost), share));
}

/** The slots with the smallest (a[slot] + more) x b[slot] (a: u32[32], b: f32[32]); the products are left in SCORES. */
export function smallestProducts(s: Selection, a: usize, more: u32, b: usize, allowed: u32): u32 {
  if (allowed < 16) return smallestOfFour(product(v128.load(a), more, v128.load(b)), allowed);
  const scores = changetype<usize>(s) + SCORES;
  const end = groupsEnd(allowed);
  for (let at: usize = 0; at < end; at += 16) {
    v128.store(scores + at, product(v128.load(a + at), more, v128.load(b + at)));
  }
  return smallestSlots(scores, allowed);
}

function product(a: v128, more: u32, b: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_u(i32x4.add(a, i32x4.splat(more))), b);
}

/** One slot of a mask that is not empty, taking turns, so that equal paths share evenly. */
export function nextInTurn(s: Selection, slots: u32): u32 {
  const slot = (ctz(rotr(slots, s.turn)) + s.turn) & 31;
  s.turn = (slot + 1) & 31;
  return slot;
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
