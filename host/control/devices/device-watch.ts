// The kernel's word of devices that come, go or change.

import { thinThresholdOf, whyLook } from "../../discovery/uevents.ts";
import { UeventMonitor } from "../../native/index.ts";
import { reasonOf } from "../ground/errors.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Logger } from "../ground/logger.ts";
import type { Looks } from "./looks.ts";
import type { ThinThreshold } from "../events/thin-threshold.ts";

interface Parts {
  readonly thin: ThinThreshold;
  readonly inventory: Inventory;
  readonly looks: Looks;
  readonly logger: Logger;
}

/** Has the devices looked at again when the kernel tells of a reason; null where it tells nothing, which is said. */
export function watchUevents({ thin, inventory, looks, logger }: Parts): UeventMonitor | null {
  try {
    return new UeventMonitor((event) => {
      const nearlyFull = thinThresholdOf(event);
      if (nearlyFull !== null) thin.toldBy(inventory.findPath(nearlyFull));
      const why = whyLook(event);
      if (why === null) return;
      logger.debug(`looking at the devices again: ${why}`);
      looks.soon();
    });
  } catch (thrown) {
    logger.warning(`uevents cannot be received (${reasonOf(thrown)}); new devices need a reload`);
    return null;
  }
}
