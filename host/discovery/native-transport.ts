// One-shot SCSI commands to `/dev/sgN`, on a pool thread of the native addon.

import { scsiCommand } from "../native/index.ts";
import { DIRECTION_IN, DIRECTION_NONE } from "../abi.ts";
import type { ScsiResult, ScsiTransport } from "./transport.ts";

/** Driver status (DRIVER_*): none, or that there is sense data. Anything else is an error of the host. */
const DRIVER_STATUSES = new Set([0, 8]);
const DRIVER_STATUS_BITS = 0x0f;
/** DID_ERROR: an error inside the host. */
const HOST_STATUS_ERROR = 0x07;

/** The credible part of a result: a status that comes with a driver error was not sent by any device. */
export function believed<T extends ScsiResult & { readonly driverStatus: number }>(result: T): T {
  const isUnverified = result.hostStatus === 0 && !DRIVER_STATUSES.has(result.driverStatus & DRIVER_STATUS_BITS);
  return isUnverified ? { ...result, hostStatus: HOST_STATUS_ERROR } : result;
}

export const nativeTransport: ScsiTransport = {
  command: async (device, cdb, bytes, timeoutMs) =>
    believed(await scsiCommand(device, cdb, bytes === 0 ? DIRECTION_NONE : DIRECTION_IN, bytes, timeoutMs)),
};
