// Decides what each device found by a scan is. The guard against a remap covers devices that stayed while the daemon watched; a
// device that appears is taken for what it says it is, whatever had its number before.

import * as abi from "../../abi.ts";
import type { FoundPath } from "../../discovery/discover.ts";
import { decideUnverified } from "./unverified-settings.ts";
import type { Effective } from "../settings/effective.ts";
import {
  compareGone,
  isGone,
  keptPriorities,
  presentPriorities,
  rivalsOf,
  type Path,
  type Unit,
} from "../inventory/inventory.ts";
import { changing, type Parts, type Plan } from "./rescan-plan.ts";
import { admit, freeName, nextUnitNumber, type Taken } from "../inventory/numbering.ts";
import { renumberPolicy } from "../settings/policies.ts";
import { demand, pathSet } from "../core/reactor-port.ts";
import { recognise } from "./recognition.ts";
import { factsOf } from "../inventory/unit-facts.ts";

/** Decides what the found paths are: unchanged, remapped, returned, or new. New ones come last and take what is left. */
export function placeAll(parts: Parts, plan: Plan, found: readonly FoundPath[], effective: Effective): void {
  const { inventory } = parts;
  const appearing: FoundPath[] = [];
  for (const device of found) {
    const known = inventory.findPath(device.number);
    if (known === undefined || isGone(known)) appearing.push(device);
    else if (known.unit.identity.text !== device.probe.identity.text) remapped(parts, plan, known, device);
    else if (known.handle === null) returned(parts, plan, known, device, effective);
    else stillThere(parts, plan, known, device, effective);
  }
  const recognised = [...recognise(inventory, appearing)];
  // Who had the numbers, before any of them changes.
  const before = new Map(appearing.map((device) => [device, inventory.findPath(device.number)?.unit]));
  for (const [device, { path, nexus }] of recognised) {
    if (path === null) continue;
    if (path.number !== device.number) plan.renumbered.set(path, path.number);
    inventory.renumber(path, device.number);
    if (path.nexus !== nexus) path.isNoted = false;
    path.nexus = nexus;
    ledElsewhere(plan, path, before.get(device));
    returned(parts, plan, path, device, effective);
  }
  for (const [device, { path, nexus }] of recognised) {
    if (path === null) appeared(parts, plan, device, nexus, effective, before.get(device));
  }
  decideUnverified(parts, plan);
  for (const [unit, renumbered] of Map.groupBy(plan.renumbered.keys(), (path) => path.unit)) {
    const numbers = new Map(renumbered.map((path) => [plan.renumbered.get(path) ?? "", path.number]));
    const policy = renumberPolicy(unit.policy, numbers);
    if (policy !== unit.policy) unit.isNoted = false;
    unit.policy = policy;
  }
}

function ledElsewhere(plan: Plan, path: Path, before: Unit | undefined): void {
  if (before !== undefined && before !== path.unit) plan.ledTo.set(path, before);
}

/** A known path that was gone. */
function returned(parts: Parts, plan: Plan, path: Path, found: FoundPath, effective: Effective): void {
  renumberPriority(plan, path, effective);
  path.foreignIdentity = null;
  if (path.wasPresent) comesBack(parts, plan, path, effective);
  arrives(plan, path, found);
}

/** A path that is not known. */
function appeared(
  parts: Parts,
  plan: Plan,
  found: FoundPath,
  nexus: string | null,
  effective: Effective,
  before: Unit | undefined,
): void {
  const { inventory } = parts;
  const unit = inventory.unitOfIdentity(found.probe.identity.text) ?? newUnit(parts, plan, found, effective);
  if (!makeRoom(plan, unit)) {
    const reason = `LogicalUnit #${unit.number} has ${abi.PATHS_PER_UNIT_MAX} paths, and more are not possible`;
    plan.refused.push({ device: found.device, number: found.number, reason });
    return;
  }
  const { initial_paths: initialPaths } = effective.configuration;
  // When all known paths of a unit are gone, a new number may be its only way back.
  const hasOthers = presentIn(plan, unit).length > 0;
  const { priority, enabled } = admit(takenIn(plan, unit), undefined, initialPaths, hasOthers);
  const path = inventory.addPath(unit, { number: found.number, nexus, priority, enabled });
  if (parts.state.incomplete !== null) path.enabling = "unknown";
  prioritiesOf(plan, unit).add(priority);
  ledElsewhere(plan, path, before);
  plan.newPaths.add(path);
  arrives(plan, path, found);
}

function arrives(plan: Plan, path: Path, found: FoundPath): void {
  plan.arrivals.push({ path, found });
  plan.arriving.add(path);
}

/** The unit's present paths, including those that arrive with this scan. */
function presentIn(plan: Plan, unit: Unit): Path[] {
  return [...unit.paths.values()].filter((path) => !isGone(path) || plan.arriving.has(path));
}

/** Returns whether the unit has room for another path; if needed, the one gone for longest makes room. */
function makeRoom(plan: Plan, unit: Unit): boolean {
  const present = new Set(presentIn(plan, unit));
  if (present.size >= abi.PATHS_PER_UNIT_MAX) return false;
  const gone = [...unit.paths.values()].filter((path) => !present.has(path) && !plan.outdated.has(path));
  const oldest = gone.toSorted(compareGone);
  const over = Math.max(0, present.size + gone.length + 1 - abi.PATHS_PER_UNIT_MAX);
  for (const path of oldest.slice(0, over)) plan.outdated.add(path);
  return true;
}

/** Gives a returning path its number, or a new one if it lost that; any other path that remembers the number has lost it now. */
function renumberPriority(plan: Plan, path: Path, effective: Effective): void {
  const { initial_paths: initialPaths } = effective.configuration;
  const { priority } = admit(takenIn(plan, path.unit, path), path, initialPaths, true);
  prioritiesOf(plan, path.unit).add(priority);
  if (priority !== path.priority || path.priorityLost) changing(plan, path);
  path.priority = priority;
  path.priorityLost = false;
  for (const rival of rivalsOf(path)) {
    changing(plan, rival);
    rival.priorityLost = true;
  }
}

function takenIn(plan: Plan, unit: Unit, except?: Path): Taken {
  return { present: prioritiesOf(plan, unit), kept: keptPriorities(unit, except) };
}

/**
 * In failback mode Standby a path that was lost and returns waits for an operator. The core ensures this when a path fails and
 * recovers; for an operator it is no different when the device disappeared meanwhile, or led to another unit.
 */
function comesBack({ hub }: Parts, plan: Plan, path: Path, { mode }: Effective): void {
  if (mode.failback !== "standby" || !path.enabled) return;
  changing(plan, path);
  path.enabled = false;
  plan.after.push(() => {
    if (path.enabled) return;
    const detail = { enabled: false, why: "came back in failback mode Standby" };
    hub.say("effectiveness-changed", { unit: path.unit.number, path: path.number, detail });
  });
}

function prioritiesOf(plan: Plan, unit: Unit): Set<number> {
  const given = plan.priorities.get(unit) ?? presentPriorities(unit);
  plan.priorities.set(unit, given);
  return given;
}

function newUnit(parts: Parts, plan: Plan, found: FoundPath, effective: Effective): Unit {
  const number = nextUnitNumber(plan.unitNumbers);
  const { identity } = found.probe;
  const wanted = effective.nameOf(identity.text);
  const unit = parts.inventory.addUnit({
    number,
    identity: { type: identity.type, text: identity.text },
    name: freeName(plan.unitNames, wanted ?? `lu${number}`, number),
    facts: factsOf(found.probe),
    policy: null,
    hedgeBudgetPercent: null,
  });
  plan.unitNumbers.add(number);
  plan.unitNames.add(unit.name);
  plan.newUnits.add(unit);
  return unit;
}

/** The path number leads to another unit now. The path keeps its place, gets no I/O, and is displayed as what it is. */
function remapped(parts: Parts, plan: Plan, path: Path, found: FoundPath): void {
  const identity = found.probe.identity.text;
  plan.refused.push({
    device: found.device,
    number: found.number,
    reason:
      `leads to ${identity} now; it was a path of LogicalUnit #${path.unit.number} (${path.unit.identity.text}). ` +
      `Check the mapping, or forget the path so that it is taken for what it is`,
  });
  const isNews = path.foreignIdentity !== identity;
  const isOtherDevice = path.found !== null && path.found.device !== found.device;
  path.foreignIdentity = identity;
  const { handle } = path;
  if (isOtherDevice) plan.after.push(() => parts.bringUp.remove(path));
  else if (handle !== null && isNews) {
    const fail = pathSet(handle, abi.PATH_SET_FAILED, 1);
    plan.after.push(() => demand(parts.reactor, [fail], "failing a path", path.number));
  }
  plan.after.push(() => {
    path.found = found;
  });
  if (isNews) {
    parts.hub.say("wrong-unit", { unit: path.unit.number, path: path.number, detail: { "leads to": identity } });
  }
}

function stillThere(parts: Parts, plan: Plan, path: Path, found: FoundPath, effective: Effective): void {
  if (path.found !== null && path.found.device !== found.device) {
    comesBack(parts, plan, path, effective);
    plan.after.push(() => parts.bringUp.remove(path));
    arrives(plan, path, found);
    return;
  }
  path.found = found;
  if (found.blockDevice !== null) plan.after.push(() => claim(parts, plan, path, found));
  plan.after.push(() => parts.bringUp.adapt(path, found));
  if (path.foreignIdentity === null) return;
  // It leads to its own unit again. The core checks that itself before it uses the path.
  path.foreignIdentity = null;
  comesBack(parts, plan, path, effective);
  const { handle } = path;
  if (handle !== null) {
    const waiting = path.enabled ? [] : [pathSet(handle, abi.PATH_SET_ENABLED, 0)];
    const calls = [...waiting, pathSet(handle, abi.PATH_SET_FAILED, 0)];
    plan.after.push(() => demand(parts.reactor, calls, "taking a path back", path.number).catch(() => undefined));
  }
}

/** The block device may appear later than the sg device, and another program may open it first: then the path is not ours. */
async function claim(parts: Parts, plan: Plan, path: Path, found: FoundPath): Promise<void> {
  const reason = await parts.bringUp.claim(path, found.blockDevice);
  if (reason === null) return;
  const { device, number } = found;
  plan.refused.push({ device, number, reason, says: "path-in-use", unit: path.unit.number, isInUse: true });
  await parts.bringUp.remove(path);
}
