// Whether somebody uses a path's block device (sdX) beside us. Binding it then would give one disk two masters, so it
// is refused, with the reason.

import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { readNames, readText } from "./sysfs.ts";

/** Where to look; a test lays out its own. */
export interface InUseSources {
  readonly sysfs: string;
  readonly mounts: string;
  readonly swaps: string;
  /** Opens a block device exclusively; answers the errno name when that fails, null when nobody else has it. */
  readonly openExclusive: (device: string) => Promise<string | null>;
}

/**
 * Opens a block device exclusively: as long as it is open, nobody can mount it, swap to it, or map it, and it cannot be
 * opened so while somebody does. On a thread of the pool, because the kernel lets an open wait while it repairs a path.
 * @returns the descriptor, or the errno name
 */
export async function openExclusive(device: string): Promise<FileHandle | string> {
  try {
    return await open(device, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK);
  } catch (thrown) {
    return thrown instanceof Error && "code" in thrown ? String(thrown.code) : String(thrown);
  }
}

export const KERNEL_SOURCES: InUseSources = {
  sysfs: "/sys",
  mounts: "/proc/self/mounts",
  swaps: "/proc/swaps",
  openExclusive: async (device) => {
    const opened = await openExclusive(device);
    if (typeof opened === "string") return opened;
    await opened.close();
    return null;
  },
};

/** The reason where an exclusive open says that it is in use. */
export const heldByAnother = (blockDevice: string): string =>
  `/dev/${blockDevice} is in exclusive use by another program`;

/** Why the block device `sdX` cannot be taken, or null when it can. */
export async function whyInUse(blockDevice: string, sources: InUseSources = KERNEL_SOURCES): Promise<string | null> {
  const reason = whyTaken(blockDevice, sources);
  if (reason !== null) return reason;
  return (await sources.openExclusive(`/dev/${blockDevice}`)) === "EBUSY" ? heldByAnother(blockDevice) : null;
}

/** What the kernel's tables say of its use. */
export function whyTaken(blockDevice: string, sources: Omit<InUseSources, "openExclusive">): string | null {
  const folder = join(sources.sysfs, "block", blockDevice);
  const partitions = readNames(folder).filter((name) => name.startsWith(blockDevice));
  const mounted = deviceColumn(sources.mounts);
  const swaps = deviceColumn(sources.swaps);
  for (const name of [blockDevice, ...partitions]) {
    const mount = mounted.get(`/dev/${name}`);
    if (mount !== undefined) return `/dev/${name} is mounted on ${mount}; unmount it`;
    if (swaps.has(`/dev/${name}`)) return `/dev/${name} is swap space; run swapoff /dev/${name}`;
    const holder = readNames(join(name === blockDevice ? folder : join(folder, name), "holders"))[0];
    if (holder !== undefined) {
      const mapped = readText(join(sources.sysfs, "block", holder, "dm/name"));
      return `/dev/${name} is used by ${holder}${mapped === null ? "" : ` (${mapped})`}; remove that first`;
    }
  }
  return null;
}

/** First column of a table of the kernel to its second; octal escapes in it stand for blanks. */
function deviceColumn(path: string): Map<string, string> {
  const rows = (readText(path) ?? "").split("\n").map((line) => line.split(/\s+/));
  return new Map(
    rows.map(([device = "", where = ""]) => [
      device,
      where.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))),
    ]),
  );
}
