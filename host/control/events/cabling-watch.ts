// Single points of failure: components through which every path of a unit goes. Told when a scan finds a new one, so that a wrong
// cable is noticed by whoever has just plugged it in.

import type { Inventory } from "../inventory/inventory.ts";
import { singlePointsOf, type SinglePoint } from "../views/components.ts";
import { numbers } from "../views/overviews.ts";
import type { EventHub } from "./event-hub.ts";

export class CablingWatch {
  readonly #hub: EventHub;
  /** Units by component, of the last scan. */
  #known: ReadonlyMap<string, ReadonlySet<number>> = new Map();
  /** Of the last scan. */
  points: readonly SinglePoint[] = [];

  constructor(hub: EventHub) {
    this.#hub = hub;
  }

  /** Call it after each scan. */
  check(inventory: Inventory): void {
    this.points = singlePointsOf(inventory);
    for (const { component, units } of this.points) {
      const known = this.#known.get(component);
      const added = units.filter((unit) => known?.has(unit.number) !== true);
      if (added.length === 0) continue;
      const only = added.length === 1 ? added[0]?.number : undefined;
      const about = only === undefined ? {} : { unit: only };
      this.#hub.say("single-point", { ...about, detail: { component, units: numbers(added) } });
    }
    this.#known = new Map(
      this.points.map(({ component, units }) => [component, new Set(units.map(({ number }) => number))]),
    );
  }
}
