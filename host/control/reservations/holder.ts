// Reservations: who holds one is a single I_T nexus, but an application thinks that the unit does. When the path of the holder is
// away, another path takes the reservation over by preempting its own key, which leaves no moment for anybody in between.

import {
  isForHolderAlone,
  NO_KEY,
  RESERVATION_TYPES,
  type Held,
  type ReserveOut,
} from "../../discovery/persistent-reservations.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import type { Registration } from "./reservation-keys.ts";
import {
  ANY_TYPE,
  conflict,
  inForce,
  INVALID_FIELD_IN_CDB,
  INVALID_FIELD_IN_LIST,
  INVALID_RELEASE,
  invalid,
  keep,
  noPath,
  NOT_REGISTERED,
  over,
  readHeld,
  readKeys,
  refusalOf,
  typeText,
  type Answered,
  type Parts,
} from "./reservation-parts.ts";
import { registerAgain } from "./upkeep.ts";

/** What every operation of a registered unit begins with. */
interface Own {
  readonly parts: Parts;
  readonly unit: Unit;
  readonly registration: Registration;
  /** The holder's path first. */
  readonly paths: readonly Path[];
}

/** @throws ReservationRefused unless the unit is registered with the key that the command names */
async function ownOf(parts: Parts, unit: Unit, out: ReserveOut): Promise<Own> {
  const live = await parts.live(unit);
  if (live.length === 0) throw noPath(unit);
  const registration = inForce(parts, unit);
  if (registration === null || registration.key !== out.key) {
    const why = registration === null ? NOT_REGISTERED : "this host is registered with another key";
    throw await conflict(parts, unit, live, out, why);
  }
  const { holder } = registration;
  const paths = [...live.filter(({ number }) => number === holder), ...live.filter(({ number }) => number !== holder)];
  return { parts, unit, registration, paths };
}

function checkType(type: number | undefined): number {
  if (type !== undefined && RESERVATION_TYPES.has(type)) return type;
  const there = [...RESERVATION_TYPES.keys()].join(", ");
  const message =
    type === undefined
      ? `type: is missing; it is one of ${there}`
      : `type: there is no type ${type} of reservations, only ${there}`;
  throw invalid(message, `name one of ${there}`, INVALID_FIELD_IN_CDB, "type");
}

const isOurs = (held: Held | null, { registration }: Own): held is Held =>
  held !== null && (held.key === registration.key || (held.key === NO_KEY && registration.type === held.type));

export async function reserve(parts: Parts, unit: Unit, out: ReserveOut): Promise<void> {
  const type = checkType(out.type);
  const own = await ownOf(parts, unit, out);
  const order = { action: "reserve", key: out.key, type } as const;
  const { path, outcome } = await over(unit, own.paths, (on) => parts.commands.order(on, order));
  if (outcome.kind === "refused") throw refusalOf(path, outcome, "reserving");
  let holder: string | null = path.number;
  if (outcome.kind === "conflict") {
    // Another nexus of ours may hold it, or one that carried the command out but did not answer.
    const held = await readHeld(parts, unit, own.paths);
    if (!isOurs(held, own) || held.type !== type) throw await conflict(parts, unit, own.paths, out);
    ({ holder } = own.registration);
  }
  await holding(own, type, holder);
  parts.hub.say("reservation-changed", {
    unit: unit.number,
    ...(holder === null ? {} : { path: holder }),
    detail: { action: "reserve", type: typeText(type) },
  });
  if (holder === null && isForHolderAlone(type)) await takeOver(parts, unit);
}

/** Notes who holds what, and lets only those paths carry I/O that may. */
async function holding({ parts, unit, paths }: Own, type: number | null, holder: string | null): Promise<void> {
  const registration = inForce(parts, unit);
  // Another host has removed it meanwhile.
  if (registration === null) return;
  keep(parts, unit, { ...registration, type, holder });
  if (type === null || !isForHolderAlone(type)) {
    for (const path of paths) await parts.gate.admit(path, true);
    return;
  }
  for (const path of paths) if (path.number !== holder) await parts.gate.admit(path, false);
  for (const path of paths) if (path.number === holder) await parts.gate.admit(path, true);
}

export async function release(parts: Parts, unit: Unit, out: ReserveOut): Promise<void> {
  const own = await ownOf(parts, unit, out);
  const held = await readHeld(parts, unit, own.paths);
  const order = { action: "release", key: out.key, ...(out.type === undefined ? {} : { type: out.type }) } as const;
  if (isOurs(held, own)) {
    if (held.type !== out.type) {
      const message = `type: the reservation is ${typeText(held.type)}, not ${typeText(out.type ?? 0)}`;
      throw invalid(message, `release it with type ${held.type}`, INVALID_RELEASE, "type");
    }
    // Only its holder can release it; through another nexus nothing happens.
    for (const path of own.paths) {
      const outcome = await parts.commands.order(path, order);
      if (outcome.kind === "conflict") throw await conflict(parts, unit, own.paths, out);
      if (outcome.kind === "refused") throw refusalOf(path, outcome, "releasing");
      if (!isOurs(await readHeld(parts, unit, own.paths), own)) return released(own);
    }
    const path = await takeOver(parts, unit);
    const outcome = await parts.commands.order(path, order);
    if (outcome.kind !== "good") throw refusalOf(path, outcome, "releasing");
    return released(own);
  }
  const { path, outcome } = await over(unit, own.paths, (on) => parts.commands.order(on, order));
  if (outcome.kind === "conflict") throw await conflict(parts, unit, own.paths, out);
  if (outcome.kind === "refused") throw refusalOf(path, outcome, "releasing");
  await holding(own, null, null);
}

async function released(own: Own): Promise<void> {
  await holding(own, null, null);
  own.parts.hub.say("reservation-changed", { unit: own.unit.number, detail: { action: "release" } });
}

export async function clear(parts: Parts, unit: Unit, out: ReserveOut): Promise<void> {
  const own = await ownOf(parts, unit, out);
  const { path, outcome, silent } = await over(unit, own.paths, (on) =>
    parts.commands.order(on, { action: "clear", key: out.key }),
  );
  if (outcome.kind === "refused") throw refusalOf(path, outcome, "clearing");
  const isDone = outcome.kind === "good" || (silent.length > 0 && (await isKeyGone(own, out.key)));
  if (!isDone) throw await conflict(parts, unit, own.paths, out);
  keep(parts, unit, null);
  await parts.gate.require(unit, false);
  parts.hub.say("reservation-changed", { unit: unit.number, detail: { action: "clear" } });
}

async function isKeyGone({ parts, unit, paths }: Own, key: string): Promise<boolean> {
  return !(await readKeys(parts, unit, paths)).keys.includes(key);
}

export async function preempt(parts: Parts, unit: Unit, out: ReserveOut): Promise<void> {
  const own = await ownOf(parts, unit, out);
  const victim = out.serviceActionKey ?? NO_KEY;
  const heldBefore = await readHeld(parts, unit, own.paths);
  const type = typeForPreempt(heldBefore, out, victim);
  if (victim === own.registration.key) {
    if (heldBefore?.key === victim) await takeOver(parts, unit, { ...out, type });
    else await giveUp(own, { ...out, serviceActionKey: victim, type });
    return;
  }
  const order = { action: out.action, key: out.key, serviceActionKey: victim, type } as const;
  if (victim === NO_KEY) await hold(own);
  const answered = await over(unit, own.paths, (on) => parts.commands.order(on, order));
  await settled(own, out, victim, answered);
  const held = await readHeld(parts, unit, own.paths);
  // Of a reservation of all registrants everybody's registration goes, and so do those of our other paths.
  if (victim === NO_KEY) await registerOurs(own);
  if (isOurs(held, own)) await holding(own, held.type, answered.path.number);
  parts.hub.say("reservation-changed", {
    unit: unit.number,
    path: answered.path.number,
    detail: { action: out.action, victim },
  });
}

/** The type is needed where the reservation changes hands; elsewhere it means nothing, but there are devices that look at it (LIO). */
function typeForPreempt(held: Held | null, out: ReserveOut, victim: string): number {
  if (victim === NO_KEY && (held === null || held.key !== NO_KEY)) {
    const remedy = "name the key of the host to be removed";
    throw invalid("serviceActionKey: 0 is nobody's key", remedy, INVALID_FIELD_IN_LIST, "serviceActionKey");
  }
  const takesIt = held !== null && (held.key === victim || victim === NO_KEY);
  return takesIt ? checkType(out.type) : (out.type ?? held?.type ?? ANY_TYPE);
}

/**
 * Who does not hold the reservation alone and preempts its own key gives its registrations up, that of the path that sends it included
 * (SPC-4 5.13.11.4).
 */
async function giveUp(own: Own, out: ReserveOut): Promise<void> {
  const { parts, unit, registration } = own;
  const { key } = registration;
  const answered = await over(unit, own.paths, (on) => parts.commands.order(on, out));
  await settled(own, out, key, answered);
  // A device that spares the path that sent it: then the unit is registered still, and on every path.
  if (!(await isKeyGone(own, key))) return registerOurs(own);
  keep(parts, unit, null);
  await parts.gate.require(unit, false);
  parts.hub.say("reservation-changed", { unit: unit.number, detail: { action: out.action, victim: key } });
}

/** @throws ReservationRefused unless the victim is gone */
async function settled(own: Own, out: ReserveOut, victim: string, { path, outcome, silent }: Answered): Promise<void> {
  if (outcome.kind === "good") return;
  if (outcome.kind === "refused") throw refusalOf(path, outcome, "preempting");
  if (silent.length > 0 && (await isKeyGone(own, victim))) return;
  throw await conflict(own.parts, own.unit, own.paths, out);
}

/**
 * Another path becomes the holder: it preempts our own key, which moves the reservation in one step, and unregisters our other paths.
 * They get no I/O until they are registered again.
 */
export async function takeOver(parts: Parts, unit: Unit, out?: ReserveOut): Promise<Path> {
  const registration = inForce(parts, unit);
  const live = await parts.live(unit);
  if (registration === null || live.length === 0) throw noPath(unit);
  const own: Own = { parts, unit, registration, paths: live };
  const held = await readHeld(parts, unit, live);
  const { key } = registration;
  const type = out?.type ?? held?.type ?? 0;
  const order = { action: out?.action ?? "preempt", key, serviceActionKey: key, type } as const;
  if (held?.key !== key) {
    // Who is no holder, or one of all registrants, would remove its own registrations only, the sender's included.
    if (!isOurs(held, own)) await holding(own, null, null);
    throw await conflict(parts, unit, live, order, "no path of this host holds the reservation alone");
  }
  await hold(own);
  const send = (): Promise<Answered> => over(unit, live, (on) => parts.commands.order(on, order));
  try {
    let answered = await send();
    if (answered.outcome.kind === "conflict" && answered.silent.length > 0) {
      // A path that did not answer has done it, and so unregistered this one.
      await registerOurs(own);
      answered = await send();
    }
    const { path, outcome } = answered;
    if (outcome.kind === "conflict") throw await conflict(parts, unit, live, order);
    if (outcome.kind === "refused") throw refusalOf(path, outcome, "taking the reservation over");
    return await moved(own, path, type);
  } catch (thrown) {
    await registerOurs(own);
    throw thrown;
  }
}

/** Before our other paths lose their registrations for a moment: nothing of theirs may be refused for that. */
async function hold({ parts, paths }: Own): Promise<void> {
  for (const path of paths.slice(1)) await parts.gate.admit(path, false);
  await parts.underWay.drained(paths.slice(1));
}

async function moved(own: Own, path: Path, type: number): Promise<Path> {
  const { parts, unit, registration } = own;
  await registerOurs(own);
  if (inForce(parts, unit) === null) throw await conflict(parts, unit, own.paths, { action: "preempt" });
  const isHeld = isOurs(await readHeld(parts, unit, own.paths), own);
  await holding(own, isHeld ? type : null, isHeld ? path.number : null);
  const detail = { action: "move", from: registration.holder };
  if (isHeld) parts.hub.say("reservation-changed", { unit: unit.number, path: path.number, detail });
  return path;
}

/** The unit's paths may have lost their registrations to one of ours, or to another host: then none is registered again. */
async function registerOurs({ parts, unit, registration, paths }: Own): Promise<void> {
  const mayCarry = registration.type === null || !isForHolderAlone(registration.type);
  for (const path of paths) {
    const own = inForce(parts, unit);
    if (own === null) return;
    const fate = await registerAgain(parts, path, own);
    const isRegistered = fate === "registered" || fate === "kept";
    if (fate !== "preempted") await parts.gate.admit(path, isRegistered && mayCarry);
  }
}
