// Waiting in tests: always for something, and never without an end.

import { setTimeout as pause } from "node:timers/promises";

/** Only what is broken takes longer, however busy the machine is. */
const WAIT_MS_MAX = 60_000;
const PAUSE_MS_MIN = 5;
const PAUSE_MS_MAX = 100;

/**
 * Asks again and again until `found` returns something, and returns that. `false`, `undefined` and `null` mean "not yet".
 * Throws an error that names `what` when that takes too long.
 *
 * Pauses grow with the wait and are no shorter than the question took, so that asking does not hold up what is waited for.
 */
export async function until<T>(
  what: string,
  found: () => T | Promise<T>,
  timeoutMs = WAIT_MS_MAX,
): Promise<NonNullable<Exclude<T, false>>> {
  const begin = performance.now();
  for (;;) {
    const asked = performance.now();
    const value = await found();
    if (value !== false && value !== undefined && value !== null) return value as NonNullable<Exclude<T, false>>;
    const now = performance.now();
    if (now - begin > timeoutMs) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await pause(Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, (now - begin) / 10, now - asked)));
  }
}
