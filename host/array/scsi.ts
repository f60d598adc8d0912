// Names for the numbers of SPC-4, SBC-3 and SAM-5 that the emulated array uses.

export const TEST_UNIT_READY = 0x00;
export const REQUEST_SENSE = 0x03;
export const READ_6 = 0x08;
export const WRITE_6 = 0x0a;
export const INQUIRY = 0x12;
export const RESERVE_6 = 0x16;
export const RELEASE_6 = 0x17;
export const MODE_SENSE_6 = 0x1a;
export const READ_CAPACITY_10 = 0x25;
export const READ_10 = 0x28;
export const WRITE_10 = 0x2a;
export const WRITE_AND_VERIFY_10 = 0x2e;
export const VERIFY_10 = 0x2f;
export const SYNCHRONIZE_CACHE_10 = 0x35;
export const WRITE_SAME_10 = 0x41;
export const UNMAP = 0x42;
export const RESERVE_10 = 0x56;
export const RELEASE_10 = 0x57;
export const MODE_SENSE_10 = 0x5a;
export const PERSISTENT_RESERVE_IN = 0x5e;
export const PERSISTENT_RESERVE_OUT = 0x5f;
export const READ_16 = 0x88;
export const COMPARE_AND_WRITE = 0x89;
export const WRITE_16 = 0x8a;
export const ORWRITE_16 = 0x8b;
export const WRITE_AND_VERIFY_16 = 0x8e;
export const VERIFY_16 = 0x8f;
export const SYNCHRONIZE_CACHE_16 = 0x91;
export const WRITE_SAME_16 = 0x93;
export const SERVICE_ACTION_IN_16 = 0x9e;
export const REPORT_LUNS = 0xa0;
export const MAINTENANCE_IN = 0xa3;
export const MAINTENANCE_OUT = 0xa4;
export const READ_12 = 0xa8;
export const WRITE_12 = 0xaa;
export const WRITE_AND_VERIFY_12 = 0xae;
export const VERIFY_12 = 0xaf;

/** Service action of SERVICE ACTION IN (16). */
export const READ_CAPACITY_16 = 0x10;
export const GET_LBA_STATUS = 0x12;
/** Service action of MAINTENANCE IN and MAINTENANCE OUT: REPORT and SET TARGET PORT GROUPS. */
export const TARGET_PORT_GROUPS = 0x0a;
/** Service action of MAINTENANCE IN. */
export const REPORT_OPERATION_CODES = 0x0c;

export const STATUS_GOOD = 0x00;
export const STATUS_CHECK_CONDITION = 0x02;
export const STATUS_BUSY = 0x08;
export const STATUS_RESERVATION_CONFLICT = 0x18;
/** Reported for commands that another nexus has aborted (the TAS bit of the control mode page). */
export const STATUS_TASK_ABORTED = 0x40;
export const STATUS_TASK_SET_FULL = 0x28;

export const KEY_NO_SENSE = 0x0;
export const KEY_NOT_READY = 0x2;
export const KEY_MEDIUM_ERROR = 0x3;
export const KEY_ILLEGAL_REQUEST = 0x5;
export const KEY_UNIT_ATTENTION = 0x6;
export const KEY_DATA_PROTECT = 0x7;
export const KEY_ABORTED_COMMAND = 0xb;
export const KEY_MISCOMPARE = 0xe;

// Additional sense codes with their qualifiers, as asc << 8 | ascq.
export const ASC_NONE = 0x0000;
export const ASC_ALUA_TRANSITION = 0x040a;
export const ASC_ALUA_STANDBY = 0x040b;
export const ASC_ALUA_UNAVAILABLE = 0x040c;
export const ASC_OFFLINE = 0x0412;
export const ASC_WRITE_ERROR = 0x0c00;
/** INVALID FIELD IN COMMAND INFORMATION UNIT: the transport announces less than a block of data. */
export const ASC_INVALID_FIELD_IN_UNIT = 0x0e03;
export const ASC_UNRECOVERED_READ = 0x1100;
export const ASC_PARAMETER_LIST_LENGTH = 0x1a00;
export const ASC_MISCOMPARE = 0x1d00;
export const ASC_INVALID_OPCODE = 0x2000;
export const ASC_LBA_OUT_OF_RANGE = 0x2100;
export const ASC_INVALID_FIELD_IN_CDB = 0x2400;
export const ASC_UNIT_NOT_SUPPORTED = 0x2500;
export const ASC_INVALID_FIELD_IN_LIST = 0x2600;
export const ASC_INVALID_RELEASE = 0x2604;
export const ASC_WRITE_PROTECTED = 0x2700;
export const ASC_POWER_ON = 0x2900;
export const ASC_RESET = 0x2903;
export const ASC_NEXUS_LOSS = 0x2907;
export const ASC_RESERVATIONS_PREEMPTED = 0x2a03;
export const ASC_RESERVATIONS_RELEASED = 0x2a04;
export const ASC_REGISTRATIONS_PREEMPTED = 0x2a05;
export const ASC_ALUA_CHANGED = 0x2a06;
export const ASC_CAPACITY_CHANGED = 0x2a09;
export const ASC_LUNS_CHANGED = 0x3f0e;

// Host status: DID_* of the Linux SCSI midlayer.
export const HOST_TIME_OUT = 0x03;
export const HOST_RESET = 0x08;
export const HOST_TRANSPORT_DISRUPTED = 0x0e;

/** Whether a command with this opcode writes user data to the medium. */
export function isMediumWrite(opcode: number): boolean {
  switch (opcode) {
    case WRITE_6:
    case WRITE_10:
    case WRITE_12:
    case WRITE_16:
    case WRITE_AND_VERIFY_10:
    case WRITE_AND_VERIFY_12:
    case WRITE_AND_VERIFY_16:
    case ORWRITE_16:
    case UNMAP:
    case WRITE_SAME_10:
    case WRITE_SAME_16:
    case COMPARE_AND_WRITE:
      return true;
    default:
      return false;
  }
}

/** READ in any of its lengths. */
export function isMediumRead(opcode: number): boolean {
  return opcode === READ_10 || opcode === READ_16 || opcode === READ_12 || opcode === READ_6;
}
