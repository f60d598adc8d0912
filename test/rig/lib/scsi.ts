// The guest's SCSI devices, from sysfs.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readText, writeText } from "./files.ts";

const DEVICES = "/sys/bus/scsi/devices";

/** One SCSI device: a path to a logical unit. */
export interface ScsiDevice {
  /** host:channel:target:lun */
  readonly pathNumber: string;
  readonly host: number;
  readonly target: number;
  readonly lun: number;
  /** "/dev/sg3" */
  readonly sg: string;
  /** "/dev/sdb", if the disk driver is bound to it. */
  readonly sd: string | undefined;
  readonly vendor: string;
  readonly model: string;
}

function nameIn(folder: string): string | undefined {
  return existsSync(folder) ? readdirSync(folder)[0] : undefined;
}

function deviceOf(pathNumber: string): ScsiDevice | undefined {
  const folder = join(DEVICES, pathNumber);
  const sg = nameIn(join(folder, "scsi_generic"));
  if (sg === undefined) return undefined;
  const sd = nameIn(join(folder, "block"));
  const [host = 0, , target = 0, lun = 0] = pathNumber.split(":").map(Number);
  return {
    pathNumber,
    host,
    target,
    lun,
    sg: `/dev/${sg}`,
    sd: sd === undefined ? undefined : `/dev/${sd}`,
    vendor: readText(join(folder, "vendor")),
    model: readText(join(folder, "model")),
  };
}

/** Every SCSI device that has an sg node, sorted by host, target and LUN. */
export function scsiDevices(): readonly ScsiDevice[] {
  if (!existsSync(DEVICES)) return [];
  return readdirSync(DEVICES)
    .filter((name) => /^\d+:\d+:\d+:\d+$/.test(name))
    .flatMap((name) => deviceOf(name) ?? [])
    .toSorted((a, b) => a.host - b.host || a.target - b.target || a.lun - b.lun);
}

/** Removes a device, as an administrator does before pulling a disk. */
export function deleteDevice(pathNumber: string): void {
  writeText(join(DEVICES, pathNumber, "delete"), 1);
}
