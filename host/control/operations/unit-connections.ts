// Which unit each connection belongs to. A unit that goes to another reactor leaves its connections behind: its clients connect again,
// and wait here until it has arrived. Units go by their numbers, as a handle may be another unit's by the time a client has negotiated.

import { closeDescriptor } from "../../native/index.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { connectionLabel, type ConnectionLabel } from "../core/labels.ts";
import type { Inventory } from "../inventory/inventory.ts";

type Reactor = Pick<ReactorClient, "addConnection" | "closeConnection">;

export class UnitConnections {
  readonly #reactor: Reactor;
  readonly #inventory: Pick<Inventory, "units">;
  /** Numbers of the units, by connection. */
  readonly #units = new Map<number, number>();
  /** Settles when the unit with that number has arrived, wherever it is then. */
  readonly #moving = new Map<number, Promise<void>>();

  constructor(reactor: Reactor, inventory: Pick<Inventory, "units">) {
    this.#reactor = reactor;
    this.#inventory = inventory;
  }

  /** Gives a connected socket to the reactor that has the unit, which owns it from then on, even when this fails. */
  async add(
    descriptor: number,
    number: number,
    flags: number,
    preloaded: Uint8Array,
    label: Omit<ConnectionLabel, "unit">,
  ): Promise<number> {
    for (let move = this.#moving.get(number); move !== undefined; move = this.#moving.get(number)) await move;
    const handle = this.#inventory.units().find((unit) => unit.number === number)?.handle ?? null;
    if (handle === null) {
      closeDescriptor(descriptor);
      throw new Error(`LogicalUnit #${number} is not offered now`);
    }
    const known: ConnectionLabel = { ...label, unit: number };
    const connection = await this.#reactor.addConnection(descriptor, handle, flags, preloaded, known);
    this.#units.set(connection, number);
    return connection;
  }

  adopt(connection: number, label: unknown): void {
    this.#units.set(connection, connectionLabel(label).unit);
  }

  /** The label of one of a kernel device's connections. */
  labelOf(connection: number, label: Omit<ConnectionLabel, "unit">): ConnectionLabel {
    return { ...label, unit: this.#units.get(connection) ?? -1 };
  }

  /** The reactor has closed a connection. */
  closed(connection: number): void {
    this.#units.delete(connection);
  }

  /** Closes those of a unit that are known by now. */
  async close(number: number): Promise<void> {
    const its = [...this.#units].filter(([, unit]) => unit === number).map(([connection]) => connection);
    // One that has closed by itself meanwhile is what was wanted.
    await Promise.all(its.map((connection) => this.#reactor.closeConnection(connection).catch(() => undefined)));
  }

  /** Whoever wants to connect to the unit meanwhile waits. */
  async whileMoving<T>(number: number, work: () => Promise<T>): Promise<T> {
    const arrived = Promise.withResolvers<void>();
    this.#moving.set(number, arrived.promise);
    try {
      return await work();
    } finally {
      this.#moving.delete(number);
      arrived.resolve();
    }
  }
}
