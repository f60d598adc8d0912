// Keeps a unit's registration whole. A path that comes is registered before it carries I/O, but only while the device still knows
// our key: if another host has removed it, that host owns the unit now, and registering again would let two of them write.

import { isForHolderAlone, NO_KEY } from "../../discovery/persistent-reservations.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import type { Outcome } from "./path-commands.ts";
import type { Registration } from "./reservation-keys.ts";
import {
  inForce,
  keep,
  readHeld,
  readKeys,
  registrationOf,
  shared,
  unregistering,
  type Parts,
} from "./reservation-parts.ts";
import { undo } from "./undo.ts";

/** Finishes what a daemon that ended had begun: a registration is whole, or there is none. */
async function finishBegun(parts: Parts, unit: Unit): Promise<void> {
  const begun = registrationOf(parts, unit);
  if (begun?.state !== "registering") return;
  const paths = await parts.live(unit);
  if (paths.length === 0) return;
  const { before, wasPreempted, ...rest } = begun;
  await undo(parts, unit, paths, begun);
  if (wasPreempted === true) {
    await parts.gate.stop(unit, true);
    return keep(parts, unit, { ...rest, before: null, state: "preempted" });
  }
  const isNone = before === null || before === NO_KEY;
  keep(parts, unit, isNone ? null : { ...rest, key: before, before: null, state: "registered" });
  if (isNone) await parts.gate.require(unit, false);
}

/** Makes a path fit to carry the unit's I/O, if it may. */
export async function restore(parts: Parts, path: Path): Promise<void> {
  const { unit, number } = path;
  await finishBegun(parts, unit);
  const own = inForce(parts, unit);
  if (own === null) return;
  const fate = await registerAgain(parts, path, own);
  if (fate === "registered") parts.hub.say("path-registered", { unit: unit.number, path: number });
  if (fate === "registered" || fate === "kept") await admit(parts, path, own);
  else if (fate === "forgotten") await anew(parts, path, own);
}

/**
 * What became of a path: it `kept` its registration, or is `registered` again; `waiting` for its device, and told so; `preempted`, as the whole unit is; `forgotten`, as the device
 * has lost all keys.
 */
type Fate = "kept" | "registered" | "waiting" | "preempted" | "forgotten";

/** Registers a path whose registration may be gone, if the device still knows our key. */
export async function registerAgain(parts: Parts, path: Path, own: Registration): Promise<Fate> {
  const { unit } = path;
  const { key, aptpl, allTargetPorts } = own;
  const order = { action: "register", key, serviceActionKey: key, aptpl, allTargetPorts } as const;
  // Changes nothing where the path still has the key, and is refused where it has not.
  const outcome = await parts.commands.order(path, order);
  if (outcome.kind === "good") return "kept";
  if (outcome.kind !== "conflict") return waits(parts, path, outcome);
  const { generation, keys } = await readKeys(parts, unit, [path]);
  // What an earlier daemon has left would be carried out where the path is registered again.
  if (await parts.underWay.isInherited(unit)) return waits(parts, path, { kind: "silent", reason: "leftovers" });
  if (keys.includes(key)) return again(parts, path, own, keys);
  // The counter begins anew only when the device has lost everything. Whether somebody had removed us before that, each path is told.
  if (keys.length === 0 && generation < own.generation) {
    for (const other of await parts.live(unit)) if (other !== path) await parts.commands.ask(other, "keys");
    if (!parts.removals.isTold(unit)) return "forgotten";
  }
  return preempted(parts, unit, own, keys);
}

async function waits(parts: Parts, path: Path, outcome: Outcome): Promise<"waiting"> {
  await parts.gate.admit(path, false);
  if (outcome.kind === "refused") {
    const detail = { reason: outcome.reason };
    parts.hub.say("path-unregistered", { unit: path.unit.number, path: path.number, detail });
  }
  return "waiting";
}

async function admit(parts: Parts, path: Path, own: Registration): Promise<void> {
  const mayCarry = own.type === null || !isForHolderAlone(own.type) || own.holder === path.number;
  await parts.gate.admit(path, mayCarry);
}

/** Others of our paths are registered: so will this one be, unless they are removed meanwhile. */
async function again(parts: Parts, path: Path, own: Registration, before: readonly string[]): Promise<Fate> {
  const { key, aptpl, allTargetPorts } = own;
  const flags = { aptpl, allTargetPorts };
  const outcome = await parts.commands.order(path, {
    action: "register",
    key: NO_KEY,
    serviceActionKey: key,
    ...flags,
  });
  if (outcome.kind === "conflict") {
    await parts.gate.admit(path, false);
    const detail = { reason: "another key is registered on it" };
    parts.hub.say("path-unregistered", { unit: path.unit.number, path: path.number, detail });
    return "waiting";
  }
  if (outcome.kind !== "good") return waits(parts, path, outcome);
  const { generation, keys } = await readKeys(parts, path.unit, [path]);
  const count = (list: readonly string[]): number => list.filter((other) => other === key).length;
  if (count(keys) <= count(before)) {
    // Ours were removed between the two: what was just registered must go as well.
    await parts.commands.order(path, unregistering(key, own));
    return preempted(
      parts,
      path.unit,
      own,
      keys.filter((other) => other !== key),
    );
  }
  keep(parts, path.unit, { ...own, generation });
  await shared(parts, path.unit, key, keys);
  return "registered";
}

/** The device has forgotten all keys: registers the path, and reserves again what this host had reserved. */
async function anew(parts: Parts, path: Path, own: Registration): Promise<void> {
  const { unit } = path;
  const { key, aptpl, allTargetPorts, type } = own;
  const flags = { aptpl, allTargetPorts };
  const outcome = await parts.commands.order(path, {
    action: "register",
    key: NO_KEY,
    serviceActionKey: key,
    ...flags,
  });
  if (outcome.kind !== "good") {
    await waits(parts, path, outcome);
    return;
  }
  if (type !== null) {
    const reserved = await parts.commands.order(path, { action: "reserve", key, type });
    if (reserved.kind !== "good") {
      const held = await readHeld(parts, unit, [path]).catch(() => null);
      await parts.commands.order(path, unregistering(key, own));
      await preempted(parts, unit, own, held === null ? [] : [held.key]);
      return;
    }
  }
  const { generation } = await readKeys(parts, unit, [path]);
  const now: Registration = { ...own, generation, holder: type === null ? null : path.number };
  keep(parts, unit, now);
  await admit(parts, path, now);
  const detail = { why: "the device had lost its registrations" };
  parts.hub.say("path-registered", { unit: unit.number, path: path.number, detail });
}

/** Another host has taken the unit away from this one. */
async function preempted(parts: Parts, unit: Unit, own: Registration, keys: readonly string[]): Promise<"preempted"> {
  await parts.gate.stop(unit, true);
  keep(parts, unit, { ...own, state: "preempted", type: null, holder: null });
  const others = keys.length === 0 ? "none" : [...new Set(keys)].slice(0, KEYS_TOLD_MAX).join(" ");
  parts.hub.say("registration-preempted", { unit: unit.number, detail: { "keys now": others } });
  return "preempted";
}

const KEYS_TOLD_MAX = 8;
