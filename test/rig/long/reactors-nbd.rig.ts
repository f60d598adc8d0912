// Several reactors with units attached by nbd: connections of a reactor that ends are made anew by the next one.

import { severalReactors } from "../lib/several-reactors.ts";
import type { Rig } from "../lib/test.ts";

export const rig: Rig = { array: "scsi_debug", units: 2, paths: 2, unitMib: 16, timeLimitS: 7200 };

severalReactors("nbd", ["trap", "kill", "path", "standstill"]);
