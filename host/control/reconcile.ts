// Compares what discovery found with what is known, and makes the inventory, the state file and the core agree with it.
// The same code serves the start and every later look: a start is a look at which nothing is present yet.

import * as abi from "../reactor/abi.ts";
import type { Found, FoundPath } from "../discovery/discover.ts";
import { sortedByPathNumber } from "../discovery/sysfs.ts";
import type { ReactorClient } from "../reactor/client.ts";
import type { Arrival, BringUp } from "./bring-up.ts";
import { isChosen } from "./chosen.ts";
import { deviceCalls } from "./core-settings.ts";
import type { Effective } from "./effective.ts";
import { reasonOf } from "./errors.ts";
import type { About, EventHub } from "./event-hub.ts";
import {
  keptPriorities,
  pathRow,
  presentPriorities,
  rivalsOf,
  unitRow,
  type Inventory,
  type Path,
  type Unit,
} from "./inventory.ts";
import { admit, nextUnitNumber, type Taken } from "./numbering.ts";
import { demand, pathSet } from "./reactor-port.ts";
import { noteRemoval } from "./shaky.ts";
import type { State } from "./state.ts";
import { capabilitiesOf, factsOf, spokesman } from "./unit-facts.ts";

/** A device that is not taken, and why. */
export interface Refused {
  readonly device: string;
  readonly number: string;
  readonly reason: string;
  /** It could not be read just now: it is worth asking again soon. */
  readonly isForNow?: true;
}

export interface Parts {
  readonly inventory: Inventory;
  readonly state: State;
  readonly reactor: ReactorClient;
  readonly bringUp: BringUp;
  readonly hub: EventHub;
}

/** What a look led to. */
export interface Outcome {
  readonly refused: readonly Refused[];
  /** What did not succeed and has to be tried again, one sentence each. */
  readonly problems: readonly string[];
}

type PathBefore = Pick<Path, "priority" | "enabled" | "priorityLost">;
type UnitBefore = Pick<Unit, "facts" | "capabilities">;

/** What one look is about to change. */
interface Plan {
  arrivals: Arrival[];
  readonly newUnits: Set<Unit>;
  readonly newPaths: Set<Path>;
  /** Known paths and units that change, as they were. */
  readonly changedPaths: Map<Path, PathBefore>;
  readonly changedUnits: Map<Unit, Pick<Unit, "facts">>;
  /** Numbers and names that units have, those of this look included. */
  readonly unitNumbers: Set<number>;
  readonly unitNames: Set<string>;
  readonly refused: Refused[];
  /** Priorities given to paths of a unit, those of this look included. */
  readonly priorities: Map<Unit, Set<number>>;
  /** What to do once the state file has it. */
  readonly after: (() => Promise<void> | void)[];
  readonly problems: string[];
}

/** Takes out the paths whose devices are not there any more. Quick: it asks no device. */
export async function removeGone(parts: Parts, present: ReadonlySet<string>): Promise<void> {
  const gone = parts.inventory.paths().filter((path) => path.found !== null && !present.has(path.number));
  for (const path of gone) noteRemoval(path, Date.now());
  await takeOut(parts, gone, {});
}

/** Takes out the paths that the configuration does not name any more; their block devices are free then. */
export async function removeUnchosen(parts: Parts, { configuration }: Effective): Promise<void> {
  const unchosen = parts.inventory.paths().filter((path) => path.found !== null && !isChosen(path, configuration));
  await takeOut(parts, unchosen, { why: "devices and exclude do not name it any more" });
  // It comes back when an operator names it again, which is no recovery.
  for (const path of unchosen) path.wasPresent = false;
}

async function takeOut(parts: Parts, paths: readonly Path[], detail: NonNullable<About["detail"]>): Promise<void> {
  for (const path of paths) {
    parts.hub.say("path-removed", { unit: path.unit.number, path: path.number, detail });
    path.foreignIdentity = null;
    path.found = null;
  }
  await Promise.all(paths.map((path) => parts.bringUp.remove(path)));
}

/** Takes over what a look at the devices found. What cannot be done keeps nothing else from being done. */
export async function reconcile(parts: Parts, found: Found, effective: Effective): Promise<Outcome> {
  const plan: Plan = {
    arrivals: [],
    newUnits: new Set(),
    newPaths: new Set(),
    changedPaths: new Map(),
    changedUnits: new Map(),
    unitNumbers: new Set(parts.inventory.units().map((unit) => unit.number)),
    unitNames: new Set(parts.inventory.units().map((unit) => unit.name)),
    refused: [...found.refusals],
    priorities: new Map(),
    after: [],
    problems: [],
  };
  for (const path of sortedByPathNumber(found.paths)) {
    place(parts, plan, path, effective);
  }
  refreshUnits(parts, plan);
  save(parts, plan);
  for (const step of [...plan.after, () => arrive(parts, plan, effective)]) {
    try {
      await step();
    } catch (thrown) {
      plan.problems.push(reasonOf(thrown));
    }
  }
  return plan;
}

/** Called before a known path changes: what it becomes is saved with this look, or taken back. */
function changing(plan: Plan, path: Path): void {
  const { priority, enabled, priorityLost } = path;
  if (!plan.changedPaths.has(path)) plan.changedPaths.set(path, { priority, enabled, priorityLost });
}

/** Decides what a found path is: known, returned, remapped, or new. */
function place(parts: Parts, plan: Plan, found: FoundPath, effective: Effective): void {
  const { inventory } = parts;
  const known = inventory.findPath(found.number);
  const identity = found.probe.identity.text;
  if (known === undefined) {
    const unit = inventory.unitOfIdentity(identity) ?? newUnit(parts, plan, found, effective);
    if (unit.paths.size >= abi.PATHS_PER_UNIT_MAX) {
      const reason = `LogicalUnit #${unit.number} has ${abi.PATHS_PER_UNIT_MAX} paths already; forget one that is gone`;
      plan.refused.push({ device: found.device, number: found.number, reason });
      return;
    }
    const { initial_paths: initialPaths } = effective.configuration;
    const { priority, enabled } = admit(takenIn(plan, unit), undefined, initialPaths, unit.paths.size > 0);
    const path = inventory.addPath(unit, found.number, priority, enabled);
    prioritiesOf(plan, unit).add(priority);
    plan.newPaths.add(path);
    plan.arrivals.push({ path, found });
  } else if (known.unit.identity.text !== identity) {
    remapped(parts, plan, known, found);
  } else if (known.handle === null) {
    renumber(plan, known, effective);
    known.foreignIdentity = null;
    if (known.wasPresent) comesBack(parts, plan, known, effective);
    plan.arrivals.push({ path: known, found });
  } else {
    stillThere(parts, plan, known, found, effective);
  }
}

/** Gives a path that returns its number, or another one when it has lost that; who else remembers it has lost it now. */
function renumber(plan: Plan, path: Path, effective: Effective): void {
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
 * In failback mode Standby a path that was lost and comes back waits for an operator. The core sees to that when a path
 * fails and recovers; for an operator it is the same when the device disappeared meanwhile, or led to another unit.
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

/** The name that is wanted, else one made from the number: another unit may have been given that of this number. */
function freeName(taken: ReadonlySet<string>, wanted: string, number: number): string {
  let name = wanted;
  for (let count = 1; taken.has(name); count++) name = count === 1 ? `lu${number}` : `lu${number}_${count}`;
  return name;
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

function stillThere(parts: Parts, plan: Plan, path: Path, found: FoundPath, effective: Effective): void {
  if (path.found !== null && path.found.device !== found.device) {
    comesBack(parts, plan, path, effective);
    plan.after.push(() => parts.bringUp.remove(path));
    plan.arrivals.push({ path, found });
    return;
  }
  path.found = found;
  if (found.blockDevice !== null) plan.after.push(() => claim(parts, plan, path, found));
  plan.after.push(() => parts.bringUp.adapt(path, found));
  if (path.foreignIdentity === null) return;
  // It leads home again. The core checks that itself before it takes the path back.
  path.foreignIdentity = null;
  comesBack(parts, plan, path, effective);
  const { handle } = path;
  if (handle !== null) {
    const waiting = path.enabled ? [] : [pathSet(handle, abi.PATH_SET_ENABLED, 0)];
    const calls = [...waiting, pathSet(handle, abi.PATH_SET_FAILED, 0)];
    plan.after.push(() => demand(parts.reactor, calls, "taking a path back", path.number).catch(() => undefined));
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
    const isSame = JSON.stringify(facts) === JSON.stringify(unit.facts);
    if (isSame && capabilities === unit.capabilities && !plan.newUnits.has(unit)) continue;
    const before: UnitBefore = { facts: unit.facts, capabilities: unit.capabilities };
    // What it can do is read from the devices at each start, so only the facts wait for the state file.
    unit.capabilities = capabilities;
    if (!isSame) {
      plan.changedUnits.set(unit, { facts: unit.facts });
      unit.facts = facts;
    }
    const { handle } = unit;
    if (handle !== null) plan.after.push(() => pushFacts(parts, unit, handle, before, paths));
  }
}

/** Tells the core what a unit is now. What it refuses is as it was before: so the next look finds the change again. */
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

/** On the disk first: a number that was shown once stays with its unit whatever happens next. */
function save(parts: Parts, plan: Plan): void {
  const units = new Set([...plan.newUnits, ...plan.changedUnits.keys()]);
  const paths = new Set([...plan.newPaths, ...plan.changedPaths.keys()]);
  if (units.size === 0 && paths.size === 0) return;
  try {
    parts.state.transaction(() => {
      parts.state.saveUnits([...units].map(unitRow));
      parts.state.savePaths([...paths].map(pathRow));
    });
  } catch (thrown) {
    takeBack(parts, plan, reasonOf(thrown));
  }
}

/** What could not be written has not happened: the next look finds it again. What needs no writing goes on. */
function takeBack(parts: Parts, plan: Plan, reason: string): void {
  plan.problems.push(reason);
  const isKept = ({ path }: Arrival): boolean => !plan.newPaths.has(path) && !plan.changedPaths.has(path);
  for (const { found } of plan.arrivals.filter((arrival) => !isKept(arrival))) {
    plan.refused.push({ device: found.device, number: found.number, reason });
  }
  plan.arrivals = plan.arrivals.filter(isKept);
  for (const [path, before] of plan.changedPaths) Object.assign(path, before);
  for (const [unit, before] of plan.changedUnits) Object.assign(unit, before);
  for (const path of plan.newPaths) parts.inventory.removePath(path);
  for (const unit of plan.newUnits) parts.inventory.removeUnit(unit);
  for (const changes of [plan.changedPaths, plan.changedUnits, plan.newPaths, plan.newUnits]) changes.clear();
}

/** Says that a path is new, numbered anew, or back after it was removed; at a start all the others are there again, too. */
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
    else sayAdded(parts, plan, path);
  }
  for (const unit of plan.newUnits) {
    parts.hub.say("unit-added", { unit: unit.number, detail: { identity: unit.identity.text } });
  }
  await parts.bringUp.completePolicies(ready, effective);
}
