// What the core decides about a path by itself: that it waits in standby after it was taken back (failback mode Standby), and
// that it is marginal. Nobody asked for it, so nobody has written it down: without this a restart would forget it, and use
// the path like any other.

import type { Context } from "./context.ts";
import { reasonOf } from "../ground/errors.ts";
import { pathRow, type Inventory, type Path } from "../inventory/inventory.ts";
import type { Snapshot } from "../core/snapshot.ts";

type WatchContext = Pick<Context, "inventory" | "state" | "snapshots" | "change">;

/** A path that the core holds for something else than the inventory does. */
interface Decision {
  readonly path: Path;
  readonly enabled: boolean;
  readonly isMarginal: boolean;
}

function decisions(inventory: Inventory, snapshot: Snapshot): Decision[] {
  return inventory.paths().flatMap((path): Decision[] => {
    const { handle } = path;
    if (handle === null || !snapshot.hasPath(handle)) return [];
    const enabled = path.enabled && !snapshot.isDisabled(handle);
    const isMarginal = snapshot.isMarginal(handle);
    return enabled === path.enabled && isMarginal === path.isMarginal ? [] : [{ path, enabled, isMarginal }];
  });
}

export class PathWatch {
  readonly #context: WatchContext;
  readonly #complain: (problem: string) => void;
  #isNoting = false;
  #isBroken = false;

  constructor(context: WatchContext, complain: (problem: string) => void) {
    this.#context = context;
    this.#complain = complain;
  }

  /** Called with each copy of the tables. What could not be written is tried again with the next copy. */
  check(snapshot: Snapshot): void {
    if (this.#isNoting || decisions(this.#context.inventory, snapshot).length === 0) return;
    this.#isNoting = true;
    void this.#context
      .change(() => this.#note())
      .then(
        () => (this.#isBroken = false),
        (thrown: unknown) => {
          if (!this.#isBroken)
            this.#complain(`paths in standby, and marginal ones, are not noted: ${reasonOf(thrown)}`);
          this.#isBroken = true;
        },
      )
      .finally(() => (this.#isNoting = false));
  }

  /** Within a change nothing else is under way: where the core and the inventory differ, it was the core's doing. */
  async #note(): Promise<void> {
    const { inventory, state, snapshots } = this.#context;
    const decided = decisions(inventory, await snapshots.current());
    state.savePaths(decided.map(({ path, enabled, isMarginal }) => ({ ...pathRow(path), enabled, isMarginal })));
    for (const { path, enabled, isMarginal } of decided) Object.assign(path, { enabled, isMarginal });
  }
}
