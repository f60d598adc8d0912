// SCSI commands to `/dev/sgN`, one-shot, on a pool thread of the native addon.

import { scsiCommand } from "../native/index.ts";
import { DIRECTION_IN, DIRECTION_NONE } from "../abi.ts";
import type { ScsiTransport } from "./transport.ts";

export const nativeTransport: ScsiTransport = {
  command: (device, cdb, bytes, timeoutMs) =>
    scsiCommand(device, cdb, bytes === 0 ? DIRECTION_NONE : DIRECTION_IN, bytes, timeoutMs),
};
