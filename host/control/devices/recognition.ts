// Matches a device that appears with the paths that are gone. Linux reuses path numbers, so a number proves little: a device is a
// path of the unit it reports, and among that unit's paths the one between the same two ports; where ports have no names, the one
// with the same number.

import type { FoundPath } from "../../discovery/discover.ts";
import { nexusOf } from "../../discovery/port-names.ts";
import { isGone, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";

/** A device that appears: known or new. */
export interface Recognised {
  /** Null when the path is not known. */
  readonly path: Path | null;
  /** Null where the ports have no names, or where other paths of the unit join the same two. */
  readonly nexus: string | null;
}

/** @param appearing devices that no present path has */
export function recognise(inventory: Inventory, appearing: readonly FoundPath[]): Map<FoundPath, Recognised> {
  const recognised = new Map<FoundPath, Recognised>();
  for (const [identity, devices] of Map.groupBy(appearing, (found) => found.probe.identity.text)) {
    const unit = inventory.unitOfIdentity(identity);
    const nexuses = nexusesOf(unit, devices);
    const paths = unit === undefined ? new Map<FoundPath, Path>() : known(unit, devices, nexuses);
    for (const found of devices) {
      recognised.set(found, { path: paths.get(found) ?? null, nexus: nexuses.get(found) ?? null });
    }
  }
  return recognised;
}

function nexusesOf(unit: Unit | undefined, devices: readonly FoundPath[]): Map<FoundPath, string> {
  const present = [...(unit?.paths.values() ?? [])].filter((path) => !isGone(path)).map(({ nexus }) => nexus);
  const named = devices.map((found) => nexusOf(found.ports, found.probe.targetPort));
  const counts = new Map<string | null, number>();
  for (const nexus of [...present, ...named]) counts.set(nexus, (counts.get(nexus) ?? 0) + 1);
  const nexuses = new Map<FoundPath, string>();
  for (const [index, found] of devices.entries()) {
    const nexus = named[index] ?? null;
    if (nexus !== null && counts.get(nexus) === 1) nexuses.set(found, nexus);
  }
  return nexuses;
}

function known(
  unit: Unit,
  devices: readonly FoundPath[],
  nexuses: ReadonlyMap<FoundPath, string>,
): Map<FoundPath, Path> {
  const gone = new Set([...unit.paths.values()].filter(isGone));
  const paths = new Map<FoundPath, Path>();
  const match = (found: FoundPath, isIt: (path: Path) => boolean): void => {
    const matching = paths.has(found) ? [] : [...gone].filter(isIt);
    // If several had the number, the last one.
    const path = matching.reduce<Path | undefined>(
      (last, one) =>
        last === undefined || (one.goneSinceMs ?? Infinity) >= (last.goneSinceMs ?? Infinity) ? one : last,
      undefined,
    );
    if (path === undefined) return;
    paths.set(found, path);
    gone.delete(path);
  };
  for (const found of devices) {
    const nexus = nexuses.get(found);
    if (nexus !== undefined) match(found, (path) => path.nexus === nexus);
  }
  for (const found of devices) {
    match(found, ({ number, nexus }) => number === found.number && (nexus === null || !nexuses.has(found)));
  }
  return paths;
}
