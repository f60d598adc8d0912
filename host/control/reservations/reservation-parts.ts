// What all operations on reservations work with, and how they are refused.

import type { Held, InAction, Keys, ReserveOut } from "../../discovery/persistent-reservations.ts";
import { NO_KEY, parseKeys, parseReservation, RESERVATION_TYPES } from "../../discovery/persistent-reservations.ts";
import type { Parsed } from "../../discovery/transport.ts";
import type { EventHub } from "../events/event-hub.ts";
import { ControlError } from "../ground/control-errors.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import type { ErrorCode } from "../schemas/common.ts";
import type { Gate } from "./gate.ts";
import type { Outcome, PathCommands } from "./path-commands.ts";
import type { Removals } from "./removals.ts";
import { keyedAs, type Registration, type ReservationKeys } from "./reservation-keys.ts";
import type { UnderWay } from "./under-way.ts";

export interface Parts {
  readonly keys: ReservationKeys;
  readonly commands: Pick<PathCommands, "ask" | "order">;
  readonly gate: Gate;
  readonly hub: Pick<EventHub, "say">;
  readonly removals: Pick<Removals, "isTold" | "of" | "forget">;
  /** The unit's paths that are worth a command, by path number. */
  live(unit: Unit): Promise<readonly Path[]>;
  readonly underWay: UnderWay;
}

/** SCSI statuses of refusals. */
const STATUS_CONFLICT = 0x18;
export const STATUS_CHECK_CONDITION = 0x02;
export const STATUS_BUSY = 0x08;

/** A refusal that a SCSI initiator can be told as well. */
export class ReservationRefused extends ControlError {
  readonly scsiStatus: number;
  readonly sense: Uint8Array;

  constructor(
    code: ErrorCode,
    message: string,
    { remedy, parameter, status, sense }: { remedy: string; parameter?: string; status: number; sense?: Uint8Array },
  ) {
    super(code, message, { remedy, parameter: parameter ?? null });
    this.scsiStatus = status;
    this.sense = sense ?? new Uint8Array(0);
  }
}

/** Sense data in fixed format. */
function senseData(key: number, asc: number, ascq: number): Uint8Array {
  const sense = new Uint8Array(18);
  sense.set([0x70, 0, key]);
  sense[7] = 10;
  sense.set([asc, ascq], 12);
  return sense;
}

const ILLEGAL_REQUEST = 0x05;
export const INVALID_OPERATION = senseData(ILLEGAL_REQUEST, 0x20, 0x00);
export const INVALID_FIELD_IN_LIST = senseData(ILLEGAL_REQUEST, 0x26, 0x00);
export const INVALID_FIELD_IN_CDB = senseData(ILLEGAL_REQUEST, 0x24, 0x00);
export const INVALID_RELEASE = senseData(ILLEGAL_REQUEST, 0x26, 0x04);

export function invalid(message: string, remedy: string, sense: Uint8Array, parameter?: string): ReservationRefused {
  const more = parameter === undefined ? {} : { parameter };
  return new ReservationRefused("INVALID_REQUEST", message, { remedy, status: STATUS_CHECK_CONDITION, sense, ...more });
}

/** For PREEMPT where no reservation is taken over, so that the type does not count. */
export const ANY_TYPE = 5;

/** Why this host's command conflicts. */
export const NOT_REGISTERED = "this host is not registered";
const REGISTER_FIRST = "register this host first: `pathctl reservation register`";
const CHECK = "`pathctl reservation show` says which keys the device has";

/** The error for what a device, or none of them, answered on a path. */
export function refusalOf(path: Path, outcome: Exclude<Outcome, { kind: "good" }>, what: string): ReservationRefused {
  const where = `path ${path.number}`;
  if (outcome.kind === "conflict") {
    return new ReservationRefused("RESERVATION_CONFLICT", `${where}: reservation conflict: ${what}`, {
      remedy: CHECK,
      status: STATUS_CONFLICT,
    });
  }
  if (outcome.kind === "silent") {
    return new ReservationRefused("PATH_FAILED", `${where} does not answer (${outcome.reason}): ${what}`, {
      remedy: "repair one path of the unit, then try again",
      status: STATUS_BUSY,
    });
  }
  const [code, remedy] = outcome.isUnknown
    ? (["RESERVATION_UNSUPPORTED", "persistent reservations need a device that has them on all paths"] as const)
    : (["RESERVATION_REFUSED", CHECK] as const);
  const reason = outcome.isUnknown ? "has no persistent reservations" : "refuses";
  return new ReservationRefused(code, `${where}: the device ${reason} (${outcome.reason}): ${what}`, {
    remedy,
    status: STATUS_CHECK_CONDITION,
    sense: outcome.sense,
  });
}

/** @param reasons what became of each path that was asked; none where there was no path to ask */
export function noPath(unit: Unit, reasons: readonly string[] = []): ReservationRefused {
  const why = reasons.length === 0 ? "" : `: ${reasons.join("; ")}`;
  return new ReservationRefused("PATH_FAILED", `no path of LogicalUnit #${unit.number} answers${why}`, {
    remedy: "repair or enable one path, then try again",
    status: STATUS_BUSY,
  });
}

export const typeText = (type: number): string => `${RESERVATION_TYPES.get(type) ?? "unknown"} (type ${type})`;

/**
 * Takes a path's key back. What was registered for all target ports some arrays take back only for all of them (LIO); and without
 * APTPL the device would forget all hosts' keys with the power (SPC-4 5.13.5: the last registration decides).
 */
export const unregistering = (
  key: string,
  { aptpl, allTargetPorts }: Pick<Registration, "aptpl" | "allTargetPorts">,
): ReserveOut => ({ action: "register", key, serviceActionKey: NO_KEY, aptpl, allTargetPorts });

export const registrationOf = ({ keys }: Pick<Parts, "keys">, unit: Unit): Registration | null =>
  keys.of(keyedAs(keys, unit));

/** How this host is registered now; null when it is not, or was preempted. */
export function inForce(parts: Pick<Parts, "keys">, unit: Unit): Registration | null {
  const registration = registrationOf(parts, unit);
  return registration?.state === "registered" ? registration : null;
}

export function keep({ keys }: Pick<Parts, "keys">, unit: Unit, registration: Registration | null): void {
  keys.put(keyedAs(keys, unit), registration);
}

/** What came of a command, and the path it came over. */
export interface Answered {
  readonly path: Path;
  readonly outcome: Exclude<Outcome, { kind: "silent" }>;
  /** Paths that were silent before; one of them may have carried the command out. */
  readonly silent: readonly Path[];
}

/** Sends a command over one path after the other until one answers. @throws ReservationRefused when none does */
export async function over(
  unit: Unit,
  paths: readonly Path[],
  send: (path: Path) => Promise<Outcome>,
): Promise<Answered> {
  const silent: Path[] = [];
  const reasons: string[] = [];
  for (const path of paths) {
    const outcome = await send(path);
    if (outcome.kind !== "silent") return { path, outcome, silent };
    silent.push(path);
    reasons.push(`${path.number} (${outcome.reason})`);
  }
  throw noPath(unit, reasons);
}

/** Reads over whichever of the paths answers. */
async function read<T>(
  parts: Parts,
  unit: Unit,
  paths: readonly Path[],
  action: InAction,
  parse: (bytes: Uint8Array) => Parsed<T>,
): Promise<T> {
  const { path, outcome } = await over(unit, paths, (on) => parts.commands.ask(on, action));
  if (outcome.kind !== "good") throw refusalOf(path, outcome, `reading ${action}`);
  const answer = parse(outcome.data);
  if (answer.ok) return answer.value;
  throw refusalOf(path, { kind: "silent", reason: answer.reason }, `reading ${action}`);
}

export const readKeys = (parts: Parts, unit: Unit, paths: readonly Path[]): Promise<Keys> =>
  read(parts, unit, paths, "keys", parseKeys);

export async function readHeld(parts: Parts, unit: Unit, paths: readonly Path[]): Promise<Held | null> {
  return (await read(parts, unit, paths, "reservation", parseReservation)).held;
}

/** One message per conflict, with who holds what; returns the error. */
export async function conflict(
  parts: Parts,
  unit: Unit,
  paths: readonly Path[],
  out: { readonly action: ReserveOut["action"] | "I/O" },
  why: string | null = null,
): Promise<ReservationRefused> {
  const held = await readHeld(parts, unit, paths).catch(() => null);
  const holder = held === null ? null : held.key === NO_KEY ? "all registrants" : held.key;
  const type = held === null ? null : typeText(held.type);
  parts.hub.say("reservation-conflict", { unit: unit.number, detail: { action: out.action, holder, type, why } });
  const by = held === null ? "nobody holds a reservation" : `held by ${holder ?? ""}, ${type ?? ""}`;
  const message = `LogicalUnit #${unit.number}: reservation conflict on ${out.action} (${why ?? by})`;
  const remedy = why === NOT_REGISTERED ? REGISTER_FIRST : CHECK;
  return new ReservationRefused("RESERVATION_CONFLICT", message, { remedy, status: STATUS_CONFLICT });
}

/** Whether other hosts use the unit as well: a reset would hit them, too. */
export function shared({ gate }: Pick<Parts, "gate">, unit: Unit, key: string, keys: readonly string[]): Promise<void> {
  return gate.share(
    unit,
    keys.some((other) => other !== key),
  );
}
