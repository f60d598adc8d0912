// The turns of the core and the emulated array between two waits.

import type { EmulatedArray } from "../array/array.ts";
import type { Core } from "./core-loader.ts";

/** Turns in a row before the sockets are checked, so that a busy array does not keep them waiting. */
const TURNS_MAX = 16;

/**
 * Lets core and array take turns until the array has nothing more to answer immediately. An I/O to an emulated unit then costs
 * one wait, not two.
 * @returns how long to wait for sockets, ports and messages, in microseconds; without limit when negative
 */
export function runTurns(core: Core, array: EmulatedArray): number {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    core.exports.run();
    if (array.turn() === 0) return array.waitMicroseconds();
    // The array has moved enough data for one turn: its answers are passed on before it continues.
    if (array.backlog) {
      core.exports.run();
      return 0;
    }
  }
  return 0;
}
