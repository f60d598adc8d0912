// Attaches the units that the configuration wants as block devices (`attach`), as soon as they are offered.

import type { Context } from "../devices/operation-context.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Unit } from "../inventory/inventory.ts";
import type { RememberedAttachments } from "./attachments.ts";
import { whyNotOffered } from "./offering.ts";

type Parts = Pick<Context, "inventory" | "effective" | "hub"> & { readonly attachments: RememberedAttachments };

export class ConfiguredAttachments {
  /** Why units could not be attached, as last reported. */
  #problems = new Map<Unit, string>();

  /**
   * Only within a change.
   * @returns whether nothing is left to do
   */
  async serve({ inventory, effective, hub, attachments }: Parts, warn: (text: string) => void): Promise<boolean> {
    const before = this.#problems;
    this.#problems = new Map();
    for (const unit of inventory.units()) {
      const wanted = effective.attaches(unit);
      if (wanted === false || attachments.isAttachedOrLeft(unit) || whyNotOffered(unit) !== null) continue;
      try {
        const { device } = await attachments.attach(unit, wanted === true ? {} : { driver: wanted });
        hub.say("unit-attached", { unit: unit.number, detail: { device, why: "the configuration says so" } });
      } catch (thrown) {
        const reason = reasonOf(thrown);
        this.#problems.set(unit, reason);
        if (before.get(unit) !== reason) warn(`${reason}; the configuration says \`attach\``);
      }
    }
    return this.#problems.size === 0;
  }
}
