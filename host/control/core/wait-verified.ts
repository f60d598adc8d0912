// Waits until the core has compared the identity behind each path with that of its unit.

import { setTimeout as sleep } from "node:timers/promises";
import type { Path } from "../inventory/inventory.ts";
import type { Snapshots } from "./snapshots.ts";

const POLL_MS = 5;

/**
 * Waits, for a limited time, until no path is being verified any more, so that the next display and the next I/O see the same
 * paths.
 */
export async function waitVerified(snapshots: Snapshots, paths: readonly Path[], msMax: number): Promise<void> {
  const handles = paths.flatMap(({ handle }) => (handle === null ? [] : [handle]));
  const end = performance.now() + msMax;
  while (performance.now() < end) {
    const snapshot = await snapshots.current();
    if (!handles.some((handle) => snapshot.isVerifying(handle))) return;
    await sleep(POLL_MS);
  }
}
