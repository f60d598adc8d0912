// The systems to be compared: each turns the array's paths into one block device.

import { MULTIPATH_DEVICE, startMultipath, type Selector } from "./multipath.ts";
import { Daemon, mustPathctl } from "./pathmanager.ts";

const NBD_DEVICE = "/dev/nbd0";

const multipath = (selector: Selector) => async (): Promise<string> => {
  await startMultipath(4, selector);
  return MULTIPATH_DEVICE;
};

const pathmanager = (policy: string) => async (): Promise<string> => {
  await Daemon.start(`devices = "all"\npolicy = "${policy}"\n`);
  mustPathctl("attach", "#0", NBD_DEVICE);
  return NBD_DEVICE;
};

/** By name: sets up the system and returns its block device. */
export const SYSTEMS: Readonly<Record<string, () => Promise<string>>> = {
  "dm-multipath service-time": multipath("service-time"),
  "dm-multipath queue-length": multipath("queue-length"),
  "dm-multipath round-robin": multipath("round-robin"),
  "PathManager adaptive": pathmanager("adaptive"),
  "PathManager least-in-flight": pathmanager("least-in-flight"),
  "PathManager round-robin": pathmanager("round-robin"),
};
