// What the outcome of a SCSI command means for the command, the path and the client: one table, first match wins.
//
// Sources: SAM-5 5.3.1 (status codes) and 5.14 (unit attentions); SPC-4 4.5 (sense keys, ASC/ASCQ in annex F); the
// host and driver status of the Linux SCSI midlayer (DID_* and DRIVER_* in include/scsi/).

import { KEY_ABSENT, SENSE_DEFERRED, ascOf, ascqOf, keyOf, readSense } from "./sense";
import { HOST_OK, STATUS_CHECK_CONDITION, driverOf } from "./status";

/** The device carried the command out. */
export const OUTCOME_GOOD: u8 = 0;
/** The same path again, a few times; if that does not cure it the path has failed. */
export const OUTCOME_RETRY: u8 = 1;
/** The same path again, a few times; if that does not cure it another path, without blame for this one. */
export const OUTCOME_RETRY_SOFT: u8 = 2;
/** The device has too much to do: another path or a pause; fewer commands at a time on this path. */
export const OUTCOME_BUSY: u8 = 3;
/** The device needs a moment: another path or a pause. */
export const OUTCOME_WAIT: u8 = 4;
/** The path has failed: another path. */
export const OUTCOME_FAILED: u8 = 5;
/** Another path may do better; if none does, an error. The path is not blamed. */
export const OUTCOME_ELSEWHERE: u8 = 6;
/** The path's port group takes no I/O now: another path, and the port groups are read anew. */
export const OUTCOME_ALUA: u8 = 7;
/** The port groups' states have changed: they are read anew; the same path again. */
export const OUTCOME_ALUA_CHANGED: u8 = 8;
/** The path may lead to another logical unit now: no I/O before its identity was checked. */
export const OUTCOME_INVENTORY: u8 = 9;
/** No logical unit is at the end of the path: it has failed, and its identity is checked before it is used again. */
export const OUTCOME_GONE: u8 = 10;
/** The capacity has changed: control is told; the same path again. */
export const OUTCOME_CAPACITY: u8 = 11;
/** Parameters have changed: control is told; the same path again. */
export const OUTCOME_PARAMETERS: u8 = 12;
/** The device's own answer; the client gets EIO. */
export const OUTCOME_ANSWER: u8 = 13;
/** The device does not know the command or a field of it; the client gets EIO unless there is another way. */
export const OUTCOME_UNSUPPORTED: u8 = 14;
/** Write-protected, or reserved for another host; the client gets EPERM. */
export const OUTCOME_PROTECTED: u8 = 15;
/** No room on a thin-provisioned unit; the client gets ENOSPC. */
export const OUTCOME_SPACE: u8 = 16;
/** The address is past the end: control is told; the client gets an error when every path says so. */
export const OUTCOME_PAST_END: u8 = 17;
/** The path, or the device, was away: it may have come back to another unit. Its identity is checked; then as RETRY_SOFT. */
export const OUTCOME_NEXUS: u8 = 18;
/** A thin unit has reached its soft threshold: control is told; the same path again. */
export const OUTCOME_THRESHOLD: u8 = 19;

/** Whether an outcome is the device's own answer, which goes to the client. */
export function isAnswer(outcome: u8): bool {
  return outcome >= OUTCOME_ANSWER && outcome <= OUTCOME_PAST_END;
}

const ANY: u8 = 0xfe;
const ROW_BYTES: usize = 7;

// Columns: host status, driver status (low half), status, sense key, ASC, ASCQ, outcome. Outcomes are numbers here
// because the table is static data; the comment names each.
// prettier-ignore
const rows: usize = memory.data<u8>([
  // Host status: what the host adapter's driver says (DID_*). Status and sense mean nothing then.
  0x01, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 5,  // NO_CONNECT: FAILED
  0x02, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 3,  // BUS_BUSY: BUSY
  0x03, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 5,  // TIME_OUT: FAILED
  0x04, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 5,  // BAD_TARGET: FAILED
  0x05, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 1,  // ABORT, for some other reason: RETRY
  0x06, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 1,  // PARITY: RETRY
  0x07, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 1,  // ERROR inside the adapter or its driver: RETRY
  0x08, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 2,  // RESET, by somebody; the path itself works: RETRY_SOFT
  0x09, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 1,  // BAD_INTR: RETRY
  0x0a, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 1,  // PASSTHROUGH: RETRY
  0x0b, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 1,  // SOFT_ERROR, the driver asks for a retry: RETRY
  0x0c, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 1,  // IMM_RETRY: RETRY
  0x0d, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 4,  // REQUEUE, no room in the driver: WAIT
  0x0e, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 5,  // TRANSPORT_DISRUPTED: FAILED
  0x0f, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 5,  // TRANSPORT_FAILFAST: FAILED
  0x10, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 13, // TARGET_FAILURE, permanent on every path: ANSWER
  0x11, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 15, // NEXUS_FAILURE, reservation conflict: PROTECTED
  0x12, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 16, // ALLOC_FAILURE, thin provisioning: SPACE
  0x13, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 13, // MEDIUM_ERROR: ANSWER
  0x14, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 5,  // TRANSPORT_MARGINAL: FAILED
  // Driver status (8 only says that there is sense data).
  0x00, 0x06, 0xfe, 0xfe, 0xfe, 0xfe, 5,  // TIMEOUT: FAILED
  0x00, 0x01, 0xfe, 0xfe, 0xfe, 0xfe, 4,  // BUSY: WAIT
  // CHECK CONDITION with NOT READY (2):
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x00, 4,  // not ready, cause not reportable: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x01, 4,  // in process of becoming ready: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x0a, 7,  // asymmetric access state transition (SPC-4 5.15.2): ALUA
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x0b, 7,  // target port in standby state: ALUA
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x0c, 7,  // target port in unavailable state: ALUA
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x12, 7,  // offline: ALUA
  // The unit itself is busy with something that ends, by whatever path one asks: no path is to be blamed for it.
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x04, 4,  // format in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x05, 4,  // rebuild in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x06, 4,  // recalculation in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x07, 4,  // operation in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x08, 4,  // long write in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x09, 4,  // self-test in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x11, 4,  // notify (enable spinup) required: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x14, 4,  // space allocation in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x1a, 4,  // START STOP UNIT in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x1b, 4,  // sanitize in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x1d, 4,  // configuration in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x24, 4,  // depopulation in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x25, 4,  // depopulation restoration in progress: WAIT
  0x00, 0xfe, 0x02, 0x02, 0xfe, 0xfe, 5,  // any other: FAILED
  // ILLEGAL REQUEST (5):
  0x00, 0xfe, 0x02, 0x05, 0x25, 0xfe, 10, // logical unit not supported: GONE
  0x00, 0xfe, 0x02, 0x05, 0x21, 0x00, 17, // logical block address out of range: PAST_END
  0x00, 0xfe, 0x02, 0x05, 0x20, 0xfe, 14, // invalid command operation code: UNSUPPORTED
  0x00, 0xfe, 0x02, 0x05, 0x24, 0xfe, 14, // invalid field in CDB: UNSUPPORTED
  0x00, 0xfe, 0x02, 0x05, 0x26, 0xfe, 14, // invalid field in parameter list: UNSUPPORTED
  0x00, 0xfe, 0x02, 0x05, 0xfe, 0xfe, 13, // any other: ANSWER
  // UNIT ATTENTION (6): the command was not carried out; the condition is told once (SAM-5 5.14).
  0x00, 0xfe, 0x02, 0x06, 0x2a, 0x06, 8,  // asymmetric access state changed: ALUA_CHANGED
  0x00, 0xfe, 0x02, 0x06, 0x2a, 0x07, 8,  // implicit state transition failed: ALUA_CHANGED
  0x00, 0xfe, 0x02, 0x06, 0x2a, 0x09, 11, // capacity data has changed: CAPACITY
  0x00, 0xfe, 0x02, 0x06, 0x2a, 0xfe, 12, // parameters, mode parameters, reservations, ... changed: PARAMETERS
  0x00, 0xfe, 0x02, 0x06, 0x28, 0xfe, 9,  // not ready to ready change, medium may have changed: INVENTORY
  0x00, 0xfe, 0x02, 0x06, 0x3f, 0x03, 9,  // INQUIRY data has changed: INVENTORY
  0x00, 0xfe, 0x02, 0x06, 0x3f, 0x05, 9,  // device identifier changed: INVENTORY
  0x00, 0xfe, 0x02, 0x06, 0x3f, 0x0e, 9,  // reported LUNs data has changed: INVENTORY
  0x00, 0xfe, 0x02, 0x06, 0x29, 0x00, 18, // power on or reset, nobody says which: NEXUS
  0x00, 0xfe, 0x02, 0x06, 0x29, 0x01, 18, // power on: NEXUS
  0x00, 0xfe, 0x02, 0x06, 0x29, 0x04, 18, // device internal reset: NEXUS
  0x00, 0xfe, 0x02, 0x06, 0x29, 0x07, 18, // I_T nexus loss: NEXUS
  0x00, 0xfe, 0x02, 0x06, 0x38, 0x07, 19, // thin provisioning soft threshold reached: THRESHOLD
  0x00, 0xfe, 0x02, 0x06, 0xfe, 0xfe, 2,  // reset by somebody, commands cleared, ...: RETRY_SOFT
  // The other keys:
  0x00, 0xfe, 0x02, 0x00, 0xfe, 0xfe, 1,  // NO SENSE says nothing: RETRY
  0x00, 0x00, 0x02, 0x01, 0xfe, 0xfe, 0,  // RECOVERED ERROR: GOOD
  0x00, 0x08, 0x02, 0x01, 0xfe, 0xfe, 0,  // the same
  0x00, 0xfe, 0x02, 0x01, 0xfe, 0xfe, 1,  // where the driver has an error of its own: RETRY
  0x00, 0xfe, 0x02, 0x03, 0xfe, 0xfe, 13, // MEDIUM ERROR: ANSWER
  0x00, 0xfe, 0x02, 0x04, 0xfe, 0xfe, 6,  // HARDWARE ERROR, perhaps only of this controller: ELSEWHERE
  0x00, 0xfe, 0x02, 0x07, 0x27, 0x07, 16, // space allocation failed write protect: SPACE
  0x00, 0xfe, 0x02, 0x07, 0xfe, 0xfe, 15, // DATA PROTECT: PROTECTED
  0x00, 0xfe, 0x02, 0x08, 0xfe, 0xfe, 13, // BLANK CHECK: ANSWER
  0x00, 0xfe, 0x02, 0x09, 0xfe, 0xfe, 6,  // VENDOR SPECIFIC: ELSEWHERE
  0x00, 0xfe, 0x02, 0x0a, 0xfe, 0xfe, 13, // COPY ABORTED: ANSWER
  0x00, 0xfe, 0x02, 0x0b, 0x10, 0xfe, 6,  // ABORTED COMMAND, protection information is wrong: ELSEWHERE
  0x00, 0xfe, 0x02, 0x0b, 0xfe, 0xfe, 1,  // ABORTED COMMAND: RETRY
  0x00, 0xfe, 0x02, 0x0d, 0xfe, 0xfe, 13, // VOLUME OVERFLOW: ANSWER
  0x00, 0xfe, 0x02, 0x0e, 0xfe, 0xfe, 13, // MISCOMPARE: ANSWER
  0x00, 0xfe, 0x02, 0xff, 0xfe, 0xfe, 1,  // no usable sense data: RETRY
  0x00, 0xfe, 0x02, 0xfe, 0xfe, 0xfe, 13, // reserved keys: ANSWER
  // Status codes (SAM-5 5.3.1). Beside an error of the driver's own (SOFT 2, MEDIA 3, ERROR 4, INVALID 5, HARD 7; kernels
  // before 5.14) nobody has sent them:
  0x00, 0x00, 0x00, 0xfe, 0xfe, 0xfe, 0,  // GOOD
  0x00, 0x08, 0x00, 0xfe, 0xfe, 0xfe, 0,  // GOOD
  0x00, 0x00, 0x04, 0xfe, 0xfe, 0xfe, 0,  // CONDITION MET: GOOD
  0x00, 0x08, 0x04, 0xfe, 0xfe, 0xfe, 0,  // CONDITION MET: GOOD
  0x00, 0xfe, 0x08, 0xfe, 0xfe, 0xfe, 3,  // BUSY
  0x00, 0xfe, 0x18, 0xfe, 0xfe, 0xfe, 15, // RESERVATION CONFLICT: PROTECTED
  0x00, 0xfe, 0x28, 0xfe, 0xfe, 0xfe, 3,  // TASK SET FULL: BUSY
  0x00, 0xfe, 0x30, 0xfe, 0xfe, 0xfe, 4,  // ACA ACTIVE: WAIT
  0x00, 0xfe, 0x40, 0xfe, 0xfe, 0xfe, 2,  // TASK ABORTED, by another initiator: RETRY_SOFT
  // What nobody has defined.
  0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 1,  // RETRY
]);

function matches(cell: u8, value: u32): bool {
  return cell === ANY || <u32>cell === value;
}

/** Classifies an outcome; `sense` is what `readSense` answered, KEY_ABSENT without CHECK CONDITION. */
export function outcomeOf(hostStatus: u32, driverStatus: u32, status: u32, sense: u32): u8 {
  if (hostStatus === HOST_OK && status === STATUS_CHECK_CONDITION && (sense & SENSE_DEFERRED) !== 0)
    return OUTCOME_RETRY_SOFT;
  const driver = driverOf(driverStatus);
  const key = keyOf(sense);
  const asc = ascOf(sense);
  const ascq = ascqOf(sense);
  let row = rows;
  while (
    !matches(load<u8>(row), hostStatus) ||
    !matches(load<u8>(row, 1), driver) ||
    !matches(load<u8>(row, 2), status) ||
    !matches(load<u8>(row, 3), key) ||
    !matches(load<u8>(row, 4), asc) ||
    !matches(load<u8>(row, 5), ascq)
  ) {
    row += ROW_BYTES;
  }
  return load<u8>(row, 6);
}

/** The same, from raw sense bytes. */
export function outcomeOfBytes(hostStatus: u32, driverStatus: u32, status: u32, address: usize, bytes: u32): u8 {
  return outcomeOf(
    hostStatus,
    driverStatus,
    status,
    status === STATUS_CHECK_CONDITION ? readSense(address, bytes) : KEY_ABSENT,
  );
}
