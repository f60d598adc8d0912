// Records what the core decides about a path by itself: that it waits in standby after it recovered (failback mode Standby), and
// that it is marginal. No command asked for this, so nothing else writes it down: without it a restart would forget, and use the
// path like any other.

import * as abi from "../../abi.ts";
import type { Context } from "./operation-context.ts";
import { reasonOf } from "../ground/control-errors.ts";
import { pathRow, type Inventory, type Path } from "../inventory/inventory.ts";
import type { Snapshot } from "../core/snapshot.ts";

type WatchContext = Pick<Context, "inventory" | "state" | "snapshots" | "change">;

/** A path whose state in the core differs from that in the inventory. */
interface Decision {
  readonly path: Path;
  readonly enabled: boolean;
  readonly isMarginal: boolean;
}

/** Looked at with each copy of the tables, so nothing is made for a path of which nothing was decided. */
function decisions(inventory: Inventory, snapshot: Snapshot): Decision[] {
  const found: Decision[] = [];
  for (const path of inventory.paths()) {
    const flags = path.handle === null ? 0 : snapshot.flags(path.handle);
    if ((flags & abi.PATH_FLAG_PRESENT) === 0) continue;
    const enabled = path.enabled && (flags & abi.PATH_FLAG_ENABLED) !== 0;
    const isMarginal = (flags & abi.PATH_FLAG_MARGINAL) !== 0;
    if (enabled !== path.enabled || isMarginal !== path.isMarginal) found.push({ path, enabled, isMarginal });
  }
  return found;
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

  /** Called with each copy of the tables. A failed write is retried with the next copy. */
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

  /** Changes are serialized, so within one the core alone can have caused a difference from the inventory. */
  async #note(): Promise<void> {
    const { inventory, state, snapshots } = this.#context;
    const decided = decisions(inventory, await snapshots.current());
    state.savePaths(decided.map(({ path, enabled, isMarginal }) => ({ ...pathRow(path), enabled, isMarginal })));
    for (const { path, enabled, isMarginal } of decided) Object.assign(path, { enabled, isMarginal });
  }
}
