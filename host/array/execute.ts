// Carries one SCSI command out on a port: the order of checks of SAM-5 5.3.2 and SPC-4, then the command itself.

import { compareAndWrite, read, synchronizeCache, unmap, write, writeSame } from "./block-commands.ts";
import type { Command } from "./command.ts";
import { accessible, reportTargetPortGroups, setTargetPortGroups } from "./groups.ts";
import { inquiry, readCapacity10, readCapacity16, reportLuns } from "./inquiry.ts";
import { getLbaStatus } from "./lba-status.ts";
import { modeSense, requestSense } from "./mode.ts";
import { persistentReserveIn, persistentReserveOut } from "./reservation-commands.ts";
import {
  ASC_INVALID_OPCODE,
  ASC_UNIT_NOT_SUPPORTED,
  COMPARE_AND_WRITE,
  GET_LBA_STATUS,
  INQUIRY,
  KEY_ILLEGAL_REQUEST,
  KEY_UNIT_ATTENTION,
  MAINTENANCE_IN,
  MAINTENANCE_OUT,
  MODE_SENSE_10,
  MODE_SENSE_6,
  PERSISTENT_RESERVE_IN,
  PERSISTENT_RESERVE_OUT,
  READ_10,
  READ_16,
  READ_CAPACITY_10,
  READ_CAPACITY_16,
  REPORT_LUNS,
  REQUEST_SENSE,
  SERVICE_ACTION_IN_16,
  STATUS_RESERVATION_CONFLICT,
  SYNCHRONIZE_CACHE_10,
  SYNCHRONIZE_CACHE_16,
  TARGET_PORT_GROUPS,
  TEST_UNIT_READY,
  UNMAP,
  WRITE_10,
  WRITE_16,
  WRITE_SAME_10,
  WRITE_SAME_16,
} from "./scsi.ts";
import type { LogicalUnit, Port } from "./unit.ts";

/** Bytes of a CDB by the group code in its first byte (SAM-5 5.2); 0 for groups that have none here. */
function cdbBytesOf(opcode: number): number {
  switch (opcode >>> 5) {
    case 0:
      return 6;
    case 1:
    case 2:
      return 10;
    case 4:
      return 16;
    case 5:
      return 12;
    default:
      return 0;
  }
}

/** Carries the opened command out on `port` and leaves status, sense and counts in it; `ports` is every port there is. */
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
  carryOut(command, opcode, unit, port);
}

/** A LUN that leads nowhere: REQUEST SENSE hands the refusal out as data, everything else is refused (SPC-4 6.39). */
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

function carryOut(command: Command, opcode: number, unit: LogicalUnit, port: Port): void {
  switch (opcode) {
    case READ_16:
      return read(command, unit, lba16(command), command.cdb32(10));
    case WRITE_16:
      return write(command, unit, lba16(command), command.cdb32(10));
    case READ_10:
      return read(command, unit, command.cdb32(2), command.cdb16(7));
    case WRITE_10:
      return write(command, unit, command.cdb32(2), command.cdb16(7));
    case TEST_UNIT_READY:
      return;
    case SYNCHRONIZE_CACHE_10:
      return synchronizeCache(command, unit, command.cdb32(2), command.cdb16(7));
    case SYNCHRONIZE_CACHE_16:
      return synchronizeCache(command, unit, lba16(command), command.cdb32(10));
    case UNMAP:
      return unmap(command, unit);
    case WRITE_SAME_10:
      return writeSame(command, unit, command.cdb32(2), command.cdb16(7));
    case WRITE_SAME_16:
      return writeSame(command, unit, lba16(command), command.cdb32(10));
    case COMPARE_AND_WRITE:
      return compareAndWrite(command, unit);
    default:
      return carryOutOther(command, opcode, unit, port);
  }
}

function carryOutOther(command: Command, opcode: number, unit: LogicalUnit, port: Port): void {
  const action = command.cdb(1) & 0x1f;
  switch (opcode) {
    case READ_CAPACITY_10:
      return readCapacity10(command, unit);
    case SERVICE_ACTION_IN_16:
      if (action === GET_LBA_STATUS) return getLbaStatus(command, unit);
      return action === READ_CAPACITY_16 ? readCapacity16(command, unit) : command.invalidField(1, 4);
    case MODE_SENSE_6:
      return modeSense(command, unit, false);
    case MODE_SENSE_10:
      return modeSense(command, unit, true);
    case MAINTENANCE_IN:
      return action === TARGET_PORT_GROUPS ? reportTargetPortGroups(command, unit, port) : command.invalidField(1, 4);
    case MAINTENANCE_OUT:
      return action === TARGET_PORT_GROUPS ? setTargetPortGroups(command, unit, port) : command.invalidField(1, 4);
    case PERSISTENT_RESERVE_IN:
      return persistentReserveIn(command, unit);
    case PERSISTENT_RESERVE_OUT:
      return persistentReserveOut(command, unit, port);
    default:
      return command.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
  }
}
