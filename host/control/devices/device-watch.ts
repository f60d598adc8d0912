// The kernel's reports of devices that come, go or change.

import { existsSync } from "node:fs";
import { thinThresholdOf, whyRescan } from "../../discovery/uevents.ts";
import { UeventMonitor, type Uevent } from "../../native/index.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Logger } from "../ground/logger.ts";
import type { Rescans } from "./rescans.ts";
import type { ThinThreshold } from "../events/thin-threshold.ts";

/** It is there while udev runs. */
const UDEV_CONTROL = "/run/udev/control";
/** What udev's rules do to a device may take that long; then it is scanned though udev has said nothing. */
const UDEV_MS_MAX = 10_000;

interface Parts {
  readonly thin: ThinThreshold;
  readonly inventory: Inventory;
  readonly rescans: Rescans;
  readonly logger: Logger;
}

/**
 * How long to wait before the devices are scanned: where udev runs, until its rules are done, since their programs open the device,
 * and would be taken for others that use it.
 */
function delayMs({ action, subsystem, byUdev }: Uevent): number | undefined {
  const hasRules = action === "add" || (action === "change" && subsystem === "block");
  return byUdev || !hasRules || !existsSync(UDEV_CONTROL) ? undefined : UDEV_MS_MAX;
}

/**
 * Triggers a rescan when the kernel reports a reason for one; returns null, and logs it, when the kernel reports nothing here.
 */
export function watchUevents({ thin, inventory, rescans, logger }: Parts): UeventMonitor | null {
  try {
    return new UeventMonitor((event) => {
      const nearlyFull = event.byUdev ? null : thinThresholdOf(event);
      if (nearlyFull !== null) thin.toldBy(inventory.findPath(nearlyFull));
      const why = whyRescan(event);
      if (why === null) return;
      logger.debug(`rescanning the devices: ${why}`);
      rescans.soon(delayMs(event));
    });
  } catch (thrown) {
    logger.warning(`uevents cannot be received (${reasonOf(thrown)}); new devices need a reload`);
    return null;
  }
}
