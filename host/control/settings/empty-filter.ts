// Detects a configuration that selects no device: from its text where that is enough, else after a scan. Serving nothing is
// allowed, but nobody should have to guess that it is so.

import { matchesAnything } from "../../discovery/select.ts";
import { isEmulated, type Configuration } from "../schemas/configuration-schema.ts";
import type { DeviceSelector } from "../schemas/configuration-schema.ts";

const REMEDY = "name the devices to use in devices";

/** Whether a selector matches every device. */
function takesAll({ except = [], device, path, ...patterns }: DeviceSelector): boolean {
  if (except.length > 0 || device !== undefined || path !== undefined) return false;
  return Object.values(patterns).every((pattern) => pattern === undefined || matchesAnything(pattern));
}

/** Why a configuration can never select a device, or null. */
export function whyNothingEver(configuration: Configuration): string | null {
  const { devices, exclude } = configuration;
  const emulated = isEmulated(configuration);
  if (!emulated && devices.length === 0) {
    return `devices names no device, so nothing is served; ${REMEDY}, or set emulated = true for the emulated array`;
  }
  const words = new Set(exclude.map((selector) => JSON.stringify(selector)));
  const isExcluded = (selector: DeviceSelector): boolean => words.has(JSON.stringify(selector));
  const excludesEach = devices !== "all" && devices.length > 0 && devices.every(isExcluded);
  if (!excludesEach && !exclude.some(takesAll)) return null;
  return "exclude takes away all that devices names, so nothing is served; remove what is too wide there";
}

/** The same for one machine with `disks` SCSI disks, none of which was taken or refused. */
export function whyNothingHere(configuration: Configuration, disks: number): string | null {
  const ever = whyNothingEver(configuration);
  if (ever !== null || disks === 0 || isEmulated(configuration)) return ever;
  const which = disks === 1 ? "the only SCSI disk" : `the ${disks} SCSI disks`;
  return `devices and exclude leave nothing of ${which} of this machine, so nothing is served; ${REMEDY}`;
}
