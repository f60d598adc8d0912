// What the outcome of a SCSI command means for the command, the path and the client: one table, first match wins.
//
// Sources: SAM-5 5.3.1 (status codes) and 5.14 (unit attentions); SPC-4 4.5 (sense keys, ASC/ASCQ in annex F); the
// host and driver status of the Linux SCSI midlayer (DID_* and DRIVER_* in include/scsi/).

import { KEY_ABSENT, SENSE_DEFERRED, ascOf, ascqOf, keyOf, readSense } from "./sense";
import { HOST_OK, STATUS_CHECK_CONDITION, driverOf } from "./status";

/** The device carried the command out. */
export const OUTCOME_GOOD: u8 = 0;
/** The same path again, a few times; if that does not help, the path has failed. */
export const OUTCOME_RETRY: u8 = 1;
/** The same path again, a few times; if that does not help, another path, without blame for this one. */
export const OUTCOME_RETRY_SOFT: u8 = 2;
/** The device is overloaded: another path or a pause; fewer commands at a time on this path. */
export const OUTCOME_BUSY: u8 = 3;
/** The device needs a moment: another path or a pause. */
export const OUTCOME_WAIT: u8 = 4;
/** The path has failed: another path. */
export const OUTCOME_FAILED: u8 = 5;
/** Another path may succeed; if none does, an error. The path is not blamed. */
export const OUTCOME_ELSEWHERE: u8 = 6;
/** The path's port group takes no I/O now: another path, and the port groups are read again. */
export const OUTCOME_ALUA: u8 = 7;
/** The port groups' states have changed: they are read again; the same path again. */
export const OUTCOME_ALUA_CHANGED: u8 = 8;
/** The path may lead to another logical unit now: no I/O before its identity is checked. */
export const OUTCOME_INVENTORY: u8 = 9;
/** There is no logical unit at the end of the path: it has failed, and its identity is checked before it is used again. */
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
/** The path, or the device, was away and may have come back as another unit. Its identity is checked; then as RETRY_SOFT. */
export const OUTCOME_NEXUS: u8 = 18;
/** A thin unit has reached its soft threshold: control is told; the same path again. */
export const OUTCOME_THRESHOLD: u8 = 19;
/** Number of outcomes. Their consequences are in meaning.ts. */
/** Refused for another host's reservation. The path works; no other path is asked. */
export const OUTCOME_CONFLICT: u8 = 20;
export const OUTCOME_COUNT: u32 = 21;

const ANY: u8 = 0xfe;
const ROW_BYTES: usize = 7;

// Columns: host status, driver status (low half), status, sense key, ASC, ASCQ, outcome.
// prettier-ignore
const rows: usize = memory.data<u8>([
  // Host status: what the host adapter's driver says (DID_*). Status and sense mean nothing then.
  0x01, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_FAILED,       // NO_CONNECT
  0x02, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_BUSY,         // BUS_BUSY
  0x03, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_FAILED,       // TIME_OUT
  0x04, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_FAILED,       // BAD_TARGET
  0x05, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY,        // ABORT, for some other reason
  0x06, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY,        // PARITY
  0x07, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY,        // ERROR inside the adapter or its driver
  0x08, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY_SOFT,   // RESET, not caused by this command; the path itself works
  0x09, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY,        // BAD_INTR
  0x0a, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY,        // PASSTHROUGH
  0x0b, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY,        // SOFT_ERROR, the driver asks for a retry
  0x0c, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY,        // IMM_RETRY
  0x0d, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_WAIT,         // REQUEUE, no room in the driver
  0x0e, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_FAILED,       // TRANSPORT_DISRUPTED
  0x0f, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_FAILED,       // TRANSPORT_FAILFAST
  0x10, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_ANSWER,       // TARGET_FAILURE, permanent on every path
  0x11, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_CONFLICT,     // NEXUS_FAILURE, reservation conflict
  0x12, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_SPACE,        // ALLOC_FAILURE, thin provisioning
  0x13, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_ANSWER,       // MEDIUM_ERROR
  0x14, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_FAILED,       // TRANSPORT_MARGINAL
  // Driver status (8 only means that there is sense data).
  0x00, 0x06, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_FAILED,       // TIMEOUT
  0x00, 0x01, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_WAIT,         // BUSY
  // CHECK CONDITION with NOT READY (2):
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x00, OUTCOME_WAIT,         // not ready, cause not reportable
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x01, OUTCOME_WAIT,         // in process of becoming ready
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x0a, OUTCOME_ALUA,         // asymmetric access state transition (SPC-4 5.15.2)
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x0b, OUTCOME_ALUA,         // target port in standby state
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x0c, OUTCOME_ALUA,         // target port in unavailable state
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x12, OUTCOME_ALUA,         // offline
  // The unit itself is temporarily busy, whatever the path: no path is blamed.
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x04, OUTCOME_WAIT,         // format in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x05, OUTCOME_WAIT,         // rebuild in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x06, OUTCOME_WAIT,         // recalculation in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x07, OUTCOME_WAIT,         // operation in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x08, OUTCOME_WAIT,         // long write in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x09, OUTCOME_WAIT,         // self-test in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x11, OUTCOME_WAIT,         // notify (enable spinup) required
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x14, OUTCOME_WAIT,         // space allocation in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x1a, OUTCOME_WAIT,         // START STOP UNIT in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x1b, OUTCOME_WAIT,         // sanitize in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x1d, OUTCOME_WAIT,         // configuration in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x24, OUTCOME_WAIT,         // depopulation in progress
  0x00, 0xfe, 0x02, 0x02, 0x04, 0x25, OUTCOME_WAIT,         // depopulation restoration in progress
  0x00, 0xfe, 0x02, 0x02, 0xfe, 0xfe, OUTCOME_FAILED,       // any other
  // ILLEGAL REQUEST (5):
  0x00, 0xfe, 0x02, 0x05, 0x25, 0xfe, OUTCOME_GONE,         // logical unit not supported
  0x00, 0xfe, 0x02, 0x05, 0x21, 0x00, OUTCOME_PAST_END,     // logical block address out of range
  0x00, 0xfe, 0x02, 0x05, 0x20, 0xfe, OUTCOME_UNSUPPORTED,  // invalid command operation code
  0x00, 0xfe, 0x02, 0x05, 0x24, 0xfe, OUTCOME_UNSUPPORTED,  // invalid field in CDB
  0x00, 0xfe, 0x02, 0x05, 0x26, 0xfe, OUTCOME_UNSUPPORTED,  // invalid field in parameter list
  0x00, 0xfe, 0x02, 0x05, 0xfe, 0xfe, OUTCOME_ANSWER,       // any other
  // UNIT ATTENTION (6): the command was not carried out; the condition is reported once (SAM-5 5.14).
  0x00, 0xfe, 0x02, 0x06, 0x2a, 0x06, OUTCOME_ALUA_CHANGED, // asymmetric access state changed
  0x00, 0xfe, 0x02, 0x06, 0x2a, 0x07, OUTCOME_ALUA_CHANGED, // implicit state transition failed
  0x00, 0xfe, 0x02, 0x06, 0x2a, 0x09, OUTCOME_CAPACITY,     // capacity data has changed
  0x00, 0xfe, 0x02, 0x06, 0x2a, 0xfe, OUTCOME_PARAMETERS,   // parameters, mode parameters, reservations, ... changed
  0x00, 0xfe, 0x02, 0x06, 0x28, 0xfe, OUTCOME_INVENTORY,    // not ready to ready change, medium may have changed
  0x00, 0xfe, 0x02, 0x06, 0x3f, 0x03, OUTCOME_INVENTORY,    // INQUIRY data has changed
  0x00, 0xfe, 0x02, 0x06, 0x3f, 0x05, OUTCOME_INVENTORY,    // device identifier changed
  0x00, 0xfe, 0x02, 0x06, 0x3f, 0x0e, OUTCOME_INVENTORY,    // reported LUNs data has changed
  0x00, 0xfe, 0x02, 0x06, 0x29, 0x00, OUTCOME_NEXUS,        // power on or reset, cause not specified
  0x00, 0xfe, 0x02, 0x06, 0x29, 0x01, OUTCOME_NEXUS,        // power on
  0x00, 0xfe, 0x02, 0x06, 0x29, 0x04, OUTCOME_NEXUS,        // device internal reset
  0x00, 0xfe, 0x02, 0x06, 0x29, 0x07, OUTCOME_NEXUS,        // I_T nexus loss
  0x00, 0xfe, 0x02, 0x06, 0x38, 0x07, OUTCOME_THRESHOLD,    // thin provisioning soft threshold reached
  0x00, 0xfe, 0x02, 0x06, 0xfe, 0xfe, OUTCOME_RETRY_SOFT,   // other resets, commands cleared, ...
  // The other keys:
  0x00, 0xfe, 0x02, 0x00, 0xfe, 0xfe, OUTCOME_RETRY,        // NO SENSE gives no reason
  0x00, 0x00, 0x02, 0x01, 0xfe, 0xfe, OUTCOME_GOOD,         // RECOVERED ERROR
  0x00, 0x08, 0x02, 0x01, 0xfe, 0xfe, OUTCOME_GOOD,         // the same
  0x00, 0xfe, 0x02, 0x01, 0xfe, 0xfe, OUTCOME_RETRY,        // with an error of the driver's own
  0x00, 0xfe, 0x02, 0x03, 0xfe, 0xfe, OUTCOME_ANSWER,       // MEDIUM ERROR
  0x00, 0xfe, 0x02, 0x04, 0xfe, 0xfe, OUTCOME_ELSEWHERE,    // HARDWARE ERROR, perhaps only of this controller
  0x00, 0xfe, 0x02, 0x07, 0x27, 0x07, OUTCOME_SPACE,        // space allocation failed write protect
  0x00, 0xfe, 0x02, 0x07, 0xfe, 0xfe, OUTCOME_PROTECTED,    // DATA PROTECT
  0x00, 0xfe, 0x02, 0x08, 0xfe, 0xfe, OUTCOME_ANSWER,       // BLANK CHECK
  0x00, 0xfe, 0x02, 0x09, 0xfe, 0xfe, OUTCOME_ELSEWHERE,    // VENDOR SPECIFIC
  0x00, 0xfe, 0x02, 0x0a, 0xfe, 0xfe, OUTCOME_ANSWER,       // COPY ABORTED
  0x00, 0xfe, 0x02, 0x0b, 0x10, 0xfe, OUTCOME_ELSEWHERE,    // ABORTED COMMAND, protection information is wrong
  0x00, 0xfe, 0x02, 0x0b, 0xfe, 0xfe, OUTCOME_RETRY,        // ABORTED COMMAND
  0x00, 0xfe, 0x02, 0x0d, 0xfe, 0xfe, OUTCOME_ANSWER,       // VOLUME OVERFLOW
  0x00, 0xfe, 0x02, 0x0e, 0xfe, 0xfe, OUTCOME_ANSWER,       // MISCOMPARE
  0x00, 0xfe, 0x02, 0xff, 0xfe, 0xfe, OUTCOME_RETRY,        // no usable sense data
  0x00, 0xfe, 0x02, 0xfe, 0xfe, 0xfe, OUTCOME_ANSWER,       // reserved keys
  // Status codes (SAM-5 5.3.1). They are not valid beside an error of the driver's own (SOFT 2, MEDIA 3, ERROR 4, INVALID 5,
  // HARD 7; kernels before 5.14):
  0x00, 0x00, 0x00, 0xfe, 0xfe, 0xfe, OUTCOME_GOOD,         // GOOD
  0x00, 0x08, 0x00, 0xfe, 0xfe, 0xfe, OUTCOME_GOOD,         // GOOD
  0x00, 0x00, 0x04, 0xfe, 0xfe, 0xfe, OUTCOME_GOOD,         // CONDITION MET
  0x00, 0x08, 0x04, 0xfe, 0xfe, 0xfe, OUTCOME_GOOD,         // CONDITION MET
  0x00, 0xfe, 0x08, 0xfe, 0xfe, 0xfe, OUTCOME_BUSY,         // BUSY
  0x00, 0xfe, 0x18, 0xfe, 0xfe, 0xfe, OUTCOME_CONFLICT,     // RESERVATION CONFLICT
  0x00, 0xfe, 0x28, 0xfe, 0xfe, 0xfe, OUTCOME_BUSY,         // TASK SET FULL
  0x00, 0xfe, 0x30, 0xfe, 0xfe, 0xfe, OUTCOME_WAIT,         // ACA ACTIVE
  0x00, 0xfe, 0x40, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY_SOFT,   // TASK ABORTED, by another initiator
  // Undefined outcomes.
  0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, OUTCOME_RETRY,        // RETRY
]);

function matches(cell: u8, value: u32): bool {
  return cell === ANY || <u32>cell === value;
}

/** Classifies an outcome; `sense` is the result of `readSense`, KEY_ABSENT without CHECK CONDITION. */
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
