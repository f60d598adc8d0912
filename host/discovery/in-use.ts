// Checks whether someone else uses a path's block device (sdX). Taking it then would give one disk two masters, so it is refused,
// with the reason.

import { join } from "node:path";
import { hostOf, readText } from "./sysfs.ts";
import { bounded } from "./transport.ts";
import { heldByAnother, Uses, type UseTables } from "./uses.ts";

export { heldByAnother, KERNEL_TABLES } from "./uses.ts";

/** Where to look; a test lays out its own. */
export interface InUseSources extends UseTables {
  /** Opens a block device exclusively; returns the errno name when that fails, null when nobody else has it. */
  readonly openExclusive: (device: string) => Promise<string | null>;
}

/** What keeps a device from being taken. */
export interface Obstacle {
  readonly reason: string;
  /** Whether it is certain that someone uses it; otherwise that could not be found out now. */
  readonly isUsed: boolean;
}

const used = (reason: string): Obstacle => ({ reason, isUsed: true });
const unknown = (reason: string): Obstacle => ({ reason, isUsed: false });

/**
 * Why a device cannot be opened now, or null: while the kernel recovers a host adapter's devices, every open of one of their
 * disks waits.
 */
export function whyNotOpen(number: string, sysfs: string): string | null {
  const host = `host${hostOf(number)}`;
  const state = readText(join(sysfs, "class/scsi_host", host, "state"));
  return state === null || state === "running"
    ? null
    : `${host} is in the state "${state}" (error recovery, mostly); it is looked at again`;
}

/** What keeps the block device `sdX` of a path from being taken, or null. Takes at most `budgetMs`. */
export async function whyInUse(
  number: string,
  blockDevice: string,
  budgetMs: number,
  sources: InUseSources,
  uses = new Uses(sources),
): Promise<Obstacle | null> {
  const reason = uses.why(blockDevice);
  if (reason !== null) return used(reason);
  const closed = whyNotOpen(number, sources.sysfs);
  if (closed !== null) return unknown(closed);
  const answer = await tryOpen(blockDevice, budgetMs, sources);
  if (answer === "EBUSY") return used(heldByAnother(blockDevice, sources));
  return answer === "ETIMEDOUT"
    ? unknown(`/dev/${blockDevice} cannot be opened within ${budgetMs} ms; it is looked at again`)
    : null;
}

/**
 * The result of an exclusive open: the errno name when it fails, ETIMEDOUT when it takes longer, null when nobody has the device.
 */
export function tryOpen(
  blockDevice: string,
  budgetMs: number,
  sources: Pick<InUseSources, "openExclusive">,
): Promise<string | null> {
  const device = `/dev/${blockDevice}`;
  return bounded(sources.openExclusive(device), budgetMs, () => device).catch(() => "ETIMEDOUT");
}

/** What the kernel's tables say about its use. */
export const whyTaken = (blockDevice: string, tables: UseTables): string | null => new Uses(tables).why(blockDevice);
