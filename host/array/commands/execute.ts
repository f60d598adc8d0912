// Carries out one SCSI command on a port: the checks in the order of SAM-5 5.3.2 and SPC-4, then the command itself.

import { read, write } from "./block-commands.ts";
import type { Command } from "./command.ts";
import { handlerOf, isKnown } from "./commands.ts";
import { accessible } from "../array-groups.ts";
import { inquiry, reportLuns } from "./inquiry.ts";
import { requestSense } from "./mode-sense.ts";
import {
  ASC_INVALID_OPCODE,
  ASC_UNIT_NOT_SUPPORTED,
  INQUIRY,
  KEY_ILLEGAL_REQUEST,
  KEY_UNIT_ATTENTION,
  READ_16,
  REPORT_LUNS,
  REQUEST_SENSE,
  STATUS_RESERVATION_CONFLICT,
  WRITE_16,
} from "../scsi.ts";
import type { LogicalUnit, Port } from "../array-unit.ts";

/** Group code of the commands with a CDB of 16 bytes. */
const GROUP_16 = 4;

/** Bytes of a CDB by the group code in its first byte (SAM-5 5.2); 0 for groups that are not supported. */
function cdbBytesOf(opcode: number): number {
  switch (opcode >>> 5) {
    case 0:
      return 6;
    case 1:
    case 2:
      return 10;
    case GROUP_16:
      return 16;
    case 5:
      return 12;
    default:
      return 0;
  }
}

/** Carries out the opened command on `port` and leaves status, sense data and counts in it; `ports` has every port. */
export function execute(command: Command, port: Port, ports: readonly Port[]): void {
  const opcode = command.cdb(0);
  const { unit } = port;
  if (command.cdbBytes !== cdbBytesOf(opcode)) return command.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
  if (opcode === INQUIRY) return inquiry(command, unit, port);
  if (opcode === REPORT_LUNS) return reportLuns(command, port, ports);
  if (unit === null) return withoutUnit(command, opcode, port);
  if (opcode === REQUEST_SENSE) return requestSense(command, port);
  if (port.attentionCount > 0) return command.fail(KEY_UNIT_ATTENTION, port.takeAttention());
  if (!accessible(command, unit, port)) return;
  if (unit.reservations.conflicts(port.nexus, opcode)) {
    command.status = STATUS_RESERVATION_CONFLICT;
    return;
  }
  if (unit.array.commands === "10-byte" && opcode >>> 5 === GROUP_16) {
    return command.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
  }
  carryOut(command, opcode, unit, port);
}

/** A LUN that leads nowhere: REQUEST SENSE returns the refusal as data, everything else is refused (SPC-4 6.39). */
function withoutUnit(command: Command, opcode: number, port: Port): void {
  if (opcode !== REQUEST_SENSE) return command.fail(KEY_ILLEGAL_REQUEST, ASC_UNIT_NOT_SUPPORTED);
  command.senseKey = KEY_ILLEGAL_REQUEST;
  command.asc = ASC_UNIT_NOT_SUPPORTED;
  const length = command.writeSense(command.response, 0, port.array.descriptorSense);
  command.respond(length, command.cdb(4));
}

function lba16(command: Command): number {
  return command.cdb32(2) * 4294967296 + command.cdb32(6);
}

/** Reads and writes, which almost all commands are, bypass the table. */
function carryOut(command: Command, opcode: number, unit: LogicalUnit, port: Port): void {
  if (opcode === READ_16) return read(command, unit, lba16(command), command.cdb32(10));
  if (opcode === WRITE_16) return write(command, unit, lba16(command), command.cdb32(10));
  const run = handlerOf(opcode, command.cdb(1) & 0x1f);
  if (run !== null) return run(command, unit, port);
  if (isKnown(opcode)) command.invalidField(1, 4);
  else command.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
}
