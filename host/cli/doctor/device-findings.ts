// The SCSI devices of the machine: which are usable, and why the others are not.

import { accessSync, closeSync, constants, openSync } from "node:fs";
import { basename, join } from "node:path";

import { whyNotOpen } from "../../discovery/in-use.ts";
import { listSgDevices, readText, type SgDevice } from "../../discovery/sysfs.ts";
import { heldByAnother, Uses } from "../../discovery/uses.ts";
import { error, note, ok, warning, type Finding, type Machine } from "./finding.ts";
import { counted } from "../../wording.ts";

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

/** Whether another process has the block device open exclusively. */
function isHeld(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK));
    return false;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EBUSY";
  }
}

/** The first device in use of each unit, keyed by the kernel's identifier of the unit, with the reason. */
function usedUnits(disks: readonly SgDevice[], machine: Machine, uses: Uses): Map<string, string> {
  const used = new Map<string, string>();
  for (const disk of disks) {
    const reason = disk.blockDevice === null ? null : uses.why(disk.blockDevice);
    const unit = unitName(disk, machine);
    if (reason !== null && unit !== null && !used.has(unit)) used.set(unit, `${disk.device}, is in use: ${reason}`);
  }
  return used;
}

const unitName = ({ number }: SgDevice, { sys }: Machine): string | null =>
  readText(join(sys, "class/scsi_device", number, "device/wwid"));

function checkDevice(device: SgDevice, machine: Machine, uses: Uses, used: ReadonlyMap<string, string>): Finding {
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
  const inUse = blockDevice === null ? null : uses.why(blockDevice);
  if (inUse !== null) return note("devices", `${name} is not free: ${inUse}`);
  const otherPath = used.get(unitName(device, machine) ?? "");
  if (otherPath !== undefined) {
    const text = `${name} is not free: another path of its unit, ${otherPath}`;
    return warning("devices", text, "end that use; nobody may use the unit over one path beside all its others");
  }
  const busy = whyNotOpen(device.number, machine.sys);
  if (busy !== null)
    return warning("devices", `${name}: ${busy}`, "wait until the kernel has repaired what it can; dmesg tells");
  if (blockDevice !== null && isHeld(`/dev/${blockDevice}`)) {
    const who = heldByAnother(blockDevice, { sysfs: machine.sys, proc: machine.proc });
    return note("devices", `${name}: ${who} (pathmanagerd holds those of its paths)`);
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
        "without a configuration file the daemon uses an emulated array, for first steps",
      ),
    ];
  }
  const uses = new Uses({ sysfs: machine.sys, proc: machine.proc });
  const used = usedUnits(disks, machine, uses);
  return disks.map((device) => checkDevice(device, machine, uses, used));
}

/** Commands in flight per path (limits.path_depth) when the configuration does not set it. */
const DEPTH = 64;

/** Reports queues that would let a write to a silent path wait if they got as many commands as the configuration allows. */
export function checkQueues(machine: Machine): Finding[] {
  const findings: Finding[] = [];
  for (const { device, number, type, blockDevice, queueDepth, commandsMax } of listSgDevices(machine.sys)) {
    if (type !== TYPE_DISK || commandsMax === null || commandsMax >= Math.min(DEPTH, queueDepth ?? DEPTH)) continue;
    const text =
      `${device} (${number}) gets at most ${counted(commandsMax, "command")} at once: more could use up the tags it shares with ` +
      `the other units of its host adapter, and one silent path would hold up all`;
    if (blockDevice === null) {
      findings.push(warning("queues", text, "load sd_mod, or bind the device to it, so that it has a queue to be set"));
      continue;
    }
    const queue = `/sys/block/${blockDevice}/queue`;
    const isWritable = accessProblem(join(machine.sys, "block", blockDevice, "queue/scheduler")) === undefined;
    findings.push(
      isWritable
        ? note("queues", `${text}; the daemon gives it tags of its own when it takes it, if it may write to ${queue}`)
        : warning("queues", text, `let the daemon write to ${queue}, or have udev write mq-deadline to its scheduler`),
    );
  }
  return findings;
}

/** Largest piece of a request (PIECE_BYTES_MAX): a device that accepts less needs more commands. */
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
