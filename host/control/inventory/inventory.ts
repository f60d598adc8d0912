// The units and paths there are, present or only remembered. Plain data with its lookups; no I/O.

import type { FoundPath } from "../../discovery/discover.ts";
import { sortedByPathNumber } from "../../discovery/sysfs.ts";
import { ControlError } from "../ground/control-errors.ts";
import { freeName } from "./numbering.ts";
import type { Identity, Policy } from "../schemas/unit-schema.ts";
import type { Enabling, UnitFacts } from "../state/state-schemas.ts";
import type { PathRow, UnitRow } from "../state/state.ts";
import { IDENTITY_NAME } from "../schemas/constants.ts";

/** A path of a unit. `handle` is null while its device is gone. */
export interface Path {
  /** Stays with the path even when its path number changes. */
  readonly id: number;
  /** Its current or last path number; changed by `Inventory.renumber`. */
  readonly number: string;
  /** The ports it joins, where both have names that do not change; null when only its number identifies it. */
  nexus: string | null;
  readonly unit: Unit;
  priority: number;
  enabled: boolean;
  /** Whether the enabled setting is known for certain. */
  enabling: Enabling;
  /** Another path of the unit got the number while this one was gone: it gets a new number when it returns. */
  priorityLost: boolean;
  /** Handle in the core. */
  handle: number | null;
  /** Whether it was in the core before, since the daemon started: then its device returns. */
  wasPresent: boolean;
  /** What discovery found last; null while the device is gone. */
  found: FoundPath | null;
  /** Identity of the unit that the path number really leads to, when that is not its own. */
  foreignIdentity: string | null;
  /** Held back by intermittent-failure monitoring; also kept while its device is gone. */
  isMarginal: boolean;
  /** When its device went, newest last; forgotten when an operator clears the path. */
  removalsMs: readonly number[];
  /** Whether it is gone and another path has its number. */
  isNumberTaken: boolean;
  /** When its device went; null while it is present, and before the first scan has shown that it is not. */
  goneSinceMs: number | null;
  /** Whether the state file has its number, its nexus and when it went. */
  isNoted: boolean;
}

/** A logical unit. `handle` is null until it is offered. */
export interface Unit {
  readonly number: number;
  identity: Identity;
  name: string;
  facts: UnitFacts;
  /** Set by command; null when the configuration decides. */
  policy: Policy | null;
  hedgeBudgetPercent: number | null;
  handle: number | null;
  /** UNIT_CAN_* of the ABI. */
  capabilities: number;
  released: boolean;
  /**
   * What else uses a device of the unit, so that it is not offered; null when nothing does, or when its own paths were there
   * first.
   */
  inUse: string | null;
  /** What its paths report about its size when they disagree. */
  dispute: string | null;
  /** By id. */
  readonly paths: Map<number, Path>;
  /** Whether the state file has its policy as it is. */
  isNoted: boolean;
  /** The paths in order of path number; null after one was added or removed. */
  sortedPaths: readonly Path[] | null;
}

export class Inventory {
  readonly #units = new Map<number, Unit>();
  readonly #byIdentity = new Map<string, Unit>();
  /** All paths with a given number, current and former; the current or most recent one comes first. */
  readonly #paths = new Map<string, Path[]>();
  #lastPath = 0;
  /** Units with stored names that are no longer allowed. */
  readonly misnamed: { readonly unit: Unit; readonly before: string }[] = [];
  readonly #unitHandles = new Map<number, Unit>();
  readonly #pathHandles = new Map<number, Path>();
  /** In order; null after something was added or removed. */
  #sortedUnits: readonly Unit[] | null = null;
  #sortedPaths: readonly Path[] | null = null;

  /** Loads what the state file remembers; nothing is present yet. */
  constructor(units: readonly UnitRow[], paths: readonly PathRow[]) {
    for (const row of units) {
      this.addUnit({
        number: row.number,
        identity: { type: row.facts.identityType, text: row.identity },
        name: row.name,
        facts: row.facts,
        policy: row.policy,
        hedgeBudgetPercent: row.hedgeBudgetPercent,
      });
    }
    this.#renameMisnamed();
    // Former holders of a number come last.
    for (const row of paths.toSorted(compareGone)) {
      const unit = this.#units.get(row.unit);
      if (unit === undefined) continue;
      const path = this.addPath(unit, row, row.id);
      path.enabling = row.enabling;
      path.priorityLost = row.priorityLost;
      path.isMarginal = row.isMarginal;
      path.goneSinceMs = row.goneSinceMs;
      path.isNoted = true;
    }
  }

  /** Earlier versions allowed a unit to be named like another one's identity. */
  #renameMisnamed(): void {
    const names = new Set(this.units().map(({ name }) => name));
    for (const unit of this.units()) {
      if (!IDENTITY_NAME.test(unit.name)) continue;
      this.misnamed.push({ unit, before: unit.name });
      unit.name = freeName(names, `lu${unit.number}`, unit.number);
      unit.isNoted = false;
      names.add(unit.name);
    }
  }

  addUnit(known: Pick<Unit, "number" | "identity" | "name" | "facts" | "policy" | "hedgeBudgetPercent">): Unit {
    const unit: Unit = Object.assign(
      {
        handle: null,
        capabilities: 0,
        released: false,
        isNoted: true,
        inUse: null,
        dispute: null,
        paths: new Map<number, Path>(),
        sortedPaths: null,
      },
      known,
    );
    this.#units.set(unit.number, unit);
    this.#sortedUnits = null;
    this.#byIdentity.set(unit.identity.text, unit);
    return unit;
  }

  addPath(
    unit: Unit,
    { number, nexus, priority, enabled }: Pick<Path, "number" | "nexus" | "priority" | "enabled">,
    id = this.#lastPath + 1,
  ): Path {
    const path: Path = {
      id,
      number,
      nexus,
      unit,
      priority,
      enabled,
      enabling: "known",
      priorityLost: false,
      handle: null,
      wasPresent: false,
      found: null,
      foreignIdentity: null,
      isMarginal: false,
      removalsMs: [],
      isNumberTaken: false,
      goneSinceMs: null,
      isNoted: false,
    };
    this.#lastPath = Math.max(this.#lastPath, id);
    unit.paths.set(id, path);
    this.#hold(path);
    return path;
  }

  /** Gives a path a number, its own again or a new one; the previous holder becomes a former one. */
  renumber(path: Path, number: string): void {
    this.#letGo(path);
    if (path.number !== number) path.isNoted = false;
    Object.assign(path, { number });
    this.#hold(path);
  }

  #hold(path: Path): void {
    path.unit.sortedPaths = null;
    this.#sortedPaths = null;
    this.#setHolders(path.number, [path, ...(this.#paths.get(path.number) ?? [])]);
  }

  #setHolders(number: string, paths: Path[]): void {
    if (paths.length === 0) this.#paths.delete(number);
    else this.#paths.set(number, paths);
    for (const [index, path] of paths.entries()) path.isNumberTaken = index > 0;
  }

  #letGo(path: Path): void {
    path.unit.sortedPaths = null;
    this.#sortedPaths = null;
    this.#setHolders(
      path.number,
      (this.#paths.get(path.number) ?? []).filter((other) => other !== path),
    );
  }

  removePath(path: Path): void {
    this.setPathHandle(path, null);
    path.unit.paths.delete(path.id);
    this.#letGo(path);
  }

  setIdentity(unit: Unit, identity: Identity): void {
    this.#byIdentity.delete(unit.identity.text);
    unit.identity = identity;
    this.#byIdentity.set(identity.text, unit);
  }

  removeUnit(unit: Unit): void {
    this.setUnitHandle(unit, null);
    for (const path of unit.paths.values()) this.removePath(path);
    this.#units.delete(unit.number);
    this.#sortedUnits = null;
    this.#byIdentity.delete(unit.identity.text);
  }

  setUnitHandle(unit: Unit, handle: number | null): void {
    if (unit.handle !== null) this.#unitHandles.delete(unit.handle);
    unit.handle = handle;
    if (handle !== null) this.#unitHandles.set(handle, unit);
  }

  setPathHandle(path: Path, handle: number | null): void {
    if (path.handle !== null) this.#pathHandles.delete(path.handle);
    path.handle = handle;
    if (handle === null) return;
    path.wasPresent = true;
    this.#pathHandles.set(handle, path);
  }

  /** Every unit, by number. */
  units(): readonly Unit[] {
    this.#sortedUnits ??= [...this.#units.values()].toSorted((a, b) => a.number - b.number);
    return this.#sortedUnits;
  }

  /** Every path, by path number. */
  paths(): readonly Path[] {
    this.#sortedPaths ??= sortedByPathNumber([...this.#paths.values()].flat());
    return this.#sortedPaths;
  }

  /** Paths whose devices are present. */
  get pathCount(): number {
    return this.paths().filter(isShown).length;
  }

  get unitCount(): number {
    return this.#units.size;
  }

  unitOfIdentity(identity: string): Unit | undefined {
    return this.#byIdentity.get(identity);
  }

  unitOfHandle(handle: number): Unit | undefined {
    return this.#unitHandles.get(handle);
  }

  pathOfHandle(handle: number): Path | undefined {
    return this.#pathHandles.get(handle);
  }

  /** The path that has a number, or had it last. */
  findPath(number: string): Path | undefined {
    return this.#paths.get(number)?.[0];
  }

  /** Gone paths that had this number. */
  gonePaths(number: string): Path[] {
    return (this.#paths.get(number) ?? []).filter(isGone);
  }

  /** A path by its number. @throws ControlError UNKNOWN_PATH */
  path(number: string): Path {
    const path = this.findPath(number);
    if (path !== undefined) return path;
    throw new ControlError("UNKNOWN_PATH", `there is no path ${number}`, {
      parameter: number,
      remedy: "`pathctl show paths` lists them",
    });
  }

  /** Its name, and what the unit with this number is known by on all hosts; null if there is none. */
  namesOf(number: number): { readonly name: string; readonly identity: string; readonly array: string } | null {
    const unit = this.#units.get(number);
    if (unit === undefined) return null;
    const { vendor, product } = unit.facts;
    return { name: unit.name, identity: unit.identity.text, array: `${vendor} ${product}`.trim() };
  }

  /** A unit by its number (`3`, `#3`), name or identity. @throws ControlError UNKNOWN_UNIT */
  unit(key: string): Unit {
    const number = /^#?(\d{1,5})$/.exec(key)?.[1];
    const unit =
      number === undefined
        ? (this.#byIdentity.get(key) ??
          this.units().find((candidate) => candidate.name === key) ??
          this.units().find((candidate) => candidate.facts.formerIdentity === key))
        : this.#units.get(Number(number));
    if (unit !== undefined) return unit;
    throw new ControlError("UNKNOWN_UNIT", `there is no logical unit ${key}`, {
      parameter: key,
      remedy: "`pathctl show units` lists them",
    });
  }
}

/**
 * Whether a path is displayed: its device is present. A path whose device disappeared was removed (message 274); only its
 * settings are kept, until an operator forgets it (reference sections 2 and 10).
 */
export function isShown(path: Path): boolean {
  return path.handle !== null || path.foreignIdentity !== null;
}

/** Whether no device is known for the path: if one appears, it is taken for what it says it is. */
export function isGone(path: Path): boolean {
  return path.handle === null && path.found === null;
}

type Gone = Pick<Path, "id" | "goneSinceMs">;

const sinceMs = ({ goneSinceMs }: Gone): number => goneSinceMs ?? Infinity;

/** Orders paths by when they went, those gone longest first and present ones last. */
export function compareGone(a: Gone, b: Gone): number {
  return sinceMs(a) === sinceMs(b) ? a.id - b.id : sinceMs(a) - sinceMs(b);
}

/** A path of the unit by its number; a present one if there are several. */
export function pathNumbered(unit: Unit, number: string): Path | undefined {
  const having = [...unit.paths.values()].filter((path) => path.number === number);
  return having.find((path) => !isGone(path)) ?? having.at(-1);
}

/** The unit's paths in order of path number, gone ones included. */
export function pathsOf(unit: Unit): readonly Path[] {
  unit.sortedPaths ??= sortedByPathNumber([...unit.paths.values()]);
  return unit.sortedPaths;
}

/** Priorities of the unit's present paths. */
export function presentPriorities(unit: Unit): Set<number> {
  return new Set([...unit.paths.values()].filter((path) => path.handle !== null).map((path) => path.priority));
}

/** Numbers of the unit's other paths that are present, or would return with what they had. */
export function keptPriorities(unit: Unit, except: Path | undefined): Set<number> {
  const kept = new Set<number>();
  for (const path of unit.paths.values()) if (path !== except && !path.priorityLost) kept.add(path.priority);
  return kept;
}

/** Gone paths of the unit that would return with the number of `path`. */
export function rivalsOf(path: Path): Path[] {
  return [...path.unit.paths.values()].filter(
    (other) => other !== path && other.handle === null && !other.priorityLost && other.priority === path.priority,
  );
}

export function unitRow(unit: Unit): UnitRow {
  const { number, identity, name, facts, policy, hedgeBudgetPercent } = unit;
  return { number, identity: identity.text, name, facts, policy, hedgeBudgetPercent };
}

export function pathRow(path: Path): PathRow {
  const { id, number, nexus, priority, enabled, enabling, priorityLost, isMarginal, goneSinceMs } = path;
  return {
    id,
    number,
    nexus,
    unit: path.unit.number,
    priority,
    enabled,
    enabling,
    priorityLost,
    isMarginal,
    goneSinceMs,
  };
}
