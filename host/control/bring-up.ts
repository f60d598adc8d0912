// Brings what discovery found into the core: units with their settings, then their paths. All units side by side.

import type { FoundPath } from "../discovery/discover.ts";
import { emulatedPort } from "../discovery/emulated.ts";
import { sideBySide } from "../discovery/side-by-side.ts";
import { PATH_FLAG_REMOVING } from "../reactor/abi.ts";
import type { ReactorClient } from "../reactor/client.ts";
import { deviceCalls, pathFactCalls, pathPolicyCalls, plainPolicyCalls, unitSettingCalls } from "./core-settings.ts";
import type { Effective } from "./effective.ts";
import { reasonOf } from "./errors.ts";
import type { Inventory, Path, Unit } from "./inventory.ts";
import { demand, type CoreCall } from "./reactor-port.ts";
import { Tables } from "./tables.ts";
import { Interned } from "./unit-facts.ts";

/** Units whose calls are under way at the same time: enough to keep the reactor busy, few enough to need no memory. */
const UNITS_AT_ONCE = 128;

/** A path that is to be added, with what discovery found there. */
export interface Arrival {
  readonly path: Path;
  readonly found: FoundPath;
}

/** A path that could not be added. */
export interface Failure {
  readonly path: Path;
  readonly reason: string;
}

interface OpenPort {
  readonly queue: "native" | "array";
  readonly port: number;
}

export class BringUp {
  readonly #reactor: ReactorClient;
  readonly #inventory: Inventory;
  readonly #names = new Interned();
  /** Native port of a path's handle. */
  readonly #ports = new Map<number, number>();
  /** Ports of removed paths that may still have commands in flight. */
  #closing: { readonly handle: number; readonly port: number }[] = [];

  constructor(reactor: ReactorClient, inventory: Inventory) {
    this.#reactor = reactor;
    this.#inventory = inventory;
  }

  /** Adds the units that are not in the core yet, and the paths. Answers the paths that could not be added. */
  async add(arrivals: readonly Arrival[], effective: Effective): Promise<Failure[]> {
    const byUnit = Map.groupBy(arrivals, ({ path }) => path.unit);
    const failures = await sideBySide([...byUnit], UNITS_AT_ONCE, ([unit, paths]) =>
      this.#addToUnit(unit, paths, effective),
    );
    const needTables = [...byUnit.keys()].filter((unit) => dependsOnPaths(unit, effective));
    if (needTables.length > 0) await this.applyPathPolicies(needTables, effective);
    return failures.flat();
  }

  async #addToUnit(unit: Unit, arrivals: readonly Arrival[], effective: Effective): Promise<Failure[]> {
    try {
      if (unit.handle === null) await this.#addUnit(unit, arrivals, effective);
    } catch (thrown) {
      return arrivals.map(({ path }) => ({ path, reason: reasonOf(thrown) }));
    }
    const handle = unit.handle;
    if (handle === null) return [];
    const depth = effective.configuration.limits.path_depth;
    const failures = await Promise.all(arrivals.map((arrival) => this.#addPath(arrival, handle, depth)));
    const added = arrivals.filter(({ path }) => path.handle !== null);
    const calls = added.flatMap(({ path, found }) => pathFactCalls(path, path.handle ?? 0, found, this.#names));
    try {
      await demand(this.#reactor, calls, `the paths of LogicalUnit #${unit.number}`);
    } catch (thrown) {
      return added.map(({ path }) => ({ path, reason: reasonOf(thrown) }));
    }
    return failures.filter((failure) => failure !== null);
  }

  async #addUnit(unit: Unit, arrivals: readonly Arrival[], effective: Effective): Promise<void> {
    const handle = await this.#reactor.unitAdd();
    this.#inventory.setUnitHandle(unit, handle);
    const found = arrivals.map((arrival) => arrival.found);
    const identity = found[0]?.probe.identity.bytes ?? new Uint8Array(0);
    const calls: CoreCall[] = [
      ...(identity.length === 0 ? [] : [{ name: "unitIdentity", handle, identity } as const]),
      ...deviceCalls(unit, handle, found),
      ...unitSettingCalls(unit, handle, effective),
      ...plainPolicyCalls(unit, handle, effective),
    ];
    try {
      await demand(this.#reactor, calls, `adding LogicalUnit #${unit.number}`);
    } catch (thrown) {
      this.#inventory.setUnitHandle(unit, null);
      await this.#reactor.unitRemove(handle).catch(() => undefined);
      throw thrown;
    }
  }

  async #addPath({ path, found }: Arrival, unit: number, depthMax: number): Promise<Failure | null> {
    const depth = Math.max(1, Math.min(depthMax, found.queueDepth ?? depthMax));
    try {
      const { queue, port } = await this.#openPort(found.device, depth);
      const { priority, enabled } = path;
      const handle = await this.#addToPort({ unit, queue, port, priority, enabled, depth });
      if (queue === "native") this.#ports.set(handle, port);
      this.#inventory.setPathHandle(path, handle);
      path.found = found;
      return null;
    } catch (thrown) {
      return { path, reason: reasonOf(thrown) };
    }
  }

  async #openPort(device: string, depth: number): Promise<OpenPort> {
    const emulated = emulatedPort(device);
    if (emulated !== null) return { queue: "array", port: emulated };
    return { queue: "native", port: await this.#reactor.openPort(device, depth) };
  }

  async #addToPort(path: Parameters<ReactorClient["pathAdd"]>[0]): Promise<number> {
    try {
      return await this.#reactor.pathAdd(path);
    } catch (thrown) {
      if (path.queue === "native") await this.#reactor.closePort(path.port).catch(() => undefined);
      throw thrown;
    }
  }

  /** Takes a path out of the core; what is in flight on it goes elsewhere. */
  async remove(path: Path): Promise<void> {
    const { handle } = path;
    if (handle === null) return;
    this.#inventory.setPathHandle(path, null);
    path.found = null;
    await this.#reactor.pathRemove(handle);
    const port = this.#ports.get(handle);
    this.#ports.delete(handle);
    if (port !== undefined) this.#closing.push({ handle, port });
  }

  /** Closes the ports of removed paths on which nothing is in flight any more. Called with each new copy of the tables. */
  closePorts(tables: Tables): void {
    const isBusy = ({ handle }: { handle: number }): boolean =>
      ((tables.path(handle)?.flags ?? 0) & PATH_FLAG_REMOVING) !== 0;
    const { idle = [], busy = [] } = Object.groupBy(this.#closing, (entry) => (isBusy(entry) ? "busy" : "idle"));
    this.#closing = busy;
    for (const { port } of idle) this.#reactor.closePort(port).catch(() => undefined);
  }

  /** Sets again what of the policies depends on which paths there are. */
  async applyPathPolicies(units: readonly Unit[], effective: Effective): Promise<void> {
    const tables = new Tables(await this.#reactor.snapshotCopy());
    const calls = units.flatMap((unit) =>
      unit.handle === null ? [] : pathPolicyCalls(unit, unit.handle, effective, tables),
    );
    await demand(this.#reactor, calls, "setting the policy");
  }
}

function dependsOnPaths(unit: Unit, effective: Effective): boolean {
  const { name, parameters } = effective.policy(unit);
  return name === "round-robin-subset" || parameters.weights !== undefined;
}
