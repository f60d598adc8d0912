// Reports when units lose their redundancy, and when all have it again (message 278); finds those that are lost as a whole.

import type { EventHub } from "./event-hub.ts";
import type { LostUnits } from "./lost-units.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import { redundancyOf } from "../views/overviews.ts";
import type { Snapshot } from "../core/snapshot.ts";

/** A check covers every unit, so it is not part of each display. */
const EVERY_MS = 500;
/** Units named in one message. */
const NAMED_MAX = 16;

export class RedundancyWatch {
  readonly #hub: EventHub;
  readonly #lost: LostUnits;
  #lacking: ReadonlySet<Unit> = new Set();
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(hub: EventHub, lost: LostUnits) {
    this.#hub = hub;
    this.#lost = lost;
  }

  stop(): void {
    this.#lost.stop();
  }

  check(inventory: Inventory, snapshot: Snapshot): void {
    if (performance.now() - this.#lookedMs < EVERY_MS) return;
    this.#lookedMs = performance.now();
    const { notRedundant, withoutPath, preempted } = redundancyOf(inventory, snapshot);
    this.#lost.look(withoutPath, preempted, snapshot);
    const offered = [...notRedundant, ...withoutPath].filter((unit) => unit.handle !== null);
    const lacking = new Set(offered);
    const added = offered.filter((unit) => !this.#lacking.has(unit));
    if (added.length > 0) {
      const named = added.slice(0, NAMED_MAX).map((unit) => `#${unit.number}`);
      const more = added.length - named.length;
      const units = `${named.join(" ")}${more > 0 ? ` and ${more} more` : ""}`;
      const only = added.length === 1 ? added[0]?.number : undefined;
      this.#hub.say("not-redundant", { ...(only === undefined ? {} : { unit: only }), detail: { units } });
    }
    if (lacking.size === 0 && this.#lacking.size > 0) this.#hub.say("redundant");
    this.#lacking = lacking;
  }
}
