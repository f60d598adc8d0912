// Small seeded random numbers: SplitMix64 (Steele, Lea, Flood 2014). The same seed gives the same decisions.

import { Selection } from "./layout";

// The constants are split into halves, because TypeScript's tools report literals above 2^53 as mistakes.
const GOLDEN_HIGH: u64 = 0x9e3779b9;
const GOLDEN: u64 = (GOLDEN_HIGH << 32) | 0x7f4a7c15;
const MIX_HIGH: u64 = 0xbf58476d;
const MIX: u64 = (MIX_HIGH << 32) | 0x1ce4e5b9;
const REMIX_HIGH: u64 = 0x94d049bb;
const REMIX: u64 = (REMIX_HIGH << 32) | 0x133111eb;

/** A random number below `limit` (1..2^32). Multiply-shift: its bias is less than limit / 2^32. */
export function randomBelow(selection: Selection, limit: u32): u32 {
  selection.random += GOLDEN;
  let z = selection.random;
  z = (z ^ (z >> 30)) * MIX;
  z = (z ^ (z >> 27)) * REMIX;
  return <u32>(((z >> 32) * <u64>limit) >> 32);
}
