// What control may set for all units and paths (MODE_*), and the consequences for existing paths.

import { MODE_PATROL_INTERVAL_MS } from "./abi";
import { modeSet, marginalCleanNs, marginalMode } from "./path/mode";
import { marginalAnew } from "./path/marginal";
import { patrolAnew } from "./path/timer";

/** See docs/architecture.md, `modeSet`. */
export function modeChange(mode: u32, value: i64): i32 {
  const monitored = marginalMode;
  const cleanNs = marginalCleanNs;
  const answer = modeSet(mode, value);
  if (answer < 0) return answer;
  if (mode === MODE_PATROL_INTERVAL_MS) patrolAnew();
  if (marginalMode !== monitored || marginalCleanNs !== cleanNs) marginalAnew();
  return answer;
}
