// REPORT SUPPORTED OPERATION CODES (SPC-4 6.34): the supported commands, and the bits of their CDBs that count.

import type { Command } from "./command.ts";
import type { LogicalUnit, Port } from "../array-unit.ts";

/** A command's handler: gets the unit and the port it was reached through. */
export type Handler = (command: Command, unit: LogicalUnit, port: Port) => void;

/** A command as the report describes it. */
export interface CommandKind {
  readonly opcode: number;
  /** Service action, or -1 for a command that has none. */
  readonly action: number;
  /** The bits of the CDB that count; opcode and service action appear in it as they are (SPC-4 6.34.3). */
  readonly usage: Uint8Array;
  /** Its handler; null: `execute` handles it, before it looks up the LUN. */
  readonly run: Handler | null;
}

const ALL = 0;
const ONE_BY_OPCODE = 1;
const ONE_BY_ACTION = 2;
const ONE_BY_EITHER = 3;

const NOT_SUPPORTED = 1;
const SUPPORTED = 3;
/** A command timeouts descriptor, which names no timeout. */
const TIMEOUTS_BYTES = 12;

export function reportOperationCodes(command: Command, kinds: readonly CommandKind[]): void {
  const timeouts = (command.cdb(2) & 0x80) !== 0;
  const options = command.cdb(2) & 7;
  const opcode = command.cdb(3);
  const action = command.cdb16(4);
  const ofOpcode = kinds.filter((kind) => kind.opcode === opcode);
  const acting = ofOpcode.some((kind) => kind.action >= 0);
  const named = ofOpcode.find((kind) => Math.max(kind.action, 0) === action);
  switch (options) {
    case ALL:
      return reportAll(command, kinds, timeouts);
    case ONE_BY_OPCODE:
      // A command with service actions is queried with one.
      return acting ? command.invalidField(2, 2) : reportOne(command, ofOpcode[0], timeouts);
    case ONE_BY_ACTION:
      return ofOpcode.length > 0 && !acting ? command.invalidField(2, 2) : reportOne(command, named, timeouts);
    case ONE_BY_EITHER:
      return reportOne(command, named, timeouts);
    default:
      return command.invalidField(2, 2);
  }
}

function putTimeouts(command: Command, at: number): number {
  command.response.fill(0, at, at + TIMEOUTS_BYTES);
  command.responseView.setUint16(at, TIMEOUTS_BYTES - 2);
  return at + TIMEOUTS_BYTES;
}

function reportAll(command: Command, kinds: readonly CommandKind[], timeouts: boolean): void {
  const { response: out, responseView: view } = command;
  let at = 4;
  for (const { opcode, action, usage } of kinds) {
    out.fill(0, at, at + 8);
    out[at] = opcode;
    view.setUint16(at + 2, Math.max(action, 0));
    out[at + 5] = (timeouts ? 2 : 0) | (action >= 0 ? 1 : 0);
    view.setUint16(at + 6, usage.length);
    at += 8;
    if (timeouts) at = putTimeouts(command, at);
  }
  view.setUint32(0, at - 4);
  command.respond(at, command.cdb32(6));
}

function reportOne(command: Command, kind: CommandKind | undefined, timeouts: boolean): void {
  const { response: out, responseView: view } = command;
  out.fill(0, 0, 4);
  out[1] = NOT_SUPPORTED;
  let at = 4;
  if (kind !== undefined) {
    out[1] = SUPPORTED | (timeouts ? 0x80 : 0);
    view.setUint16(2, kind.usage.length);
    out.set(kind.usage, at);
    at += kind.usage.length;
    if (timeouts) at = putTimeouts(command, at);
  }
  command.respond(at, command.cdb32(6));
}
