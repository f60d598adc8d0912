// Who uses a block device, according to the kernel's tables: mounts in every namespace that /proc shows, swap space, the devices
// stacked on it (md, dm, LVM, bcache, btrfs), and, where no table helps, the processes that have it open.

import { readlinkSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { readNames, readText } from "./attributes.ts";

/** Where the tables are; a test provides its own. */
export interface UseTables {
  readonly sysfs: string;
  readonly proc: string;
}

/** Where the kernel's tables are. */
export const KERNEL_TABLES: UseTables = { sysfs: "/sys", proc: "/proc" };

/** Most processes named in one reason. */
const NAMED_MAX = 3;
/** File systems over several devices have a device number that is no device's, with this major number. */
const MAJOR_NONE = "0:";

/** Names in a folder of processes or devices that may go while it is being read. */
export function namesIn(folder: string): string[] {
  try {
    return readNames(folder);
  } catch {
    return [];
  }
}

export function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** Octal escapes in the kernel's tables stand for blanks and the like. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));

export const processes = (proc: string): string[] => namesIn(proc).filter((name) => /^\d+$/.test(name));

export const processName = (proc: string, pid: string): string =>
  `process ${pid} (${readText(join(proc, pid, "comm")) ?? "gone meanwhile"})`;

/** Data that is read once for any number of devices. */
export class Uses {
  readonly #tables: UseTables;
  /** Mount points, by device number, and by name where the file system does not have a device's number. */
  #mounts: Map<string, string> | null = null;
  #swaps: ReadonlySet<string> | null = null;
  #btrfs: ReadonlySet<string> | null = null;

  constructor(tables: UseTables) {
    this.#tables = tables;
  }

  /** What uses a block device, or one of its partitions, and how to end that; null when no table shows any use. */
  why(blockDevice: string): string | null {
    const folder = join(this.#tables.sysfs, "block", blockDevice);
    const partitions = namesIn(folder).filter((name) => name.startsWith(blockDevice));
    for (const name of [blockDevice, ...partitions]) {
      const reason = this.#whyPart(name, name === blockDevice ? folder : join(folder, name));
      if (reason !== null) return reason;
    }
    return null;
  }

  #whyPart(name: string, folder: string): string | null {
    const device = `/dev/${name}`;
    const mount = this.#mountOf(device, readText(join(folder, "dev")));
    if (mount !== undefined) return `${device} is mounted on ${mount}; unmount it`;
    this.#swaps ??= this.#readSwaps();
    if (this.#swaps.has(device)) return `${device} is swap space; run swapoff ${device}`;
    const holder = namesIn(join(folder, "holders"))[0];
    if (holder !== undefined) return `${device} is used by ${this.#holderText(holder)}`;
    const cache = namesIn(join(folder, "bcache"));
    if (cache.length > 0) {
      return `${device} is used by bcache; run echo 1 > /sys/block/${name}/bcache/${cache.includes("set") ? "set/" : ""}stop`;
    }
    this.#btrfs ??= this.#readBtrfs();
    return this.#btrfs.has(name) ? `${device} belongs to a btrfs file system that is mounted; unmount it` : null;
  }

  #mountOf(device: string, number: string | null): string | undefined {
    this.#mounts ??= this.#readMounts();
    return (number === null ? undefined : this.#mounts.get(number)) ?? this.#mounts.get(device);
  }

  /** Mounts of our own namespace first, then those of one process of each other namespace. */
  #readMounts(): Map<string, string> {
    const { proc } = this.#tables;
    const own = linkOf(join(proc, "self/ns/mnt"));
    const seen = new Set(own === null ? [] : [own]);
    const found = new Map<string, string>();
    addMounts(found, readText(join(proc, "self/mountinfo")), null);
    for (const pid of processes(proc)) {
      const namespace = linkOf(join(proc, pid, "ns/mnt"));
      if (namespace === null || seen.has(namespace)) continue;
      seen.add(namespace);
      addMounts(found, readText(join(proc, pid, "mountinfo")), () => processName(proc, pid));
    }
    return found;
  }

  #readSwaps(): ReadonlySet<string> {
    const rows = (readText(join(this.#tables.proc, "swaps")) ?? "").split("\n");
    return new Set(rows.map((row) => unescaped(row.split(/\s+/)[0] ?? "")));
  }

  #readBtrfs(): ReadonlySet<string> {
    const folder = join(this.#tables.sysfs, "fs/btrfs");
    return new Set(namesIn(folder).flatMap((file) => namesIn(join(folder, file, "devices"))));
  }

  #holderText(holder: string): string {
    const folder = join(this.#tables.sysfs, "block", holder);
    if (holder.startsWith("md")) return `${holder}; run mdadm --stop /dev/${holder}`;
    const mapped = readText(join(folder, "dm/name"));
    if (mapped === null) return `${holder}; remove that first`;
    return `${holder} (${mapped}); ${mapRemedy(mapped, readText(join(folder, "dm/uuid")) ?? "")}`;
  }
}

/** How to remove a device-mapper device; the prefix of its uuid shows who created it. */
function mapRemedy(name: string, uuid: string): string {
  if (uuid.startsWith("mpath-")) return `run multipath -f ${name}, and take the device from multipathd`;
  if (uuid.startsWith("LVM-"))
    return `deactivate that logical volume with lvchange -an, and filter the device in lvm.conf`;
  if (uuid.startsWith("CRYPT-")) return `run cryptsetup close ${name}`;
  return `run dmsetup remove ${name}`;
}

/** Adds the mounts of one namespace (proc(5), mountinfo); `who` names a process in it unless it is ours. */
function addMounts(found: Map<string, string>, table: string | null, who: (() => string) | null): void {
  for (const line of (table ?? "").split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [, , number = "", , where = ""] = before.split(" ");
    const key = number.startsWith(MAJOR_NONE) ? unescaped(after.split(" ")[1] ?? "") : number;
    if (key === "" || found.has(key)) continue;
    const inside = who === null ? "" : ` in the mount namespace of ${who()}`;
    found.set(key, unescaped(where) + inside);
  }
}

/** Processes of the daemon; their descriptors do not count as others'. */
const OWN = new Set([String(process.pid)]);

export const isOwn = (pid: string): boolean => OWN.has(pid);

/** Another process belongs to the daemon as well. */
export const alsoOwn = (pid: number): unknown => OWN.add(String(pid));

/** Every process, except our own, that has a device file open: `process 812 (dd)`. */
function openersOf(device: string, proc: string): string[] {
  const number = deviceNumber(device);
  const found: string[] = [];
  for (const pid of processes(proc)) {
    if (isOwn(pid)) continue;
    const folder = join(proc, pid, "fd");
    // Only files below /dev are examined: a file elsewhere may be on a server that does not answer.
    const links = namesIn(folder).filter((fd) => linkOf(join(folder, fd))?.startsWith("/dev/") === true);
    const has = (fd: string): boolean => {
      const link = join(folder, fd);
      return linkOf(link) === device || (number !== null && deviceNumber(link) === number);
    };
    if (links.some(has)) found.push(processName(proc, pid));
  }
  return found;
}

/** Kind and number of a device file; null for other files. */
export function deviceNumber(path: string): string | null {
  try {
    const status = statSync(path);
    if (status.isBlockDevice()) return `b${status.rdev}`;
    return status.isCharacterDevice() ? `c${status.rdev}` : null;
  } catch {
    return null;
  }
}

/** The first processes that have a device open, in words; null when none is visible. */
export function openersText(openers: readonly string[]): string | null {
  if (openers.length === 0) return null;
  const more = openers.length - NAMED_MAX;
  return openers.slice(0, NAMED_MAX).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** The reason when an exclusive open reports that a device is in use; it names the user, as far as /proc shows. */
export function heldByAnother(blockDevice: string, { sysfs, proc }: UseTables = KERNEL_TABLES): string {
  const parts = namesIn(join(sysfs, "block", blockDevice)).filter((name) => name.startsWith(blockDevice));
  for (const name of [blockDevice, ...parts]) {
    const who = openersText(openersOf(`/dev/${basename(name)}`, proc));
    if (who !== null) return `/dev/${name} is in exclusive use by ${who}; end that first`;
  }
  return `/dev/${blockDevice} is in exclusive use by another program`;
}
