// Compares what discovery found with what is known, and updates the inventory, the state file and the core to match. The start
// uses the same code as every later scan: it is a scan at which nothing is present yet.

import type { FoundPath } from "../../discovery/discover.ts";
import { sortedByPathNumber } from "../../discovery/sysfs.ts";
import { passesFilter } from "./device-filter.ts";
import { deviceCalls } from "../core/core-settings.ts";
import type { Effective } from "../settings/effective.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { About } from "../events/event-hub.ts";
import { rewriteIdentities } from "./former-identities.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import type { Outcome, Parts, Plan, UnitBefore } from "./rescan-plan.ts";
import { note, save } from "./noting.ts";
import { placeAll } from "./placing.ts";
import { demand } from "../core/reactor-port.ts";
import { noteRemoval } from "../events/marginal-watch.ts";
import { agreedSize, counts, toldBy } from "./sizes.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { capabilitiesOf, factsOf, referencePath } from "../inventory/unit-facts.ts";
import type { FreeOfUse, Refused } from "./units-in-use.ts";

const NO_INSTANCES: ReadonlyMap<string, string | null> = new Map();

/**
 * Removes the paths whose devices are gone. Quick: it asks no device.
 * @param instances of the devices by path number: the number may belong to another device now
 */
export async function removeGone(parts: Parts, present: ReadonlySet<string>, instances = NO_INSTANCES): Promise<void> {
  const gone = parts.inventory.paths().filter(({ number, found }) => {
    if (found === null) return false;
    return !present.has(number) || (instances.get(number) ?? found.instance) !== found.instance;
  });
  for (const path of gone) noteRemoval(path, performance.now());
  await takeOut(parts, gone, {});
}

/** Removes the paths that the configuration no longer selects, and releases their block devices. */
export async function removeFiltered(parts: Parts, { configuration }: Effective): Promise<void> {
  const filtered = parts.inventory.paths().filter((path) => path.found !== null && !passesFilter(path, configuration));
  await takeOut(parts, filtered, { why: "devices and exclude do not name it any more" });
  // It returns when an operator selects it again, which is not a recovery.
  for (const path of filtered) path.wasPresent = false;
}

/** Takes known paths out of service whose devices contradict the unit whose identity they report. */
export async function removeContradicting(parts: Parts, refused: readonly Refused[]): Promise<void> {
  for (const { number, reason, isOther } of refused) {
    const path = parts.inventory.findPath(number);
    if (isOther !== true || path === undefined || path.handle === null) continue;
    await takeOut(parts, [path], { why: reason });
    path.wasPresent = false;
  }
}

async function takeOut(parts: Parts, paths: readonly Path[], detail: NonNullable<About["detail"]>): Promise<void> {
  for (const path of paths) {
    parts.hub.say("path-removed", { unit: path.unit.number, path: path.number, detail });
    path.foreignIdentity = null;
    path.found = null;
    path.goneSinceMs = Date.now();
    path.isNoted = false;
  }
  await Promise.all(paths.map((path) => parts.bringUp.remove(path)));
}

/** Applies what a scan found. One failure does not keep the rest from being done. */
export async function reconcile(parts: Parts, found: FreeOfUse, effective: Effective): Promise<Outcome> {
  const plan: Plan = {
    arrivals: [],
    arriving: new Set(),
    newUnits: new Set(),
    newPaths: new Set(),
    outdated: new Set(),
    renumbered: new Map(),
    ledTo: new Map(),
    changedPaths: new Map(),
    changedUnits: new Map(),
    unitNumbers: new Set(parts.inventory.units().map((unit) => unit.number)),
    unitNames: new Set(parts.inventory.units().map((unit) => unit.name)),
    refused: [...found.refusals],
    priorities: new Map(),
    after: [],
    problems: [],
  };
  const unwritten = rewriteIdentities(parts, found.paths);
  const isWritten = ({ probe }: FoundPath): boolean => !unwritten.has(probe.identity.text);
  for (const { device, number, probe } of found.paths) {
    const reason = unwritten.get(probe.identity.text);
    if (reason !== undefined) plan.refused.push({ device, number, reason });
  }
  placeAll(parts, plan, sortedByPathNumber(found.paths.filter(isWritten)), effective);
  refreshUnits(parts, plan, await parts.snapshots.current());
  save(parts, plan);
  note(parts, plan);
  for (const step of [...plan.after, () => arrive(parts, plan, effective)]) {
    try {
      await step();
    } catch (thrown) {
      plan.problems.push(reasonOf(thrown));
    }
  }
  return plan;
}

/** Updates the facts of the units: name, size, capabilities. */
function refreshUnits(parts: Parts, plan: Plan, snapshot: Snapshot): void {
  const arriving = Map.groupBy(plan.arrivals, ({ path }) => path.unit);
  for (const unit of parts.inventory.units()) {
    const staying = [...unit.paths.values()].filter((path) => path.handle !== null && path.foreignIdentity === null);
    const found = [...staying.map((path) => path.found), ...(arriving.get(unit) ?? []).map((arrival) => arrival.found)];
    const paths = found.filter((path) => path !== null);
    const reference = referencePath(paths);
    if (reference === undefined) continue;
    const failed = new Set(staying.filter((path) => !counts(path, snapshot)).map((path) => path.found));
    const sound = paths.filter((path) => !failed.has(path) && path.probe.capacity !== null);
    const before = plan.newUnits.has(unit) ? 0 : unit.facts.bytes;
    const told = (sound.length > 0 ? sound : [reference]).map(toldBy).filter((one) => one !== null);
    const { bytes, dispute } = agreedSize(told, before);
    tellDispute(parts, unit, dispute);
    const facts = { ...factsOf(reference.probe, unit.facts), bytes };
    const capabilities = capabilitiesOf(reference.probe, unit.capabilities);
    const isSame = JSON.stringify(facts) === JSON.stringify(unit.facts);
    if (isSame && capabilities === unit.capabilities && !plan.newUnits.has(unit)) continue;
    const then: UnitBefore = { facts: unit.facts, capabilities: unit.capabilities };
    // Capabilities are read from the devices at each start, so only the other facts must be in the state file first.
    unit.capabilities = capabilities;
    if (!isSame) {
      plan.changedUnits.set(unit, { facts: unit.facts });
      unit.facts = facts;
    }
    const { handle } = unit;
    if (handle !== null) plan.after.push(() => pushFacts(parts, unit, handle, then, paths));
  }
}

/** Reports once that the paths disagree on the size, and again when they report something else. */
function tellDispute({ hub }: Parts, unit: Unit, dispute: string | null): void {
  if (dispute !== null && dispute !== unit.dispute) {
    hub.say("capacity-disputed", { unit: unit.number, detail: { sizes: dispute } });
  }
  unit.dispute = dispute;
}

/** Tells the core what a unit is now. If it refuses, the old facts stay, so the next scan finds the change again. */
async function pushFacts(
  parts: Parts,
  unit: Unit,
  handle: number,
  before: UnitBefore,
  paths: readonly FoundPath[],
): Promise<void> {
  try {
    await demand(parts.reactor, deviceCalls(unit, handle, paths), `LogicalUnit #${unit.number}`);
  } catch (thrown) {
    Object.assign(unit, before);
    throw thrown;
  }
  const { bytes } = unit.facts;
  if (before.facts.bytes === bytes) return;
  parts.hub.say("capacity-changed", { unit: unit.number, detail: { from: before.facts.bytes, to: bytes } });
}

/** Reports what a path number means that used to be another path's. */
function sayNumber({ hub }: Parts, plan: Plan, path: Path): void {
  const about = { unit: path.unit.number, path: path.number };
  const before = plan.renumbered.get(path);
  const ledTo = plan.ledTo.get(path);
  if (before !== undefined) hub.say("path-renumbered", { ...about, detail: { "number before": before } });
  else if (ledTo !== undefined) {
    const detail = { "led before to": `LogicalUnit #${ledTo.number} (${ledTo.identity.text})` };
    hub.say("number-reused", { ...about, detail });
  }
}

/** Reports that a path is new, has a new number, or is back after its removal; at a start all others count as present, too. */
function sayAdded(parts: Parts, plan: Plan, path: Path): void {
  const isBack = path.removalsMs.length > 0;
  const { priority } = path;
  const before = plan.changedPaths.get(path)?.priority ?? priority;
  if (!isBack && !plan.newPaths.has(path) && before === priority) return;
  const detail = {
    ...(isBack ? { again: true } : {}),
    priority,
    ...(before === priority ? {} : { "priority before": before }),
  };
  parts.hub.say("path-added", { unit: path.unit.number, path: path.number, detail });
}

/** Adds units and paths to the core. A unit whose capacity no path reports has to wait for one that does. */
async function arrive(parts: Parts, plan: Plan, effective: Effective): Promise<void> {
  const ready = plan.arrivals.filter(({ path, found }) => {
    if (path.unit.facts.bytes > 0) return true;
    const problems = found.probe.problems.length > 0 ? ` (${found.probe.problems.join("; ")})` : "";
    const reason = `does not tell its capacity, and no other path of the unit does${problems}`;
    plan.refused.push({ device: found.device, number: found.number, reason });
    return false;
  });
  const failures = await parts.bringUp.add(ready, effective);
  const failed = new Map(failures.map(({ path, reason, more }) => [path, { reason, ...more }]));
  for (const { path, found } of ready) {
    const failure = failed.get(path);
    if (failure !== undefined) plan.refused.push({ device: found.device, number: found.number, ...failure });
    else {
      sayNumber(parts, plan, path);
      sayAdded(parts, plan, path);
    }
  }
  for (const unit of plan.newUnits) {
    parts.hub.say("unit-added", { unit: unit.number, detail: { identity: unit.identity.text } });
  }
  await parts.bringUp.completePolicies(ready, effective);
}
