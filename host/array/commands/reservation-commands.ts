// PERSISTENT RESERVE IN and OUT (SPC-4 6.15 and 6.16).

import { DIRECTION_OUT } from "../../abi.ts";
import type { Command } from "./command.ts";
import { isReservationType, NO_KEY, type Reservations } from "../reservations.ts";
import {
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
const PREEMPT = 4;
const PREEMPT_AND_ABORT = 5;
const REGISTER_AND_IGNORE = 6;

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
    out[2] = 0x00;
    out[3] = 0x80;
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
  // SPEC_I_PT, ALL_TG_PT and APTPL are not supported (REPORT CAPABILITIES says so).
  if (((bytes[buffer + 20] ?? 0) & 0x0d) !== 0) return command.invalidListField(20);
  command.wanted = 24;
  command.moved = 24;
  if (action === REGISTER || action === REGISTER_AND_IGNORE) return register(command, unit, port, key, actionKey);
  if (unit.reservations.keys.get(port.nexus) !== key) return conflict(command);
  if (action === RESERVE) return reserve(command, unit, port);
  if (action === RELEASE) return release(command, unit, port);
  if (action === CLEAR) return clear(unit, port);
  if (action === PREEMPT || action === PREEMPT_AND_ABORT) preempt(command, unit, port, actionKey);
}

function conflict(command: Command): void {
  command.status = STATUS_RESERVATION_CONFLICT;
  command.moved = 0;
}

function register(command: Command, unit: LogicalUnit, port: Port, key: string, actionKey: string): void {
  const held = unit.reservations;
  const registered = held.keys.get(port.nexus);
  const ignoring = (command.cdb(1) & 0x1f) === REGISTER_AND_IGNORE;
  if (!ignoring && key !== (registered ?? NO_KEY)) return conflict(command);
  if (actionKey !== NO_KEY) held.keys.set(port.nexus, actionKey);
  else if (registered !== undefined) {
    const registrantsOnly = held.registrantsOnly;
    if (held.unregister(port.nexus) !== 0 && registrantsOnly) attendRegistered(unit, ASC_RESERVATIONS_RELEASED, port);
  }
  held.generation++;
}

function attendRegistered(unit: LogicalUnit, code: number, but: Port): void {
  for (const port of unit.ports) {
    if (port.nexus !== but.nexus && unit.reservations.keys.has(port.nexus)) port.attend(code);
  }
}

function reserve(command: Command, unit: LogicalUnit, port: Port): void {
  const held = unit.reservations;
  const type = command.cdb(2) & 0x0f;
  if (command.cdb(2) >>> 4 !== 0) return command.invalidField(2, 7);
  if (!isReservationType(type)) return command.invalidField(2, 3);
  if (held.type === 0) held.reserve(port.nexus, type);
  else if (!held.holds(port.nexus) || held.type !== type) conflict(command);
}

function release(command: Command, unit: LogicalUnit, port: Port): void {
  const held = unit.reservations;
  if (!held.holds(port.nexus)) return;
  if (held.type !== (command.cdb(2) & 0x0f)) {
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

/** PREEMPT (SPC-4 5.13.11.4): removes registrations with a key, and the reservation with its holder's. */
function preempt(command: Command, unit: LogicalUnit, port: Port, victimKey: string): void {
  const held = unit.reservations;
  const type = command.cdb(2) & 0x0f;
  const everyOther = held.allRegistrants && victimKey === NO_KEY;
  const takesReservation = everyOther || (held.type !== 0 && held.keys.get(held.holder) === victimKey);
  const victims = victimsOf(held, port.nexus, victimKey, everyOther);
  if (victimKey === NO_KEY && !everyOther) return command.invalidListField(8);
  if (takesReservation && !isReservationType(type)) return command.invalidField(2, 3);
  if (victims.length === 0 && !takesReservation) return conflict(command);
  for (const nexus of victims) {
    held.keys.delete(nexus);
    for (const other of unit.ports) if (other.nexus === nexus) other.attend(ASC_REGISTRATIONS_PREEMPTED);
  }
  if (takesReservation) {
    const released = held.type !== type;
    held.reserve(port.nexus, type);
    if (released) attendRegistered(unit, ASC_RESERVATIONS_RELEASED, port);
  } else if (held.allRegistrants && held.keys.size === 0) held.release();
  held.generation++;
}

function victimsOf(held: Reservations, nexus: number, key: string, everyOther: boolean): number[] {
  const victims: number[] = [];
  for (const [other, otherKey] of held.keys) {
    if (other !== nexus && (everyOther || otherKey === key)) victims.push(other);
  }
  return victims;
}
