// Devices older than SBC-2, and some bridges, know READ(10) and WRITE(10) only, and do not announce it: the first READ(16) or
// WRITE(16) is refused, is sent again with the shorter CDB, and so is everything that follows on that unit.
//
// A piece changes from (16) to (10) once and never back, so it cannot loop. If the device refuses (10) as well, its client gets
// the error, and the next request starts with (16) again.

import { Command, METHOD_ZERO_WRITE } from "../memory/records";
import { Unit } from "../memory/topology";
import { fitsShort } from "../scsi/cdb";
import { ASC_INVALID_OPERATION_CODE, ascOf } from "../scsi/sense";

const LONG_CDB_BYTES: u8 = 16;

/**
 * The device has refused a command with this sense; returns whether it is a READ or WRITE that may be sent again with a shorter
 * CDB.
 */
export function shorten(unit: Unit, command: Command, sense: u32): bool {
  if (command.method > METHOD_ZERO_WRITE || ascOf(sense) !== ASC_INVALID_OPERATION_CODE) return false;
  const isLong = command.cdbBytes === LONG_CDB_BYTES;
  if (isLong && !fitsShort(command.lba, command.pieceBytes >> unit.blockShift)) return false;
  unit.shortIo = isLong ? 1 : 0;
  return isLong;
}
