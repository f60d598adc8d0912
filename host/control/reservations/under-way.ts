// What is still under way to a unit: where this host is registered again, a device carries out what was sent before, too.

import { setTimeout as sleep } from "node:timers/promises";
import type { Snapshots } from "../core/snapshots.ts";
import type { Leftovers } from "../devices/leftovers-watch.ts";
import type { Path, Unit } from "../inventory/inventory.ts";

const EVERY_MS = 20;
/** How long commands under way are waited for before their path's registration is given up for a moment. */
const DRAIN_MS = 1000;
/** How long a command that registers again waits: no longer than a cluster's agent does. */
const SETTLE_MS = 2000;

export class UnderWay {
  readonly #snapshots: Pick<Snapshots, "current">;
  readonly #leftovers: Pick<Leftovers, "check" | "holds"> | null;

  /** @param leftovers of an earlier daemon; null: there can be none */
  constructor(snapshots: Pick<Snapshots, "current">, leftovers: Pick<Leftovers, "check" | "holds"> | null) {
    this.#snapshots = snapshots;
    this.#leftovers = leftovers;
  }

  /** Waits a while until nothing is under way on the paths: what they have sent may no longer count as registered. */
  async drained(paths: readonly Path[]): Promise<void> {
    await within(DRAIN_MS, async () => {
      const snapshot = await this.#snapshots.current();
      return !paths.some(({ handle }) => handle !== null && (snapshot.path(handle)?.inFlight ?? 0) > 0);
    });
  }

  /** Whether an earlier daemon has left commands under way to the unit. */
  async isInherited(unit: Unit): Promise<boolean> {
    // Asked now: paths may come before the first look.
    await this.#leftovers?.check();
    return this.#leftovers?.holds(unit) ?? false;
  }

  /** Waits a while for what was under way when the unit stopped; returns whether it is over. */
  settled(unit: Unit): Promise<boolean> {
    return within(SETTLE_MS, async () => {
      if (unit.handle === null) return true;
      const snapshot = await this.#snapshots.current();
      return (snapshot.unit(unit.handle)?.orphans ?? 0) === 0 && !(await this.isInherited(unit));
    });
  }
}

/** Asks until it is so, or the time is over. */
async function within(limitMs: number, isSo: () => Promise<boolean>): Promise<boolean> {
  for (let left = limitMs / EVERY_MS; left > 0; left--) {
    if (await isSo()) return true;
    await sleep(EVERY_MS);
  }
  return isSo();
}
