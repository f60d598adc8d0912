// Asymmetric logical unit access: REPORT and SET TARGET PORT GROUPS. A controller is a target port group.

import {
  ALUA_NON_OPTIMIZED,
  ALUA_OFFLINE,
  ALUA_OPTIMIZED,
  ALUA_STANDBY,
  ALUA_TRANSITIONING,
  ALUA_UNAVAILABLE,
  DIRECTION_OUT,
} from "../abi.ts";
import type { Command } from "./commands/command.ts";
import {
  ASC_ALUA_CHANGED,
  ASC_ALUA_STANDBY,
  ASC_ALUA_TRANSITION,
  ASC_ALUA_UNAVAILABLE,
  ASC_OFFLINE,
  ASC_PARAMETER_LIST_LENGTH,
  INQUIRY,
  KEY_ILLEGAL_REQUEST,
  KEY_NOT_READY,
  MAINTENANCE_IN,
  MAINTENANCE_OUT,
  MODE_SENSE_10,
  MODE_SENSE_6,
  PERSISTENT_RESERVE_IN,
  PERSISTENT_RESERVE_OUT,
  REPORT_LUNS,
  REQUEST_SENSE,
} from "./scsi.ts";
import type { LogicalUnit, Port } from "./array-unit.ts";

/** AO, AN, S, U, T and LBD support bits (SPC-4 table 308). */
const SUPPORTED_STATES = 0x8f;

/** REPORT TARGET PORT GROUPS, SPC-4 6.37, in both parameter data formats. */
export function reportTargetPortGroups(command: Command, unit: LogicalUnit, asked: Port): void {
  const { response: out, responseView: view } = command;
  const extended = command.cdb(1) >>> 5 === 1;
  let at = 4;
  if (extended) {
    out[4] = 0x10;
    out[5] = unit.transitionSeconds;
    out[6] = 0;
    out[7] = 0;
    at = 8;
  }
  const perGroup = unit.array.portsPerController;
  for (let group = 0; group < unit.array.controllers; group++) {
    if (unit.array.groupReports === "own" && group !== asked.controller) continue;
    out.fill(0, at, at + 8);
    out[at] = (unit.groupStates[group] ?? 0) | (group === unit.preferredGroup ? 0x80 : 0);
    out[at + 1] = SUPPORTED_STATES;
    view.setUint16(at + 2, group + 1);
    out[at + 5] = 0x02;
    out[at + 7] = perGroup;
    at += 8;
    for (let port = 0; port < perGroup; port++) {
      view.setUint32(at, group * perGroup + port + 1);
      at += 4;
    }
  }
  view.setUint32(0, at - 4);
  command.respond(at, command.cdb32(6));
}

/** Sets a group's state and tells every other port of the unit (2A/06) if that changed something. */
export function setGroupState(unit: LogicalUnit, group: number, state: number, by: Port | null): void {
  if (unit.groupStates[group] === state) return;
  unit.groupStates[group] = state;
  unit.attention(ASC_ALUA_CHANGED, by);
}

/** SET TARGET PORT GROUPS, SPC-4 6.45. All descriptors are checked before any takes effect. */
export function setTargetPortGroups(command: Command, unit: LogicalUnit, port: Port): void {
  const length = command.cdb32(6);
  if (length === 0) return;
  if (length > command.bufferBytes || command.direction !== DIRECTION_OUT || length < 4 || length % 4 !== 0) {
    return command.fail(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
  }
  const { bytes, buffer } = command;
  for (let at = 4; at < length; at += 4) {
    const state = (bytes[buffer + at] ?? 0) & 0x0f;
    const group = ((bytes[buffer + at + 2] ?? 0) << 8) | (bytes[buffer + at + 3] ?? 0);
    const settable =
      state === ALUA_OPTIMIZED || state === ALUA_NON_OPTIMIZED || state === ALUA_STANDBY || state === ALUA_UNAVAILABLE;
    if (!settable) return command.invalidListField(at);
    if (group < 1 || group > unit.array.controllers) return command.invalidListField(at + 2);
  }
  for (let at = 4; at < length; at += 4) {
    const group = ((bytes[buffer + at + 2] ?? 0) << 8) | (bytes[buffer + at + 3] ?? 0);
    setGroupState(unit, group - 1, (bytes[buffer + at] ?? 0) & 0x0f, port);
  }
  command.wanted = length;
  command.moved = length;
}

/** True if the port's group may carry out the command in its state (SPC-4 5.15.2.4); else the sense data says why not. */
export function accessible(command: Command, unit: LogicalUnit, port: Port): boolean {
  const state = unit.groupStates[port.controller] ?? ALUA_OPTIMIZED;
  if (state <= ALUA_NON_OPTIMIZED) return true;
  switch (command.cdb(0)) {
    case INQUIRY:
    case REPORT_LUNS:
    case REQUEST_SENSE:
    case MAINTENANCE_IN:
      return true;
    case MAINTENANCE_OUT:
      if (state !== ALUA_TRANSITIONING) return true;
      break;
    case MODE_SENSE_6:
    case MODE_SENSE_10:
    case PERSISTENT_RESERVE_IN:
    case PERSISTENT_RESERVE_OUT:
      if (state === ALUA_STANDBY) return true;
      break;
    default:
  }
  command.fail(KEY_NOT_READY, refusal(state));
  return false;
}

function refusal(state: number): number {
  if (state === ALUA_STANDBY) return ASC_ALUA_STANDBY;
  if (state === ALUA_TRANSITIONING) return ASC_ALUA_TRANSITION;
  return state === ALUA_OFFLINE ? ASC_OFFLINE : ASC_ALUA_UNAVAILABLE;
}
