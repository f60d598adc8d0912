// Which of our paths the configuration still selects. Decided from what is known of them, so that a device that does not answer
// can be released, too.

import { identitiesOf } from "../../discovery/discover.ts";
import { isSelected } from "../../discovery/select.ts";
import type { Attachments } from "./operation-context.ts";
import { ControlError } from "../ground/control-errors.ts";
import type { Inventory, Path } from "../inventory/inventory.ts";
import { isEmulated, type Configuration } from "../schemas/configuration-schema.ts";

/** Whether `devices` and `exclude` select a path whose device is present: as a path of its unit, or of the one it leads to. */
export function passesFilter(path: Path, configuration: Configuration): boolean {
  const { vendor, product } = path.unit.facts;
  const devices = isEmulated(configuration) ? "all" : configuration.devices;
  const { device, blockDevice, protocol } = path.found ?? { device: "", blockDevice: null, protocol: null };
  const own = [path.unit.identity.text, path.unit.facts.formerIdentity].filter((text) => text !== undefined);
  const told = path.found === null ? [] : identitiesOf(path.found.probe);
  const foreign = path.foreignIdentity === null ? [] : [[path.foreignIdentity, ...told]];
  const asOwn = path.foreignIdentity === null ? [...own, ...told] : own;
  return [asOwn, ...foreign].some((identities) =>
    isSelected(devices, configuration.exclude, {
      device,
      number: path.number,
      blockDevice,
      protocol,
      vendor,
      product,
      identities,
    }),
  );
}

/**
 * Refuses a configuration that would remove the last path under a mounted file system.
 * @throws ControlError ATTACHED
 */
export function checkFilter(inventory: Inventory, attachments: Attachments, configuration: Configuration): void {
  for (const unit of inventory.units()) {
    const [attachment] = attachments.of(unit);
    const present = [...unit.paths.values()].filter((path) => path.found !== null);
    if (attachment === undefined || present.length === 0) continue;
    if (present.some((path) => passesFilter(path, configuration))) continue;
    const which = `LogicalUnit #${unit.number}`;
    throw new ControlError(
      "ATTACHED",
      `devices and exclude would leave ${which} no path, and it is attached to ${attachment.device}`,
      { parameter: "devices", remedy: "detach it first, or name one of its paths" },
    );
  }
}
