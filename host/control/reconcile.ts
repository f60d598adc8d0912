// Compares what discovery found with what is known, and makes the inventory, the state file and the core agree with it.
// The same code serves the start and every later look: a start is a look at which nothing is present yet.

import * as abi from "../reactor/abi.ts";
import type { Found, FoundPath } from "../discovery/discover.ts";
import { sortedByPathNumber } from "../discovery/sysfs.ts";
import type { ReactorClient } from "../reactor/client.ts";
import type { Arrival, BringUp } from "./bring-up.ts";
import { deviceCalls } from "./core-settings.ts";
import type { Effective } from "./effective.ts";
import type { EventHub } from "./event-hub.ts";
import { pathRow, presentPriorities, unitRow, type Inventory, type Path, type Unit } from "./inventory.ts";
import { admit, nextUnitNumber } from "./numbering.ts";
import { demand, pathSet } from "./reactor-port.ts";
import type { State } from "./state.ts";
import { capabilitiesOf, factsOf, spokesman } from "./unit-facts.ts";

/** A device that is not taken, and why. */
export interface Refused {
  readonly device: string;
  readonly number: string;
  readonly reason: string;
}

export interface Parts {
  readonly inventory: Inventory;
  readonly state: State;
  readonly reactor: ReactorClient;
  readonly bringUp: BringUp;
  readonly hub: EventHub;
}

/** What one look is about to change. */
interface Plan {
  readonly arrivals: Arrival[];
  readonly newUnits: Set<Unit>;
  readonly newPaths: Set<Path>;
  readonly changedUnits: Set<Unit>;
  /** Numbers and names that units have, those of this look included. */
  readonly unitNumbers: Set<number>;
  readonly unitNames: Set<string>;
  readonly refused: Refused[];
  /** Priorities given to paths of a unit, those of this look included. */
  readonly priorities: Map<Unit, Set<number>>;
  /** What to do once the state file has it. */
  readonly after: (() => Promise<void> | void)[];
}

/** Takes out the paths whose devices are not there any more. Quick: it asks no device. */
export async function removeGone(parts: Parts, present: ReadonlySet<string>): Promise<void> {
  const gone = parts.inventory.paths().filter((path) => path.found !== null && !present.has(path.number));
  for (const path of gone) {
    parts.hub.say("path-removed", { unit: path.unit.number, path: path.number });
    path.foreignIdentity = null;
    path.found = null;
  }
  await Promise.all(gone.map((path) => parts.bringUp.remove(path)));
}

/**
 * Takes over what a look at the devices found.
 * @returns devices that are not taken
 */
export async function reconcile(parts: Parts, found: Found, effective: Effective): Promise<Refused[]> {
  const plan: Plan = {
    arrivals: [],
    newUnits: new Set(),
    newPaths: new Set(),
    changedUnits: new Set(),
    unitNumbers: new Set(parts.inventory.units().map((unit) => unit.number)),
    unitNames: new Set(parts.inventory.units().map((unit) => unit.name)),
    refused: [...found.refusals],
    priorities: new Map(),
    after: [],
  };
  for (const path of sortedByPathNumber(found.paths)) {
    place(parts, plan, path, effective);
  }
  refreshUnits(parts, plan);
  save(parts, plan);
  for (const step of plan.after) await step();
  await arrive(parts, plan, effective);
  return plan.refused;
}

/** Decides what a found path is: known, returned, remapped, or new. */
function place(parts: Parts, plan: Plan, found: FoundPath, effective: Effective): void {
  const { inventory } = parts;
  const known = inventory.findPath(found.number);
  const identity = found.probe.identity.text;
  if (known === undefined) {
    const unit = inventory.unitOfIdentity(identity) ?? newUnit(parts, plan, found, effective);
    const given = prioritiesOf(plan, unit);
    if (unit.paths.size >= abi.PATHS_PER_UNIT_MAX) {
      const reason = `LogicalUnit #${unit.number} has ${abi.PATHS_PER_UNIT_MAX} paths already; forget one that is gone`;
      plan.refused.push({ device: found.device, number: found.number, reason });
      return;
    }
    const { priority, enabled } = admit(given, undefined, effective.configuration.initial_paths, unit.paths.size > 0);
    given.add(priority);
    const path = inventory.addPath(unit, found.number, priority, enabled);
    plan.newPaths.add(path);
    plan.arrivals.push({ path, found });
  } else if (known.unit.identity.text !== identity) {
    remapped(parts, plan, known, found);
  } else if (known.handle === null) {
    const given = prioritiesOf(plan, known.unit);
    const { priority } = admit(given, known, effective.configuration.initial_paths, true);
    given.add(priority);
    if (priority !== known.priority) plan.newPaths.add(known);
    known.priority = priority;
    known.foreignIdentity = null;
    plan.arrivals.push({ path: known, found });
  } else {
    stillThere(parts, plan, known, found);
  }
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
    name: wanted === undefined || plan.unitNames.has(wanted) ? `lu${number}` : wanted,
    facts: factsOf(found.probe),
    policy: null,
    hedgeBudgetPercent: null,
  });
  plan.unitNumbers.add(number);
  plan.unitNames.add(unit.name);
  plan.newUnits.add(unit);
  return unit;
}

/** The path number leads to another unit now. It keeps its place, gets no I/O, and is shown as what it is. */
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

function stillThere(parts: Parts, plan: Plan, path: Path, found: FoundPath): void {
  if (path.found !== null && path.found.device !== found.device) {
    plan.after.push(() => parts.bringUp.remove(path));
    plan.arrivals.push({ path, found });
    return;
  }
  path.found = found;
  if (found.blockDevice !== null) plan.after.push(() => claim(parts, plan, path, found));
  if (path.foreignIdentity === null) return;
  // It leads home again. The core checks that itself before it takes the path back.
  path.foreignIdentity = null;
  const { handle } = path;
  if (handle !== null) {
    plan.after.push(() =>
      demand(parts.reactor, [pathSet(handle, abi.PATH_SET_FAILED, 0)], "taking a path back", path.number).catch(
        () => undefined,
      ),
    );
  }
}

/** The block driver may come later than the sg driver, and somebody may be quicker than we are: then the path is not ours. */
async function claim(parts: Parts, plan: Plan, path: Path, found: FoundPath): Promise<void> {
  const reason = await parts.bringUp.claim(path, found.blockDevice);
  if (reason === null) return;
  plan.refused.push({ device: found.device, number: found.number, reason });
  await parts.bringUp.remove(path);
}

/** Brings facts of the units up to date: what they are called, how large they are, what they can do. */
function refreshUnits(parts: Parts, plan: Plan): void {
  const arriving = Map.groupBy(plan.arrivals, ({ path }) => path.unit);
  for (const unit of parts.inventory.units()) {
    const staying = [...unit.paths.values()].filter((path) => path.handle !== null && path.foreignIdentity === null);
    const found = [...staying.map((path) => path.found), ...(arriving.get(unit) ?? []).map((arrival) => arrival.found)];
    const paths = found.filter((path) => path !== null);
    const speaker = spokesman(paths);
    if (speaker === undefined) continue;
    const facts = factsOf(speaker.probe);
    const capabilities = capabilitiesOf(speaker.probe, unit.capabilities);
    const isSame = JSON.stringify(facts) === JSON.stringify(unit.facts) && capabilities === unit.capabilities;
    if (isSame && !plan.newUnits.has(unit)) continue;
    const before = unit.facts;
    unit.facts = facts;
    unit.capabilities = capabilities;
    plan.changedUnits.add(unit);
    const { handle } = unit;
    if (handle === null) continue;
    plan.after.push(async () => {
      await demand(parts.reactor, deviceCalls(unit, handle, paths), `LogicalUnit #${unit.number}`);
      if (before.bytes !== facts.bytes) {
        parts.hub.say("capacity-changed", { unit: unit.number, detail: { from: before.bytes, to: facts.bytes } });
      }
    });
  }
}

/** On the disk first: a number that was shown once stays with its unit whatever happens next. */
function save(parts: Parts, plan: Plan): void {
  const units = new Set([...plan.newUnits, ...plan.changedUnits]);
  if (units.size === 0 && plan.newPaths.size === 0) return;
  parts.state.transaction(() => {
    parts.state.saveUnits([...units].map(unitRow));
    parts.state.savePaths([...plan.newPaths].map(pathRow));
  });
}

/** Adds units and paths to the core. A unit whose capacity no path tells waits for one that does. */
async function arrive(parts: Parts, plan: Plan, effective: Effective): Promise<void> {
  const ready = plan.arrivals.filter(({ path, found }) => {
    if (path.unit.facts.bytes > 0) return true;
    const reason = "does not tell its capacity, and no other path of the unit does";
    plan.refused.push({ device: found.device, number: found.number, reason });
    return false;
  });
  const failures = await parts.bringUp.add(ready, effective);
  const failed = new Map(failures.map(({ path, reason }) => [path, reason]));
  for (const { path, found } of ready) {
    const reason = failed.get(path);
    if (reason !== undefined) plan.refused.push({ device: found.device, number: found.number, reason });
    else if (plan.newPaths.has(path)) parts.hub.say("path-added", { unit: path.unit.number, path: path.number });
  }
  for (const unit of plan.newUnits) {
    parts.hub.say("unit-added", { unit: unit.number, detail: { identity: unit.identity.text } });
  }
}
