// Whether somebody uses a path's block device (sdX) beside us. Binding it then would give one disk two masters, so it
// is refused, with the reason.

import { join } from "node:path";
import { hostOf, readNames, readText } from "./sysfs.ts";
import { bounded } from "./transport.ts";

/** Where to look; a test lays out its own. */
export interface InUseSources {
  readonly sysfs: string;
  readonly mounts: string;
  readonly swaps: string;
  /** Opens a block device exclusively; answers the errno name when that fails, null when nobody else has it. */
  readonly openExclusive: (device: string) => Promise<string | null>;
}

/** Where the kernel's tables are. */
export const KERNEL_TABLES = { sysfs: "/sys", mounts: "/proc/self/mounts", swaps: "/proc/swaps" } as const;

/** The reason where an exclusive open says that it is in use. */
export const heldByAnother = (blockDevice: string): string =>
  `/dev/${blockDevice} is in exclusive use by another program`;

/**
 * Why a device cannot be opened now, or null: while the kernel repairs a host adapter's devices, every open of one of
 * their disks waits.
 */
export function whyNotOpen(number: string, sysfs: string): string | null {
  const host = `host${hostOf(number)}`;
  const state = readText(join(sysfs, "class/scsi_host", host, "state"));
  return state === null || state === "running"
    ? null
    : `${host} is in the state "${state}" (error recovery, mostly); it is looked at again`;
}

/** Why the block device `sdX` of a path cannot be taken, or null when it can. It takes no longer than `budgetMs`. */
export async function whyInUse(
  number: string,
  blockDevice: string,
  budgetMs: number,
  sources: InUseSources,
): Promise<string | null> {
  const reason = whyTaken(blockDevice, sources) ?? whyNotOpen(number, sources.sysfs);
  if (reason !== null) return reason;
  const answer = await tryOpen(blockDevice, budgetMs, sources);
  if (answer === "EBUSY") return heldByAnother(blockDevice);
  return answer === "ETIMEDOUT"
    ? `/dev/${blockDevice} cannot be opened within ${budgetMs} ms; it is looked at again`
    : null;
}

/** What an exclusive open says: the errno name when it fails, ETIMEDOUT when it takes longer, null when nobody has it. */
export function tryOpen(blockDevice: string, budgetMs: number, sources: InUseSources): Promise<string | null> {
  const device = `/dev/${blockDevice}`;
  return bounded(sources.openExclusive(device), budgetMs, () => device).catch(() => "ETIMEDOUT");
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
