// The core's only source of randomness: splitmix64 from the seed in the control block, so that a simulation can be repeated.

import { CONTROL_SEED } from "../abi";
import { control } from "./memory";

// The constants of splitmix64 in two halves: TypeScript's tools take a literal over 2^53 for a mistake.
const GOLDEN_HIGH: u64 = 0x9e3779b9;
const GOLDEN: u64 = (GOLDEN_HIGH << 32) | 0x7f4a7c15;
const MIX_HIGH: u64 = 0xbf58476d;
const MIX: u64 = (MIX_HIGH << 32) | 0x1ce4e5b9;
const REMIX_HIGH: u64 = 0x94d049bb;
const REMIX: u64 = (REMIX_HIGH << 32) | 0x133111eb;

let state: u64 = 0;

/** The next random number (splitmix64), from the seed in the control block. */
export function random(): u64 {
  if (state === 0) state = load<u64>(control + CONTROL_SEED) | 1;
  state += GOLDEN;
  let z = state;
  z = (z ^ (z >> 30)) * MIX;
  z = (z ^ (z >> 27)) * REMIX;
  return z ^ (z >> 31);
}
