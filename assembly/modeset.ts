// What control may set for all units and paths (MODE_*), and what follows from it for paths that are there already.

import { MODE_PATROL_INTERVAL_MS } from "./abi";
import { modeSet, shakyCleanNs, shakyMode } from "./path/mode";
import { shakyAnew } from "./path/shaky";
import { patrolAnew } from "./path/timer";

/** See docs/architecture.md, `modeSet`. */
export function modeChange(mode: u32, value: i64): i32 {
  const monitored = shakyMode;
  const cleanNs = shakyCleanNs;
  const answer = modeSet(mode, value);
  if (answer < 0) return answer;
  if (mode === MODE_PATROL_INTERVAL_MS) patrolAnew();
  if (shakyMode !== monitored || shakyCleanNs !== cleanNs) shakyAnew();
  return answer;
}
