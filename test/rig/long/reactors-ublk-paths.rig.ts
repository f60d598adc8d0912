// Several reactors with units attached by ublk: paths die, and a reactor stands still.

import { severalReactors } from "../lib/several-reactors.ts";
import type { Rig } from "../lib/test.ts";

export const rig: Rig = { kernel: "ublk", array: "scsi_debug", units: 2, paths: 2, unitMib: 16, timeLimitS: 7200 };

severalReactors("ublk", ["path", "standstill"]);
