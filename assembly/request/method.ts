// How a request is carried out: which SCSI commands serve it, given the device's capabilities, and what is beyond its end.

import {
  OPERATION_FLAG_NO_HOLE,
  OPERATION_FLUSH,
  OPERATION_READ,
  OPERATION_TRIM,
  OPERATION_WRITE,
  OPERATION_WRITE_ZEROES,
  UNIT_CAN_LBA_STATUS,
  UNIT_CAN_UNMAP,
  UNIT_CAN_WRITE_SAME,
  UNIT_CAN_WRITE_SAME_UNMAP,
} from "../abi";
import { EINVAL, ENOSPC } from "../memory/errno";
import { OPERATION_STATUS } from "../memory/operations";
import {
  METHOD_NONE,
  METHOD_READ,
  METHOD_SAME,
  METHOD_SAME_UNMAP,
  METHOD_STATUS,
  METHOD_SYNC,
  METHOD_UNMAP,
  METHOD_WRITE,
  METHOD_ZERO_WRITE,
} from "../memory/records";
import { Unit } from "../memory/topology";
import { cachesWrites } from "./cache";

/** The client's error for a request beyond the end, whoever detects it. */
export function pastEnd(kind: u32): u32 {
  return kind === OPERATION_WRITE || kind === OPERATION_WRITE_ZEROES ? ENOSPC : EINVAL;
}

/**
 * How WRITE_ZEROES is done: unmapping, if the client allows it and unmapped blocks read as zeroes; else WRITE SAME; else WRITE.
 */
export function zeroMethod(unit: Unit, flags: u32): u8 {
  if ((flags & OPERATION_FLAG_NO_HOLE) === 0 && (unit.capabilities & UNIT_CAN_WRITE_SAME_UNMAP) !== 0)
    return METHOD_SAME_UNMAP;
  if ((unit.capabilities & UNIT_CAN_WRITE_SAME) !== 0) return METHOD_SAME;
  return METHOD_ZERO_WRITE;
}

export function methodOf(unit: Unit, kind: u32, flags: u32): u8 {
  if (kind === OPERATION_READ) return METHOD_READ;
  if (kind === OPERATION_WRITE) return METHOD_WRITE;
  if (kind === OPERATION_WRITE_ZEROES) return zeroMethod(unit, flags);
  // Without a volatile cache everything acknowledged is on the medium already.
  if (kind === OPERATION_FLUSH) return cachesWrites(unit) ? METHOD_SYNC : METHOD_NONE;
  // TRIM and CACHE are hints: what the device cannot do is not done.
  if (kind === OPERATION_TRIM && (unit.capabilities & UNIT_CAN_UNMAP) !== 0) return METHOD_UNMAP;
  if (kind === OPERATION_STATUS && (unit.capabilities & UNIT_CAN_LBA_STATUS) !== 0) return METHOD_STATUS;
  return METHOD_NONE;
}
