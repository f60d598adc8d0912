// The virtual machine itself, and what the ublk front end relies on there: a kernel with the driver, sg paths of an array.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { run } from "../lib/command.ts";
import { ScsiDebug } from "../lib/scsi-debug.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { kernel: "ublk", array: "scsi_debug", units: 1, paths: 4, timeLimitS: 300 };

test("the guest has four paths to a unit, and a kernel with ublk", () => {
  assert.equal(new ScsiDebug().devices(0).length, 4);
  run("modprobe", "ublk_drv");
  assert.ok(existsSync("/dev/ublk-control"), "the driver offers its control device");
});
