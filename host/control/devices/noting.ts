// Writes what a scan has changed to the state file, or undoes it.

import * as abi from "../../abi.ts";
import type { Arrival } from "./bring-up.ts";
import { reasonOf } from "../ground/control-errors.ts";
import { isGone, pathRow, unitRow } from "../inventory/inventory.ts";
import type { Parts, Plan } from "./rescan-plan.ts";

/** On disk first: a number that was displayed once stays with its unit whatever happens. */
export function save(parts: Parts, plan: Plan): void {
  const units = new Set([...plan.newUnits, ...plan.changedUnits.keys()]);
  const paths = new Set([...plan.newPaths, ...plan.changedPaths.keys()]);
  if (units.size === 0 && paths.size === 0) return;
  try {
    parts.state.transaction(() => {
      for (const { id } of plan.outdated) parts.state.forgetPath(id);
      parts.state.saveUnits([...units].map(unitRow));
      parts.state.savePaths([...paths].map(pathRow));
    });
    for (const changed of [...units, ...paths]) changed.isNoted = true;
  } catch (thrown) {
    takeBack(parts, plan, reasonOf(thrown));
    return;
  }
  for (const path of plan.outdated) {
    parts.inventory.removePath(path);
    const why = `${abi.PATHS_PER_UNIT_MAX} newer ones are known`;
    parts.hub.say("path-forgotten", { unit: path.unit.number, path: path.number, detail: { why } });
  }
}

/**
 * Records which device has which number, and since when a path is gone. This may wait for a later scan: no setting depends on it.
 */
export function note({ inventory, state }: Parts, plan: Plan): void {
  for (const path of inventory.paths()) {
    const goneSinceMs = isGone(path) && !plan.arriving.has(path) ? (path.goneSinceMs ?? Date.now()) : null;
    if (goneSinceMs === path.goneSinceMs) continue;
    path.goneSinceMs = goneSinceMs;
    path.isNoted = false;
  }
  const paths = inventory.paths().filter(({ isNoted }) => !isNoted);
  const units = inventory.units().filter(({ isNoted }) => !isNoted);
  if (paths.length === 0 && units.length === 0) return;
  try {
    state.transaction(() => {
      state.saveUnits(units.map(unitRow));
      state.savePaths(paths.map(pathRow));
    });
    for (const noted of [...units, ...paths]) noted.isNoted = true;
  } catch (thrown) {
    plan.problems.push(reasonOf(thrown));
  }
}

/** What could not be written did not happen: the next scan finds it again. Whatever needs no writing continues. */
function takeBack(parts: Parts, plan: Plan, reason: string): void {
  plan.problems.push(reason);
  const isKept = ({ path }: Arrival): boolean => !plan.newPaths.has(path) && !plan.changedPaths.has(path);
  for (const { path, found } of plan.arrivals.filter((arrival) => !isKept(arrival))) {
    plan.refused.push({ device: found.device, number: found.number, reason });
    plan.arriving.delete(path);
  }
  plan.arrivals = plan.arrivals.filter(isKept);
  for (const [path, before] of plan.changedPaths) Object.assign(path, before);
  for (const [unit, before] of plan.changedUnits) Object.assign(unit, before);
  for (const path of plan.newPaths) parts.inventory.removePath(path);
  for (const unit of plan.newUnits) parts.inventory.removeUnit(unit);
  const { changedPaths, changedUnits, newPaths, newUnits, outdated } = plan;
  for (const changes of [changedPaths, changedUnits, newPaths, newUnits, outdated]) changes.clear();
}
