// In failback mode Standby the core disables a path when it takes it back. Nobody asked it to, so nobody has written that
// down: without this a restart, or the device's return, would enable the path again.

import type { Context } from "./context.ts";
import { reasonOf } from "./errors.ts";
import { pathRow, type Inventory, type Path } from "./inventory.ts";
import type { Tables } from "./tables.ts";

/** Paths that the core has disabled and that are still enabled in the inventory. */
function disabledByCore(inventory: Inventory, tables: Tables): Path[] {
  return inventory.paths().filter(({ enabled, handle }) => enabled && handle !== null && tables.isDisabled(handle));
}

export class StandbyWatch {
  readonly #context: Pick<Context, "inventory" | "state" | "mirror" | "change">;
  readonly #complain: (problem: string) => void;
  #isNoting = false;
  #isBroken = false;

  constructor(
    context: Pick<Context, "inventory" | "state" | "mirror" | "change">,
    complain: (problem: string) => void,
  ) {
    this.#context = context;
    this.#complain = complain;
  }

  /** Called with each copy of the tables. What could not be written is tried again with the next copy. */
  look(tables: Tables): void {
    if (this.#isNoting || disabledByCore(this.#context.inventory, tables).length === 0) return;
    this.#isNoting = true;
    void this.#context
      .change(() => this.#note())
      .then(
        () => (this.#isBroken = false),
        (thrown: unknown) => {
          if (!this.#isBroken) this.#complain(`paths in standby are not noted: ${reasonOf(thrown)}`);
          this.#isBroken = true;
        },
      )
      .finally(() => (this.#isNoting = false));
  }

  /** Within a change nothing else is under way: where the core and the inventory differ, it was the core's doing. */
  async #note(): Promise<void> {
    const { inventory, state, mirror } = this.#context;
    const paths = disabledByCore(inventory, await mirror.current());
    state.savePaths(paths.map((path) => ({ ...pathRow(path), enabled: false })));
    for (const path of paths) path.enabled = false;
  }
}
