// Waiting for the core to have compared who answers on a path with its unit.

import { setTimeout as sleep } from "node:timers/promises";
import type { Path } from "../inventory/inventory.ts";
import type { Snapshots } from "./snapshots.ts";

const POLL_MS = 5;

/** Waits until none of the paths is being verified any more, so that what is displayed next is what the next I/O finds; at most so long. */
export async function waitVerified(snapshots: Snapshots, paths: readonly Path[], msMax: number): Promise<void> {
  const handles = paths.flatMap(({ handle }) => (handle === null ? [] : [handle]));
  const end = performance.now() + msMax;
  while (performance.now() < end) {
    const snapshot = await snapshots.current();
    if (!handles.some((handle) => snapshot.isVerifying(handle))) return;
    await sleep(POLL_MS);
  }
}
