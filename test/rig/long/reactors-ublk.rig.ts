// Several reactors with units attached by ublk: the driver keeps the requests of a reactor that ends until the next one serves them.

import { severalReactors } from "../lib/several-reactors.ts";
import type { Rig } from "../lib/test.ts";

export const rig: Rig = { kernel: "ublk", array: "scsi_debug", units: 2, paths: 2, unitMib: 16, timeLimitS: 7200 };

severalReactors("ublk", ["trap", "kill"]);
