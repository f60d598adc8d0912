// PERSISTENT RESERVE IN and OUT (SPC-4 6.15 and 6.16), and SPC-2's RESERVE and RELEASE.

import { DIRECTION_OUT } from "../../abi.ts";
import type { Command } from "./command.ts";
import { isReservationType, NO_KEY } from "../reservations.ts";
import {
  ASC_INVALID_FIELD_IN_CDB,
  ASC_INVALID_RELEASE,
  ASC_PARAMETER_LIST_LENGTH,
  ASC_REGISTRATIONS_PREEMPTED,
  ASC_RESERVATIONS_PREEMPTED,
  ASC_RESERVATIONS_RELEASED,
  KEY_ILLEGAL_REQUEST,
  STATUS_RESERVATION_CONFLICT,
} from "../scsi.ts";
import { nameHash, type LogicalUnit, type Port } from "../array-unit.ts";

const READ_KEYS = 0;
const READ_RESERVATION = 1;
const REPORT_CAPABILITIES = 2;
const READ_FULL_STATUS = 3;

const REGISTER = 0;
const RESERVE = 1;
const RELEASE = 2;
const CLEAR = 3;
const PREEMPT_AND_ABORT = 5;
const REGISTER_AND_IGNORE = 6;

/** REPORT CAPABILITIES: ATP_C and PTPL_C in byte 2, PTPL_A in byte 3. */
const ALL_TARGET_PORTS_CAPABLE = 0x04;
const PERSISTS_CAPABLE = 0x01;
const PERSISTS_ACTIVE = 0x01;
/** Byte 20 of the parameter list: SPEC_I_PT, ALL_TG_PT, APTPL. */
const SPECIFY_INITIATORS = 0x08;
const ALL_TARGET_PORTS = 0x04;
const PERSISTS = 0x01;

function putKey(into: Uint8Array, at: number, key: string): void {
  for (let i = 0; i < 8; i++) into[at + i] = Number.parseInt(key.slice(2 * i, 2 * i + 2), 16);
}

function getKey(from: Uint8Array, at: number): string {
  let key = "";
  for (let i = 0; i < 8; i++) key += (from[at + i] ?? 0).toString(16).padStart(2, "0");
  return key;
}

export function persistentReserveIn(command: Command, unit: LogicalUnit): void {
  const { response: out, responseView: view } = command;
  const held = unit.reservations;
  const action = command.cdb(1) & 0x1f;
  out.fill(0, 0, 32);
  view.setUint32(0, held.generation);
  let length = 8;
  if (action === READ_KEYS) {
    for (const key of held.keys.values()) {
      putKey(out, length, key);
      length += 8;
    }
    view.setUint32(4, length - 8);
  } else if (action === READ_RESERVATION) {
    if (held.type !== 0) {
      view.setUint32(4, 16);
      putKey(out, 8, held.keys.get(held.holder) ?? NO_KEY);
      out[21] = held.type;
      length = 24;
    }
  } else if (action === REPORT_CAPABILITIES) {
    view.setUint16(0, 8);
    out[2] = ALL_TARGET_PORTS_CAPABLE | PERSISTS_CAPABLE;
    out[3] = 0x80 | (held.persists ? PERSISTS_ACTIVE : 0);
    out[4] = 0xea;
    out[5] = 0x01;
  } else if (action === READ_FULL_STATUS) length = fullStatus(command, unit);
  else return command.invalidField(1, 4);
  command.respond(length, command.cdb16(7));
}

/** A full status descriptor followed by a TransportID for SAS (SPC-4 6.15.5, 7.6.4.6). */
const FULL_STATUS_BYTES = 48;

/** READ FULL STATUS, SPC-4 6.15.5: which initiator port is registered through which target port. Returns its length. */
function fullStatus(command: Command, unit: LogicalUnit): number {
  const { response: out, responseView: view } = command;
  const held = unit.reservations;
  const { name, controllers, portsPerController } = unit.array;
  const targetPorts = controllers * portsPerController;
  let at = 8;
  for (const [nexus, key] of held.keys) {
    out.fill(0, at, at + FULL_STATUS_BYTES);
    putKey(out, at, key);
    if (held.holds(nexus)) {
      out[at + 12] = 0x01;
      out[at + 13] = held.type;
    }
    view.setUint16(at + 18, (nexus % targetPorts) + 1);
    view.setUint32(at + 20, 24);
    out[at + 24] = 0x06;
    view.setUint32(at + 28, 0x5001a2b0);
    view.setUint32(at + 32, nameHash(`initiator ${Math.floor(nexus / targetPorts)} of ${name}`));
    at += FULL_STATUS_BYTES;
  }
  view.setUint32(4, at - 8);
  return at;
}

export function persistentReserveOut(command: Command, unit: LogicalUnit, port: Port): void {
  const action = command.cdb(1) & 0x1f;
  if (action > REGISTER_AND_IGNORE) return command.invalidField(1, 4);
  if (command.cdb32(5) !== 24 || command.bufferBytes < 24 || command.direction !== DIRECTION_OUT) {
    return command.fail(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
  }
  const { bytes, buffer } = command;
  const key = getKey(bytes, buffer);
  const actionKey = getKey(bytes, buffer + 8);
  const flags = bytes[buffer + 20] ?? 0;
  const registers = action === REGISTER || action === REGISTER_AND_IGNORE;
  // It is not supported (REPORT CAPABILITIES says so). The other two mean nothing but for registrations.
  if ((flags & SPECIFY_INITIATORS) !== 0) return command.invalidListField(20);
  command.wanted = 24;
  command.moved = 24;
  if (registers) return register(command, unit, port, { key, actionKey, flags });
  if (unit.reservations.keys.get(port.nexus) !== key) return conflict(command);
  if (action === RESERVE) return reservePersistently(command, unit, port);
  if (action === RELEASE) return releasePersistently(command, unit, port);
  if (action === CLEAR) return clear(unit, port);
  // PREEMPT or PREEMPT AND ABORT.
  preempt(command, unit, port, actionKey);
}

function conflict(command: Command): void {
  command.status = STATUS_RESERVATION_CONFLICT;
  command.moved = 0;
}

/** The nexuses that a registration covers: the one it came through, or all of the same initiator port. */
function covered(unit: LogicalUnit, port: Port, flags: number): Set<number> {
  const nexuses = new Set([port.nexus]);
  if ((flags & ALL_TARGET_PORTS) === 0) return nexuses;
  for (const other of unit.ports) if (other.initiatorPort === port.initiatorPort) nexuses.add(other.nexus);
  return nexuses;
}

function register(
  command: Command,
  unit: LogicalUnit,
  port: Port,
  { key, actionKey, flags }: { key: string; actionKey: string; flags: number },
): void {
  const held = unit.reservations;
  const registered = held.keys.get(port.nexus);
  const ignoring = (command.cdb(1) & 0x1f) === REGISTER_AND_IGNORE;
  if (!ignoring && key !== (registered ?? NO_KEY)) return conflict(command);
  const isForAllPorts = (flags & ALL_TARGET_PORTS) !== 0;
  if (!isForAllPorts && unit.array.registrations === "lio" && held.isForAllPorts(port.nexus)) {
    return command.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
  }
  const nexuses = covered(unit, port, flags);
  if (!ignoring && registered === undefined && [...nexuses].some((nexus) => held.keys.has(nexus))) {
    return conflict(command);
  }
  const registrantsOnly = held.registrantsOnly;
  let released = false;
  for (const nexus of nexuses) {
    if (actionKey !== NO_KEY) held.register(nexus, actionKey, isForAllPorts);
    else if (held.unregister(nexus) !== 0) released = true;
  }
  if (released && registrantsOnly) attendRegistered(unit, ASC_RESERVATIONS_RELEASED, port);
  held.persists = (flags & PERSISTS) !== 0;
  held.generation++;
}

function attendRegistered(unit: LogicalUnit, code: number, but: Port): void {
  for (const port of unit.ports) {
    if (port.nexus !== but.nexus && unit.reservations.keys.has(port.nexus)) port.attend(code);
  }
}

function reservePersistently(command: Command, unit: LogicalUnit, port: Port): void {
  const held = unit.reservations;
  const type = command.cdb(2) & 0x0f;
  if (command.cdb(2) >>> 4 !== 0) return command.invalidField(2, 7);
  if (!isReservationType(type)) return command.invalidField(2, 3);
  if (held.type === 0) held.reserve(port.nexus, type);
  else if (!held.holds(port.nexus) || held.type !== type) conflict(command);
}

function releasePersistently(command: Command, unit: LogicalUnit, port: Port): void {
  const held = unit.reservations;
  if (!held.holds(port.nexus)) return;
  // A wrong scope is as wrong as a wrong type.
  if (held.type !== command.cdb(2)) {
    command.moved = 0;
    return command.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_RELEASE);
  }
  const shared = held.registrantsOnly || held.allRegistrants;
  held.release();
  if (shared) attendRegistered(unit, ASC_RESERVATIONS_RELEASED, port);
}

function clear(unit: LogicalUnit, port: Port): void {
  attendRegistered(unit, ASC_RESERVATIONS_PREEMPTED, port);
  unit.reservations.release();
  unit.reservations.keys.clear();
  unit.reservations.generation++;
}

/** PREEMPT and PREEMPT AND ABORT (SPC-4 5.13.11.4 and 5.13.11.5). */
function preempt(command: Command, unit: LogicalUnit, port: Port, victimKey: string): void {
  const held = unit.reservations;
  const type = command.cdb(2) & 0x0f;
  const takes = held.takesReservation(victimKey);
  if (victimKey === NO_KEY && !takes) return command.invalidListField(8);
  if (takes && command.cdb(2) >>> 4 !== 0) return command.invalidField(2, 7);
  if (takes && !isReservationType(type)) return command.invalidField(2, 3);
  const removed = held.preempt(port.nexus, victimKey, type);
  if (removed === null) return conflict(command);
  const others = unit.ports.filter(({ nexus }) => nexus !== port.nexus && removed.nexuses.has(nexus));
  for (const other of others) other.attend(ASC_REGISTRATIONS_PREEMPTED);
  if (removed.isReleased) attendRegistered(unit, ASC_RESERVATIONS_RELEASED, port);
  if ((command.cdb(1) & 0x1f) === PREEMPT_AND_ABORT) unit.abortTasks(others);
}

/** RESERVE (6) and (10): the unit is this nexus's alone. */
export function reserve(_: Command, unit: LogicalUnit, port: Port): void {
  unit.reservations.spc2Holder = port.nexus;
}

/** RELEASE (6) and (10): without effect for who did not reserve. */
export function release(_: Command, unit: LogicalUnit, port: Port): void {
  unit.reservations.endSpc2(port.nexus);
}
