// Which unit a device is: a block device of the unit, or one of its paths.

import { readdirSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { Attachments } from "../devices/operation-context.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import { deviceId, type DeviceId, type HelperUnits } from "./pr-helper.ts";
import type { Reservations } from "./unit-reservations.ts";

/** Major number of Linux's SCSI generic devices (Documentation/admin-guide/devices.txt). */
const SG_MAJOR = 21;

interface Sources {
  readonly inventory: Inventory;
  readonly attachments: Pick<Attachments, "of">;
  readonly reservations: Reservations;
}

/** The disk that is the same device as a SCSI generic one: of a unit's SCSI device QEMU sends either. */
function disksOf(generic: string): readonly string[] {
  try {
    return readdirSync(`/sys/class/scsi_generic/${generic}/device/block`).map((name) => `/dev/${name}`);
  } catch {
    return [];
  }
}

function isOf(unit: Unit, device: DeviceId, attachments: Sources["attachments"]): boolean {
  const { isBlock, major, minor } = device;
  const name = `${major}:${minor}`;
  const generic = !isBlock && major === SG_MAJOR ? `sg${minor}` : null;
  const disks = generic === null ? [] : disksOf(generic);
  const isAttached = (file: string): boolean => (isBlock ? isDevice(file, device) : disks.includes(file));
  if (attachments.of(unit).some((attachment) => isAttached(attachment.device))) return true;
  return [...unit.paths.values()].some(({ found }) => {
    if (found === null) return false;
    return isBlock ? found.deviceNumber === name : generic !== null && basename(found.device) === generic;
  });
}

/** Whether a file is this device; where the file is gone, it is not. */
function isDevice(file: string, device: DeviceId): boolean {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  const found = deviceId(stats);
  return found.isBlock === device.isBlock && found.major === device.major && found.minor === device.minor;
}

export function helperUnits({ inventory, attachments, reservations }: Sources): HelperUnits<Unit> {
  return {
    unitOf: (device) => inventory.units().find((unit) => isOf(unit, device, attachments)),
    order: (unit, out) => reservations.order(unit, out),
    ask: (unit, action, bytes) => reservations.ask(unit, action, bytes),
  };
}
