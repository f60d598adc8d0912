// What the core decides about a path by itself: that it waits in standby after it was taken back (failback mode Standby), and
// that it is shaky. Nobody asked for it, so nobody has written it down: without this a restart would forget it, and use
// the path like any other.

import type { Context } from "./context.ts";
import { reasonOf } from "../ground/errors.ts";
import { pathRow, type Inventory, type Path } from "../inventory/inventory.ts";
import type { Tables } from "../core/tables.ts";

type WatchContext = Pick<Context, "inventory" | "state" | "mirror" | "change">;

/** A path that the core holds for something else than the inventory does. */
interface Decision {
  readonly path: Path;
  readonly enabled: boolean;
  readonly isShaky: boolean;
}

function decisions(inventory: Inventory, tables: Tables): Decision[] {
  return inventory.paths().flatMap((path): Decision[] => {
    const { handle } = path;
    if (handle === null || !tables.hasPath(handle)) return [];
    const enabled = path.enabled && !tables.isDisabled(handle);
    const isShaky = tables.isShaky(handle);
    return enabled === path.enabled && isShaky === path.isShaky ? [] : [{ path, enabled, isShaky }];
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
  look(tables: Tables): void {
    if (this.#isNoting || decisions(this.#context.inventory, tables).length === 0) return;
    this.#isNoting = true;
    void this.#context
      .change(() => this.#note())
      .then(
        () => (this.#isBroken = false),
        (thrown: unknown) => {
          if (!this.#isBroken) this.#complain(`paths in standby, and shaky ones, are not noted: ${reasonOf(thrown)}`);
          this.#isBroken = true;
        },
      )
      .finally(() => (this.#isNoting = false));
  }

  /** Within a change nothing else is under way: where the core and the inventory differ, it was the core's doing. */
  async #note(): Promise<void> {
    const { inventory, state, mirror } = this.#context;
    const decided = decisions(inventory, await mirror.current());
    state.savePaths(decided.map(({ path, enabled, isShaky }) => ({ ...pathRow(path), enabled, isShaky })));
    for (const { path, enabled, isShaky } of decided) Object.assign(path, { enabled, isShaky });
  }
}
