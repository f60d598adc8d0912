// Devices that come while a scan is under way. Whoever else wants disks may have judged them before anyone knew whose they are.

import { mayLeadTo, type FoundPath } from "./discover.ts";
import { keptProbe } from "./kernel-pages.ts";
import { sideBySide } from "./side-by-side.ts";
import type { SgDevice } from "./sysfs.ts";

const AT_ONCE = 1024;

const TYPE_DISK = 0;

/** Devices that were not listed before, or had no disk yet. */
export function newSince(before: readonly SgDevice[], now: readonly SgDevice[]): SgDevice[] {
  const known = new Map(before.map((device) => [`${device.number} ${device.instance}`, device]));
  return now.filter(({ number, instance, blockDevice, type }) => {
    if (type !== null && type !== TYPE_DISK) return false;
    const then = known.get(`${number} ${instance}`);
    return then === undefined || then.blockDevice !== blockDevice;
  });
}

/**
 * The units that such devices may lead to, as far as the kernel remembers: the kernel, and udev's rules, know nothing else either.
 * @param paths what the scan found
 */
export async function latecomers(
  before: readonly SgDevice[],
  now: readonly SgDevice[],
  paths: readonly FoundPath[],
  sysfs: string,
): Promise<ReadonlySet<string>> {
  const devices = newSince(before, now);
  const identities = await sideBySide(devices, AT_ONCE, async (device) =>
    mayLeadTo(await keptProbe(device, sysfs), paths),
  );
  return new Set(identities.flat());
}
