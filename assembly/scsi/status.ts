// What a host reports about a command besides the device's sense data: the device's status (SAM-5 5.3.1), and the host and driver
// status of the Linux SCSI midlayer (DID_* and DRIVER_* in include/scsi/).

export const STATUS_GOOD: u8 = 0x00;
export const STATUS_CHECK_CONDITION: u8 = 0x02;

export const HOST_OK: u16 = 0x00;
/** The host's driver has given up the command. */
const HOST_TIME_OUT: u16 = 0x03;

/** The driver's own status is in these bits; those above suggest how to proceed, which is ignored. */
const DRIVER_MASK: u32 = 0x0f;
const DRIVER_OK: u32 = 0;
const DRIVER_TIMEOUT: u32 = 6;
/** Says only that there is sense data. */
const DRIVER_SENSE: u32 = 8;

/** The driver's status without the suggestion. */
export function driverOf(driverStatus: u32): u32 {
  return driverStatus & DRIVER_MASK;
}

/** Whether the driver has nothing to report, not even a suggestion. */
export function driverSaysNothing(driverStatus: u32): bool {
  return (driverStatus & 0xff & ~DRIVER_SENSE) === DRIVER_OK;
}

/** Whether the driver reports no error of its own. */
export function driverIsWell(driverStatus: u32): bool {
  return (driverStatus & DRIVER_MASK & ~DRIVER_SENSE) === DRIVER_OK;
}

/** Whether the host's driver, or the driver below it, gave a command up without an answer. */
export function timedOut(hostStatus: u32, driverStatus: u32): bool {
  return hostStatus === HOST_TIME_OUT || (hostStatus === HOST_OK && driverOf(driverStatus) === DRIVER_TIMEOUT);
}
