// Devices from before SBC-2, and some bridges, know READ(10) and WRITE(10) only. Nobody says so beforehand: the first
// READ(16) or WRITE(16) is refused, goes out again with the shorter CDB, and so does whatever follows on that unit.
//
// A piece goes from (16) to (10) once and never back, so it cannot go round in circles. Where the device refuses (10) as
// well its client gets the error, and the next request begins with (16) again.

import { Command, METHOD_ZERO_WRITE } from "../memory/records";
import { Unit } from "../memory/topology";
import { fitsShort } from "../scsi/cdb";
import { ASC_INVALID_OPERATION_CODE, ascOf } from "../scsi/sense";

const LONG_CDB_BYTES: u8 = 16;

/** The device has refused a command with this sense; whether it is a READ or WRITE that may go out again with a shorter CDB. */
export function shorten(u: Unit, c: Command, sense: u32): bool {
  if (c.method > METHOD_ZERO_WRITE || ascOf(sense) !== ASC_INVALID_OPERATION_CODE) return false;
  const isLong = c.cdbBytes === LONG_CDB_BYTES;
  if (isLong && !fitsShort(c.lba, c.pieceBytes >> u.blockShift)) return false;
  u.shortIo = isLong ? 1 : 0;
  return isLong;
}
