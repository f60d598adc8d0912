// What the kernel knows about SCSI generic devices, read from sysfs. The root is a parameter, so that a test can provide a tree
// of its own.

import { realpathSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { isAbsent, readNames, readNumber, readText } from "./attributes.ts";
import { PortNameReader, type PortNames } from "./port-names.ts";
import { HostReader, readCommandsMax } from "./queue-room.ts";

export { readNames, readText } from "./attributes.ts";

/** One `/dev/sgN`. */
export interface SgDevice {
  readonly device: string;
  /** host:channel:target:lun. */
  readonly number: string;
  /** Tells the kernel's device from an earlier or later one with the same number. */
  readonly instance: string;
  readonly ports: PortNames;
  /** From sysfs; discovery asks the device itself again. */
  readonly vendor: string;
  readonly product: string;
  /** Peripheral device type. */
  readonly type: number | null;
  /** `sdX`, or null when no block driver is bound to it. */
  readonly blockDevice: string | null;
  /** major:minor of the block device, else of the SCSI generic device. */
  readonly deviceNumber: string | null;
  /** How the device is reached, in multipath.conf's terms: `scsi:fcp`, ... */
  readonly protocol: string;
  /** Name of the host (initiator port): `host4 lpfc`. */
  readonly initiatorPort: string;
  /** PCI slot of the host adapter, whose ports are several hosts: `0000:3b:00`; null when it is on no such bus. */
  readonly adapter: string | null;
  /** `running`, `offline`, ... */
  readonly state: string;
  /** Largest transfer in bytes that the queue accepts in one command; null when unknown. */
  readonly transferBytesMax: number | null;
  /** Commands the kernel sends to the device at once; null when unknown. */
  readonly queueDepth: number | null;
  /** Commands that may be in flight on the path before the kernel makes the next one wait; null when unknown. */
  readonly commandsMax: number | null;
}

/** A buffer of the core is not physically contiguous, so each page may need a segment of its own. */
const PAGE_BYTES = 4096;

/**
 * Every SCSI generic device, by path number.
 * @param root where sysfs is, normally `/sys`
 */
export function listSgDevices(root = "/sys"): SgDevice[] {
  const names = readNames(join(root, "class/scsi_generic")).filter((name) => /^sg\d+$/.test(name));
  const hosts = new HostReader(root);
  const ports = new PortNameReader(root);
  const devices = names.map((name) => readSgDevice(root, name, hosts, ports));
  return sortedByPathNumber(devices.filter((device) => device !== null));
}

/**
 * The same, for a daemon whose paths they are: where sysfs itself is gone, that does not mean that they are.
 * @throws then
 */
export function listPresentDevices(root = "/sys"): SgDevice[] {
  if (readNames(join(root, "class")).length === 0) {
    throw new Error(`nothing can be said about the devices: ${root} is empty; mount sysfs there`);
  }
  return listSgDevices(root);
}

/**
 * One device; null when it is gone already or has no path number.
 * @throws when it exists but cannot be read
 */
export function readSgDevice(
  root: string,
  name: string,
  hosts = new HostReader(root),
  ports = new PortNameReader(root),
): SgDevice | null {
  const link = join(root, "class/scsi_generic", name, "device");
  let folder: string;
  let instance: string;
  try {
    folder = realpathSync(link);
    // sysfs gives each new folder an inode number of its own.
    instance = String(statSync(folder, { bigint: true }).ino);
  } catch (thrown) {
    if (isAbsent(thrown)) return null;
    throw thrown;
  }
  const number = basename(folder);
  if (!/^\d+:\d+:\d+:\d+$/.test(number)) return null;
  const blockDevice = readNames(join(folder, "block"))[0] ?? null;
  const hostNumber = hostOf(number);
  const host = `host${hostNumber}`;
  const queue = blockDevice === null ? null : join(folder, "block", blockDevice, "queue");
  const driver = readText(join(root, "class/scsi_host", host, "proc_name"));
  return {
    device: `/dev/${name}`,
    number,
    instance,
    ports: ports.read(folder, number),
    vendor: readText(join(folder, "vendor")) ?? "",
    product: readText(join(folder, "model")) ?? "",
    type: readNumber(join(folder, "type")),
    blockDevice,
    deviceNumber: readText(
      join(blockDevice === null ? join(root, "class/scsi_generic", name) : join(folder, "block", blockDevice), "dev"),
    ),
    protocol: protocolOf(root, folder, host),
    initiatorPort: driver === null || driver === "" || driver === "<NULL>" ? host : `${host} ${driver}`,
    adapter: adapterOf(folder),
    state: readText(join(folder, "state")) ?? "unknown",
    transferBytesMax: queue === null ? null : transferLimit(queue),
    queueDepth: readNumber(join(folder, "queue_depth")),
    commandsMax: readCommandsMax(queue, hosts.read(hostNumber)),
  };
}

/** Folders of sysfs above a device, by the protocol they belong to. */
const PROTOCOLS: readonly (readonly [RegExp, string])[] = [
  [/\/rport-[^/]*\//, "scsi:fcp"],
  [/\/end_device-[^/]*\//, "scsi:sas"],
  [/\/session\d+\//, "scsi:iscsi"],
  [/\/ata\d+\//, "scsi:ata"],
  [/\/usb\d+\//, "scsi:usb"],
];

function protocolOf(root: string, folder: string, host: string): string {
  const known = PROTOCOLS.find(([above]) => above.test(folder))?.[1];
  if (known !== undefined) return known;
  return readNames(join(root, "class/srp_host")).includes(host) ? "scsi:srp" : "scsi:unspec";
}

/** The last PCI device above the host, without its function. */
const adapterOf = (folder: string): string | null =>
  /.*\/([0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2})\.[0-7]\/.*host\d+\//.exec(folder)?.[1] ?? null;

function transferLimit(queue: string): number | null {
  const kilobytes = readNumber(join(queue, "max_hw_sectors_kb"));
  const segments = readNumber(join(queue, "max_segments"));
  const limits = [kilobytes === null ? null : kilobytes * 1024, segments === null ? null : segments * PAGE_BYTES];
  const known = limits.filter((limit) => limit !== null && limit > 0);
  return known.length === 0 ? null : Math.min(...known.map(Number));
}

/** The number of the host adapter in a path number. */
export const hostOf = (number: string): string => number.slice(0, Math.max(0, number.indexOf(":")));

function compareFields(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** In the order of path numbers; each number is parsed only once. */
export function sortedByPathNumber<T extends { readonly number: string }>(items: readonly T[]): T[] {
  const keyed = items.map((item) => ({ item, key: item.number.split(":").map(Number) }));
  keyed.sort((a, b) => compareFields(a.key, b.key));
  return keyed.map(({ item }) => item);
}
