// A registration belongs to one I_T nexus, but an application registers a unit. So a key is registered on all paths of the unit that
// answer, or on none; the others follow when they come.

import { NO_KEY, parseCapabilities, type ReserveOut } from "../../discovery/persistent-reservations.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import type { Outcome } from "./path-commands.ts";
import type { Registration } from "./reservation-keys.ts";
import {
  ANY_TYPE,
  conflict,
  inForce,
  keep,
  noPath,
  NOT_REGISTERED,
  over,
  readHeld,
  readKeys,
  refusalOf,
  registrationOf,
  ReservationRefused,
  shared,
  STATUS_BUSY,
  unregistering,
  type Parts,
} from "./reservation-parts.ts";
import { undo } from "./undo.ts";
import { registerAgain } from "./upkeep.ts";

type Flags = Pick<Registration, "aptpl" | "allTargetPorts">;

/** One change of a unit's key. */
interface Change {
  readonly parts: Parts;
  readonly unit: Unit;
  readonly from: string;
  readonly to: string;
  readonly isIgnoring: boolean;
  /** What was asked for; left out: whatever the device can do. */
  readonly asked: Partial<Flags>;
}

/** Registers, changes the key, or unregisters (a new key of 0). */
export async function register(parts: Parts, unit: Unit, out: ReserveOut): Promise<void> {
  const isIgnoring = out.action === "register-ignore";
  const paths = await parts.live(unit);
  if (paths.length === 0) throw noPath(unit);
  if (isIgnoring) await lookForKey(parts, unit, paths);
  const before = inForce(parts, unit);
  const from = before?.key ?? NO_KEY;
  if (!isIgnoring && out.key !== from) {
    const why = before === null ? NOT_REGISTERED : "this host is registered with another key";
    throw await conflict(parts, unit, paths, out, why);
  }
  const to = out.serviceActionKey ?? NO_KEY;
  if (to === NO_KEY) return unregister(parts, unit, paths, isIgnoring);
  const asked = {
    ...(out.aptpl === undefined ? {} : { aptpl: out.aptpl }),
    ...(out.allTargetPorts === undefined ? {} : { allTargetPorts: out.allTargetPorts }),
  };
  if (registrationOf(parts, unit)?.state === "preempted") await settled(parts, unit);
  await changeKey({ parts, unit, from, to, isIgnoring, asked }, paths, before);
}

/** Another host may have removed our key without our knowing: whoever registers whatever the key was has to know that first. */
async function lookForKey(parts: Parts, unit: Unit, paths: readonly Path[]): Promise<void> {
  const own = inForce(parts, unit);
  if (own === null || (await readKeys(parts, unit, paths)).keys.includes(own.key)) return;
  for (const path of paths) if ((await registerAgain(parts, path, own)) !== "waiting") return;
}

/** Where a preempted host is registered again, the device carries out what is still under way from before, over what others have written. */
async function settled(parts: Parts, unit: Unit): Promise<void> {
  if (await parts.underWay.settled(unit)) return;
  throw new ReservationRefused(
    "BUSY",
    `LogicalUnit #${unit.number} cannot be registered yet: commands from before another host removed the key are still under way, and would be carried out now`,
    { remedy: "try again when they have ended, at the latest after timeouts.command_ms", status: STATUS_BUSY },
  );
}

async function changeKey(change: Change, paths: readonly Path[], before: Registration | null): Promise<void> {
  const { parts, unit, from, to } = change;
  const flags = await wantedFlags(change, paths);
  const was = registrationOf(parts, unit);
  const own: Registration = {
    key: to,
    state: "registering",
    before: from,
    ...(was?.state === "preempted" ? { wasPreempted: true } : {}),
    ...flags,
    type: before?.type ?? null,
    holder: before?.holder ?? null,
    generation: before?.generation ?? 0,
  };
  const removed = parts.removals.of(unit);
  keep(parts, unit, own);
  // A path that comes back meanwhile has to wait: it asks for itself.
  await parts.gate.require(unit, true);
  const done: Path[] = [];
  try {
    for (const path of paths) if (await registered(change, flags, path)) done.push(path);
    if (done.length === 0) throw noPath(unit);
    if (from !== NO_KEY && from !== to) await removeFormer(change, done);
    const { generation, keys } = await readKeys(parts, unit, done);
    const { wasPreempted: _, ...registration } = own;
    keep(parts, unit, { ...registration, state: "registered", before: null, ...flags, generation });
    await shared(parts, unit, to, keys);
    parts.removals.forget(unit, removed);
  } catch (thrown) {
    await undo(parts, unit, done, { ...own, ...flags });
    keep(parts, unit, was);
    if (was === null) await parts.gate.require(unit, false);
    throw thrown;
  }
  for (const path of paths) await parts.gate.admit(path, done.includes(path));
  await parts.gate.stop(unit, false);
  const detail = { action: "register", paths: done.length, "paths to follow": unit.paths.size - done.length };
  parts.hub.say("reservation-changed", { unit: unit.number, detail });
}

/** What was asked for, or else what the device can do. */
async function wantedFlags({ parts, unit, asked }: Change, paths: readonly Path[]): Promise<Flags> {
  const { outcome } = await over(unit, paths, (path) => parts.commands.ask(path, "capabilities"));
  const told = outcome.kind === "good" ? parseCapabilities(outcome.data) : null;
  const can = told?.ok === true ? told.value : null;
  return {
    aptpl: asked.aptpl ?? can?.persistsThroughPowerLoss ?? false,
    allTargetPorts: asked.allTargetPorts ?? can?.allTargetPorts ?? false,
  };
}

/** Whether the path is registered now; false: it does not answer. @throws ReservationRefused when the device refuses */
async function registered(change: Change, flags: Mutable<Flags>, path: Path): Promise<boolean> {
  let outcome = await registerPath(change, flags, path);
  // A device that says it can keep registrations may lack a place for them just then.
  if (outcome.kind === "refused" && !outcome.isUnknown && flags.aptpl && change.asked.aptpl === undefined) {
    flags.aptpl = false;
    outcome = await registerPath(change, flags, path);
  }
  if (outcome.kind === "silent") return false;
  if (outcome.kind === "good") return true;
  const { parts, unit } = change;
  if (outcome.kind === "conflict") {
    throw await conflict(parts, unit, [path], { action: "register" }, `path ${path.number} has another key`);
  }
  throw refusalOf(path, outcome, `LogicalUnit #${unit.number} is registered on all paths, or on none`);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

async function registerPath({ parts, from, to, isIgnoring }: Change, flags: Flags, path: Path): Promise<Outcome> {
  const action = isIgnoring ? "register-ignore" : "register";
  const outcome = await parts.commands.order(path, { action, key: from, serviceActionKey: to, ...flags });
  if (outcome.kind !== "conflict" || from === to) return outcome;
  // It has the new key already: through another path to the same initiator port, or from an attempt that was not answered.
  return parts.commands.order(path, { action: "register", key: to, serviceActionKey: to, ...flags });
}

/** Paths that are away still have the former key: nobody should be able to use that later. */
async function removeFormer({ parts, unit, from, to }: Change, done: readonly Path[]): Promise<void> {
  const { keys } = await readKeys(parts, unit, done);
  if (!keys.includes(from)) return;
  const held = await readHeld(parts, unit, done);
  const type = held === null ? ANY_TYPE : held.type;
  await over(unit, done, (path) =>
    parts.commands.order(path, { action: "preempt", key: to, serviceActionKey: from, type }),
  );
}

async function unregister(parts: Parts, unit: Unit, paths: readonly Path[], isIgnoring: boolean): Promise<void> {
  const own = inForce(parts, unit);
  if (own === null) {
    // What a path may still be registered with is not known here.
    if (isIgnoring) await eachPath(parts, paths, { action: "register-ignore", key: NO_KEY, serviceActionKey: NO_KEY });
  } else await removeAll(parts, unit, paths, own);
  keep(parts, unit, null);
  await parts.gate.require(unit, false);
  await parts.gate.stop(unit, false);
  if (own !== null) parts.hub.say("reservation-changed", { unit: unit.number, detail: { action: "unregister" } });
}

async function eachPath(parts: Parts, paths: readonly Path[], out: ReserveOut): Promise<void> {
  for (const path of paths) {
    const outcome = await parts.commands.order(path, out);
    if (outcome.kind === "refused") throw refusalOf(path, outcome, out.action);
  }
}

/**
 * Paths that are away keep their registrations at the device: preempting our own key removes those. Whether it removes the path that
 * sends it as well, devices see differently.
 */
async function removeAll(parts: Parts, unit: Unit, paths: readonly Path[], own: Registration): Promise<void> {
  const { key } = own;
  const isOwn = (other: string): boolean => other === key;
  if ((await readKeys(parts, unit, paths)).keys.filter(isOwn).length > 1) {
    const held = await readHeld(parts, unit, paths);
    const preempt = { action: "preempt", key, serviceActionKey: key, type: held?.type ?? ANY_TYPE } as const;
    const { path, outcome } = await over(unit, paths, (on) => parts.commands.order(on, preempt));
    if (outcome.kind === "refused") throw refusalOf(path, outcome, "unregistering");
  }
  await eachPath(parts, paths, unregistering(key, own));
  if (!(await readKeys(parts, unit, paths)).keys.some(isOwn)) return;
  // All or nothing: whoever asks the paths registers them again.
  for (const path of paths) await parts.gate.admit(path, false);
  throw noPath(unit);
}
