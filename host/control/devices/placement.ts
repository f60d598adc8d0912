// Which reactor serves a unit. A unit stays where it is. A new one goes where an operator moved it before, else where there is least
// I/O, as far as any is remembered of it, else where there are fewest.

import { reactorOf } from "../../reactor/handles.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import { UnitLoads } from "./unit-loads.ts";

/** What a reactor has. */
interface Share {
  units: number;
  perS: number;
}

export class Placement {
  readonly #reactor: Pick<ReactorClient, "reactors" | "present">;
  readonly #inventory: Pick<Inventory, "units">;
  readonly loads: UnitLoads;
  /** Where units go that no core has: units that move, and those that are just being brought up. */
  readonly #wanted = new WeakMap<Unit, number>();

  constructor(reactor: Pick<ReactorClient, "reactors" | "present">, inventory: Pick<Inventory, "units">) {
    this.#reactor = reactor;
    this.#inventory = inventory;
    this.loads = new UnitLoads(inventory);
  }

  /** The next reactor of a unit. */
  want(unit: Unit, reactor: number): void {
    this.#wanted.set(unit, reactor);
  }

  /** Places units that come together: those that were moved, then those with most I/O. */
  prepare(units: Iterable<Unit>): void {
    if (this.#reactor.reactors === 1) return;
    const { present } = this.#reactor;
    const coming = [...units].filter((unit) => unit.handle === null);
    for (const unit of coming) {
      const known = this.#known(unit, present);
      if (known !== undefined) this.#wanted.set(unit, known);
    }
    const loaded = coming.filter((unit) => this.#known(unit, present) === undefined && this.loads.of(unit) > 0);
    for (const unit of loaded.toSorted((a, b) => this.loads.of(b) - this.loads.of(a) || a.number - b.number)) {
      this.#wanted.set(
        unit,
        this.#least(present, (a, b) => a.perS - b.perS || a.units - b.units),
      );
    }
  }

  /** The reactor of a unit; a unit without one gets it now. */
  of(unit: Unit): number {
    if (unit.handle !== null) {
      this.#wanted.delete(unit);
      return reactorOf(unit.handle);
    }
    if (this.#reactor.reactors === 1) return 0;
    const { present } = this.#reactor;
    const known = this.#known(unit, present);
    if (known !== undefined) return known;
    const chosen = this.#least(present, (a, b) => a.units - b.units);
    this.#wanted.set(unit, chosen);
    return chosen;
  }

  /** Where it is to go, if that reactor takes calls. */
  #known(unit: Unit, present: readonly number[]): number | undefined {
    return [this.#wanted.get(unit), unit.facts.reactor].find((known) => known !== undefined && present.includes(known));
  }

  #least(present: readonly number[], compare: (a: Share, b: Share) => number): number {
    const shares = new Map<number, Share>(present.map((reactor) => [reactor, { units: 0, perS: 0 }]));
    for (const unit of this.#inventory.units()) {
      const reactor = unit.handle === null ? this.#wanted.get(unit) : reactorOf(unit.handle);
      const share = reactor === undefined ? undefined : shares.get(reactor);
      if (share === undefined) continue;
      share.units += 1;
      share.perS += this.loads.of(unit);
    }
    return [...shares].toSorted(([a, of], [b, other]) => compare(of, other) || a - b)[0]?.[0] ?? 0;
  }
}
