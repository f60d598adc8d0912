// Which reactor serves a unit. A unit stays where it is; a new one goes where there are fewest, and one that is being moved where the
// operator wants it.

import { reactorOf } from "../../reactor/handles.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";

export class Placement {
  readonly #reactor: Pick<ReactorClient, "reactors" | "present">;
  readonly #inventory: Pick<Inventory, "units">;
  /** Where units go that no core has: units that move, and those that are just being brought up. */
  readonly #wanted = new WeakMap<Unit, number>();

  constructor(reactor: Pick<ReactorClient, "reactors" | "present">, inventory: Pick<Inventory, "units">) {
    this.#reactor = reactor;
    this.#inventory = inventory;
  }

  /** The next reactor of a unit. */
  want(unit: Unit, reactor: number): void {
    this.#wanted.set(unit, reactor);
  }

  /** The reactor of a unit; a unit without one gets it now. */
  of(unit: Unit): number {
    if (unit.handle !== null) {
      this.#wanted.delete(unit);
      return reactorOf(unit.handle);
    }
    if (this.#reactor.reactors === 1) return 0;
    const { present } = this.#reactor;
    const known = this.#wanted.get(unit);
    if (known !== undefined && present.includes(known)) return known;
    const chosen = this.#leastLoaded(present);
    this.#wanted.set(unit, chosen);
    return chosen;
  }

  #leastLoaded(present: readonly number[]): number {
    const counts = new Map(present.map((reactor) => [reactor, 0]));
    for (const unit of this.#inventory.units()) {
      const reactor = unit.handle === null ? this.#wanted.get(unit) : reactorOf(unit.handle);
      const count = reactor === undefined ? undefined : counts.get(reactor);
      if (reactor !== undefined && count !== undefined) counts.set(reactor, count + 1);
    }
    return [...counts].toSorted(([a, of], [b, other]) => of - other || a - b)[0]?.[0] ?? 0;
  }
}
