// The SCSI devices of the machine: which could be used, and what keeps the others from it.

import { accessSync, closeSync, constants, openSync } from "node:fs";
import { basename, join } from "node:path";

import { KERNEL_SOURCES, whyTaken } from "../../discovery/in-use.ts";
import { listSgDevices, readText, type SgDevice } from "../../discovery/sysfs.ts";
import { error, note, ok, warning, type Finding, type Machine } from "./finding.ts";

/** Peripheral device type of a disk (SPC-4 6.6.2). */
const TYPE_DISK = 0;

function accessProblem(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code ?? "unknown";
  }
}

/** Whether somebody has the block device for himself. */
function isHeld(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK));
    return false;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EBUSY";
  }
}

function checkDevice(device: SgDevice, machine: Machine): Finding {
  const name = `${device.device} (${device.number}, ${`${device.vendor} ${device.product}`.trim()})`;
  const problem = accessProblem(join(machine.dev, basename(device.device)));
  if (problem === "ENOENT") {
    return error("devices", `${name} has no device file`, "mount devtmpfs on /dev, or let udev make it");
  }
  if (problem !== undefined) {
    return error(
      "devices",
      `${name} cannot be opened (${problem})`,
      "run as root, or give the daemon's user the device",
    );
  }
  if (device.state !== "running") {
    return warning(
      "devices",
      `${name} is ${device.state}`,
      `check the path; then echo running > /sys/class/scsi_device/${device.number}/device/state`,
    );
  }
  const { blockDevice } = device;
  const sources = { ...KERNEL_SOURCES, sysfs: machine.sys, mounts: join(machine.proc, "self/mounts") };
  const inUse = blockDevice === null ? null : whyTaken(blockDevice, sources);
  if (inUse !== null) return note("devices", `${name} is not free: ${inUse}`);
  if (blockDevice !== null && isHeld(`/dev/${blockDevice}`)) {
    return note(
      "devices",
      `${name}: /dev/${blockDevice} is held exclusively, as pathmanagerd holds those of its paths`,
    );
  }
  return ok("devices", `${name} is free`);
}

/** Every SCSI disk. */
export function checkDevices(machine: Machine): Finding[] {
  const disks = listSgDevices(machine.sys).filter((device) => device.type === TYPE_DISK);
  if (disks.length === 0) {
    return [
      note(
        "devices",
        "there is no SCSI disk with a /dev/sg device",
        "without devices in the configuration the daemon uses an emulated array, for first steps",
      ),
    ];
  }
  return disks.map((device) => checkDevice(device, machine));
}

/** Largest piece of a request (PIECE_BYTES_MAX): a device that takes less costs more commands. */
const PIECE_BYTES = 1_048_576;

/** Limits of the sg driver and of the devices behind it. */
export function checkSgLimits(machine: Machine): Finding[] {
  const findings: Finding[] = [];
  const version = readText(join(machine.proc, "scsi/sg/version"));
  const major = version === null ? 3 : Math.floor(Number(version.split(/\s+/)[0]) / 10_000);
  if (major < 3)
    findings.push(error("sg", `sg driver version ${version}: the v3 interface is missing`, "use a newer kernel"));
  for (const device of listSgDevices(machine.sys)) {
    const most = device.transferBytesMax;
    if (device.type !== TYPE_DISK || most === null || most >= PIECE_BYTES) continue;
    findings.push(note("sg limits", `${device.device} takes ${most / 1024} KiB a command: larger requests are split`));
  }
  return findings;
}
