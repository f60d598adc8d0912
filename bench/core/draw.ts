// The draw of the power-of-two policy, over more queues than a unit has paths: for the self-test of the simulation.

import { drawTwo } from "../../assembly/selection/poweroftwo";
import { Selection } from "../../assembly/selection/layout";

export function init(seed: u32): void {
  changetype<Selection>(__heap_base).random = <u64>seed;
}

/** Two different numbers below `count`: first + 65536 x second. */
export function draw(count: u32): u32 {
  return drawTwo(changetype<Selection>(__heap_base), count);
}
