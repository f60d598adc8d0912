// Brings what discovery found into the core: units with their settings, then their paths, a few units per message.

import type { FoundPath } from "../../discovery/discover.ts";
import { Claims } from "../../discovery/claims.ts";
import type { Held } from "../../discovery/exclusive-open.ts";
import { emulatedPort } from "../../discovery/emulated.ts";
import { makeRoom, undoRoom, type QueueChange } from "../../discovery/queue-tags.ts";
import { PATH_FLAG_REMOVING, PATH_SET_DEPTH } from "../../abi.ts";
import type { AddedUnit, ReactorClient, UnitLabels, UnitToAdd } from "../../reactor/reactor-client.ts";
import {
  deviceCalls,
  pathFactCalls,
  pathPolicyCalls,
  plainPolicyCalls,
  unitSettingCalls,
} from "../core/core-settings.ts";
import type { Effective } from "../settings/effective.ts";
import { reasonOf } from "../ground/control-errors.ts";
import { pathRow, unitRow, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";
import { labelOf, type PathLabel } from "../core/labels.ts";
import { demand, type CoreCall } from "../core/reactor-port.ts";
import { sliced } from "../ground/answer-pieces.ts";
import { faultCalls } from "../events/marginal-watch.ts";
import { Snapshot } from "../core/snapshot.ts";
import { Interned } from "../inventory/unit-facts.ts";
import { Placement } from "./placement.ts";
import { isOurs, otherPathReason, type Refused } from "./units-in-use.ts";

/** Most paths added in one message; I/O pauses meanwhile. */
const PATHS_AT_ONCE = 128;
/** Placeholder handle in the settings of what has none yet. */
const LATER = -1;

/** A path to be added, with what discovery found. */
export interface Arrival {
  readonly path: Path;
  readonly found: FoundPath;
}

/** A path that could not be added. */
export interface Failure {
  readonly path: Path;
  readonly reason: string;
  /** The message that reports it, if it is more than a refused device. */
  readonly more?: Pick<Refused, "says" | "unit" | "isInUse">;
}

interface OpenPort {
  readonly arrival: Arrival;
  readonly queue: "native" | "array";
  readonly port: number;
  readonly depth: number;
  /** The depth it would have if its queue were large enough. */
  readonly depthWanted: number;
  /** What was changed in the queue to make room for that depth. */
  readonly change: QueueChange | null;
}

/** The native port of a path. */
interface NativePort {
  readonly port: number;
  readonly change: QueueChange | null;
  readonly depthWanted: number;
  depth: number;
}

type UnitArrivals = readonly [Unit, readonly Arrival[]];

/** Splits the units into portions small enough for the core to take between two turns unnoticed. */
function portions(units: readonly UnitArrivals[]): UnitArrivals[][] {
  const cut: UnitArrivals[][] = [];
  let room = 0;
  for (const unit of units) {
    if (room <= 0) {
      cut.push([]);
      room = PATHS_AT_ONCE;
    }
    cut.at(-1)?.push(unit);
    room -= unit[1].length;
  }
  return cut;
}

export interface BringUpHooks {
  readonly keepNames?: (names: ReadonlyMap<string, number>) => void;
  /** What the core has to know of a unit before its first path comes. */
  readonly firstCalls?: (unit: Unit, handle: number) => readonly CoreCall[];
}

export class BringUp {
  readonly #reactor: ReactorClient;
  readonly #inventory: Inventory;
  readonly #names: Interned;
  readonly #keepNames: (names: ReadonlyMap<string, number>) => void;
  readonly #firstCalls: NonNullable<BringUpHooks["firstCalls"]>;
  readonly #claims: Claims<Path>;
  readonly placement: Placement;
  /** Hears of units that come into a core, before anything is sent to them on behalf of clients. */
  onArrival: (unit: Unit) => void = () => {};
  /** Units that were lifted out of their core with nothing under way, and the handles that they left. */
  readonly #lifted = new WeakSet<Unit>();
  readonly #left = new Set<number>();
  /** Native port of a path's handle. */
  readonly #ports = new Map<number, NativePort>();
  /** Ports of removed paths that may still have commands in flight. */
  #closing: { readonly handle: number; readonly port: NativePort }[] = [];

  constructor(
    reactor: ReactorClient,
    inventory: Inventory,
    claims = new Claims<Path>(),
    names = new Interned(),
    { keepNames = () => {}, firstCalls = () => [] }: BringUpHooks = {},
  ) {
    this.#firstCalls = firstCalls;
    this.#reactor = reactor;
    this.#inventory = inventory;
    this.#claims = claims;
    this.#names = names;
    this.#keepNames = keepNames;
    this.placement = new Placement(reactor, inventory);
  }

  /**
   * Takes over a path that the core already has. If it has been removed meanwhile, its port is closed once nothing is in flight
   * there.
   * @param depth commands that may be in flight
   */
  adopt(handle: number, { native }: PathLabel, depth: number | null): void {
    if (native === null) return;
    const port = { ...native, depth: depth ?? native.depthWanted };
    if (depth === null) this.#closing.push({ handle, port });
    else this.#ports.set(handle, port);
  }

  /** Takes over the claim of a path's block device. */
  adoptClaim(path: Path, blockDevice: string, held: Held): void {
    this.#claims.adopt(path, blockDevice, held);
  }

  /** Claims the block device of a path, if it has one by now. Returns why it cannot be ours, or null. */
  claim(path: Path, blockDevice: string | null): Promise<string | null> {
    return this.#claims.claim(path, blockDevice);
  }

  /** Releases every block device and restores the queues, once nothing is sent to the paths any more. */
  async releaseDevices(): Promise<void> {
    const ports = [...this.#ports.values(), ...this.#closing.map(({ port }) => port)];
    this.#ports.clear();
    this.#closing = [];
    await Promise.all([this.#claims.releaseAll(), ...ports.map(({ change }) => this.#undo(change))]);
  }

  #undo(change: QueueChange | null): Promise<void> {
    return change === null ? Promise.resolve() : undoRoom(change);
  }

  /**
   * Gives one of our paths the depth its queue allows now: other units of its host adapter may have come or gone, and someone may
   * have changed the queue.
   */
  async adapt(path: Path, { commandsMax }: FoundPath): Promise<void> {
    const { handle } = path;
    const known = handle === null ? undefined : this.#ports.get(handle);
    if (handle === null || known === undefined) return;
    const depth = Math.max(1, Math.min(known.depthWanted, commandsMax ?? known.depthWanted));
    if (depth === known.depth) return;
    known.depth = depth;
    await this.#reactor.portDepth(known.port, depth);
    await this.#reactor.pathSet(handle, PATH_SET_DEPTH, depth);
  }

  /** Adds the units the core does not have yet, and the paths. Returns the paths that could not be added. */
  async add(arrivals: readonly Arrival[], effective: Effective): Promise<Failure[]> {
    const byUnit = Map.groupBy(arrivals, ({ path }) => path.unit);
    this.placement.prepare(byUnit.keys());
    const failures: Failure[] = [];
    for (const units of portions([...byUnit])) failures.push(...(await this.#addPortion(units, effective)));
    return failures;
  }

  /** Sets the parts of the policies that depend on the paths; after paths were added. */
  async completePolicies(arrivals: readonly Arrival[], effective: Effective): Promise<void> {
    const units = new Set(arrivals.map(({ path }) => path.unit));
    const needTables = [...units].filter((unit) => dependsOnPaths(unit, effective));
    if (needTables.length > 0) await this.applyPathPolicies(needTables, effective);
  }

  /** Opens the ports, then adds everything in one message. */
  async #addPortion(units: readonly UnitArrivals[], effective: Effective): Promise<Failure[]> {
    const depthMax = effective.configuration.limits.path_depth;
    const claimed = await Promise.all(units.map(([unit, arrivals]) => this.#claimUnit(unit, arrivals)));
    const opened = await Promise.all(
      claimed.flat().map((place) => ("reason" in place ? place : this.#open(place, depthMax))),
    );
    const failures = opened.filter((place) => "reason" in place);
    const places = Map.groupBy(
      opened.filter((place) => "port" in place),
      ({ arrival }) => arrival.path.unit,
    );
    const ready = [...places];
    const asked = ready.map(([unit, members]) => this.#unitToAdd(unit, members, effective));
    this.#keepNames(this.#names.all);
    let added: AddedUnit[];
    try {
      added = await this.#reactor.addUnits(asked, () => ready.map(labelsOf));
    } catch (thrown) {
      const reason = reasonOf(thrown);
      return [
        ...failures,
        ...ready.flatMap(([, members]) => members.map((place) => ({ path: place.arrival.path, reason }))),
      ];
    }
    for (const [index, [unit, members]] of ready.entries()) failures.push(...this.#take(unit, members, added[index]));
    return failures;
  }

  #unitToAdd(unit: Unit, places: readonly OpenPort[], effective: Effective): UnitToAdd {
    const found = places.map(({ arrival }) => arrival.found);
    const identity = found[0]?.probe.identity.bytes ?? new Uint8Array(0);
    const { handle } = unit;
    return {
      handle,
      reactor: this.placement.of(unit),
      settings:
        handle !== null
          ? []
          : [
              ...(identity.length === 0 ? [] : [{ name: "unitIdentity", handle: LATER, identity } as const]),
              ...deviceCalls(unit, LATER, found),
              ...unitSettingCalls(unit, LATER, effective),
              ...plainPolicyCalls(unit, LATER, effective),
              ...this.#firstCalls(unit, LATER),
            ],
      paths: places.map(({ arrival: { path, found: device }, queue, port, depth }) => ({
        path: { queue, port, priority: path.priority, enabled: path.enabled, depth },
        settings: [
          ...pathFactCalls(path, LATER, device, this.#names),
          ...faultCalls(path, LATER, effective, performance.now()),
        ],
      })),
    };
  }

  /** Stores the handles; whatever was refused gives its port back. */
  #take(unit: Unit, places: readonly OpenPort[], added: AddedUnit | undefined): Failure[] {
    const failures: Failure[] = [];
    if (typeof added?.unit === "number") {
      if (unit.handle === null && !this.#lifted.delete(unit)) this.onArrival(unit);
      this.#left.delete(added.unit);
      this.#inventory.setUnitHandle(unit, added.unit);
    }
    for (const [index, place] of places.entries()) {
      const handle = typeof added?.unit === "number" ? added.paths[index] : added?.unit;
      const { path, found } = place.arrival;
      if (typeof handle === "number") {
        if (place.queue === "native") this.#ports.set(handle, { ...place });
        this.#inventory.setPathHandle(path, handle);
        path.found = found;
        continue;
      }
      if (place.queue === "native") this.#close(place);
      void this.#claims.release(path);
      failures.push({ path, reason: handle?.message ?? "the reactor did not answer" });
    }
    return failures;
  }

  /**
   * Claims the block devices of a unit's new paths. Another program may have opened one since we checked: then the path is not
   * ours, and if the unit has no other path of ours, none of the unit is.
   */
  async #claimUnit(unit: Unit, arrivals: readonly Arrival[]): Promise<(Arrival | Failure)[]> {
    const isAlone = !isOurs(unit);
    const reasons = await Promise.all(arrivals.map(({ path, found }) => this.#claims.claim(path, found.blockDevice)));
    const first = reasons.findIndex((reason) => reason !== null);
    const user = arrivals[first];
    if (user === undefined) return [...arrivals];
    const reason = reasons[first] ?? "";
    const more = { says: isAlone ? "unit-in-use" : "path-in-use", unit: unit.number, isInUse: true } as const;
    const othersReason = otherPathReason({ device: user.found.device, number: user.path.number, reason });
    return Promise.all(
      arrivals.map(async (arrival, index): Promise<Arrival | Failure> => {
        const { path } = arrival;
        const own = reasons[index] ?? null;
        if (own !== null) return { path, reason: own, more };
        if (!isAlone) return arrival;
        await this.#claims.release(path);
        return { path, reason: othersReason, more: { isInUse: true } };
      }),
    );
  }

  async #open(arrival: Arrival, depthMax: number): Promise<OpenPort | Failure> {
    const { found, path } = arrival;
    const depthWanted = Math.max(1, Math.min(depthMax, found.queueDepth ?? depthMax));
    const emulated = emulatedPort(found.device);
    if (emulated !== null) {
      return { arrival, queue: "array", port: emulated, depth: depthWanted, depthWanted, change: null };
    }
    const change = await this.#makeRoom(found, depthWanted);
    const depth = Math.min(depthWanted, change?.commandsMax ?? found.commandsMax ?? depthWanted);
    try {
      const port = await this.#reactor.openPort(found.device, depthWanted, this.placement.of(path.unit));
      if (depth !== depthWanted) await this.#reactor.portDepth(port, depth);
      return { arrival, queue: "native", port, depth, depthWanted, change };
    } catch (thrown) {
      await this.#claims.release(path);
      await this.#undo(change);
      return { path, reason: reasonOf(thrown) };
    }
  }

  /** Changes the queue of a path where it would not allow the wanted depth. */
  async #makeRoom({ number, blockDevice, commandsMax }: FoundPath, depth: number): Promise<QueueChange | null> {
    if (blockDevice === null || commandsMax === null || commandsMax >= depth) return null;
    return makeRoom(number, blockDevice, depth);
  }

  /** Closes a port and restores its queue once that is empty. */
  #close({ port, change }: Pick<NativePort, "port" | "change">): void {
    this.#reactor.closePort(port).then(
      () => this.#undo(change),
      () => undefined,
    );
  }

  /** Removes a path from the core; its commands in flight go elsewhere. */
  async remove(path: Path): Promise<void> {
    const { handle } = path;
    if (handle === null) return;
    this.#inventory.setPathHandle(path, null);
    path.found = null;
    try {
      await this.#reactor.pathRemove(handle);
    } finally {
      await this.#claims.release(path);
    }
    const port = this.#ports.get(handle);
    this.#ports.delete(handle);
    if (port !== undefined) this.#closing.push({ handle, port });
  }

  /**
   * Takes a unit out of its core, to which nothing is under way; its devices stay claimed. Returns what `add` needs to bring it in again,
   * here or elsewhere.
   */
  async lift(unit: Unit): Promise<Arrival[]> {
    const arrivals: Arrival[] = [];
    if (unit.handle !== null) this.#left.add(unit.handle);
    this.#inventory.setUnitHandle(unit, null);
    this.#lifted.add(unit);
    for (const path of unit.paths.values()) {
      const { handle, found } = path;
      if (handle === null) continue;
      this.#inventory.setPathHandle(path, null);
      if (found !== null) arrivals.push({ path, found });
      const port = this.#ports.get(handle);
      this.#ports.delete(handle);
      if (port !== undefined) this.#closing.push({ handle, port });
      await this.#reactor.pathRemove(handle);
    }
    return arrivals;
  }

  /** Whether a unit was lifted from this handle: what happens there is no concern of the unit any more. */
  isLeft(handle: number | null): boolean {
    return handle !== null && this.#left.has(handle);
  }

  /** Closes the ports of removed paths with nothing in flight. Called with each new copy of the tables. */
  closePorts(snapshot: Snapshot): void {
    const isBusy = ({ handle }: { handle: number }): boolean =>
      ((snapshot.path(handle)?.flags ?? 0) & PATH_FLAG_REMOVING) !== 0;
    const { idle = [], busy = [] } = Object.groupBy(this.#closing, (entry) => (isBusy(entry) ? "busy" : "idle"));
    this.#closing = busy;
    for (const { port } of idle) this.#close(port);
  }

  /** Sets again the parts of the policies that depend on which paths there are. */
  async applyPathPolicies(units: readonly Unit[], effective: Effective): Promise<void> {
    const snapshot = new Snapshot(await this.#reactor.snapshotCopy());
    await demand(this.#reactor, policyCalls(units, effective, snapshot), "setting the policy", "policy");
  }
}

async function* policyCalls(
  units: readonly Unit[],
  effective: Effective,
  snapshot: Snapshot,
): AsyncGenerator<CoreCall> {
  for await (const unit of sliced(units)) {
    if (unit.handle !== null) yield* pathPolicyCalls(unit, unit.handle, effective, snapshot);
  }
}

function labelsOf([unit, places]: readonly [Unit, readonly OpenPort[]]): UnitLabels {
  return {
    unit: labelOf({ row: unitRow(unit), capabilities: unit.capabilities }),
    paths: places.map(({ arrival: { path, found }, queue, port, change, depthWanted }) =>
      labelOf({ row: pathRow(path), found, native: queue === "native" ? { port, change, depthWanted } : null }),
    ),
  };
}

function dependsOnPaths(unit: Unit, effective: Effective): boolean {
  const { name, parameters } = effective.policy(unit);
  return name === "round-robin-subset" || parameters.weights !== undefined;
}
