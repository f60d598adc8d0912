// Waiting for the core to have compared who answers on a path with its unit.

import { setTimeout as sleep } from "node:timers/promises";
import type { Mirror } from "./mirror.ts";

const LOOK_MS = 5;

/** Waits until no path is unverified any more, so that what is displayed next is what the next I/O finds; at most so long. */
export async function untilVerified(mirror: Mirror, handles: readonly number[], msMax: number): Promise<void> {
  const end = performance.now() + msMax;
  while (performance.now() < end) {
    const tables = await mirror.current();
    if (!handles.some((handle) => tables.isUnverified(handle))) return;
    await sleep(LOOK_MS);
  }
}
