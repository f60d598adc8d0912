// The kernel's reports of devices that come, go or change.

import { thinThresholdOf, whyRescan } from "../../discovery/uevents.ts";
import { UeventMonitor } from "../../native/index.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Logger } from "../ground/logger.ts";
import type { Rescans } from "./rescans.ts";
import type { ThinThreshold } from "../events/thin-threshold.ts";

interface Parts {
  readonly thin: ThinThreshold;
  readonly inventory: Inventory;
  readonly rescans: Rescans;
  readonly logger: Logger;
}

/**
 * Triggers a rescan when the kernel reports a reason for one; returns null, and logs it, when the kernel reports nothing here.
 */
export function watchUevents({ thin, inventory, rescans, logger }: Parts): UeventMonitor | null {
  try {
    return new UeventMonitor((event) => {
      const nearlyFull = thinThresholdOf(event);
      if (nearlyFull !== null) thin.toldBy(inventory.findPath(nearlyFull));
      const why = whyRescan(event);
      if (why === null) return;
      logger.debug(`rescanning the devices: ${why}`);
      rescans.soon();
    });
  } catch (thrown) {
    logger.warning(`uevents cannot be received (${reasonOf(thrown)}); new devices need a reload`);
    return null;
  }
}
