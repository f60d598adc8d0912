// Units with a device that another program uses: a second master on the same blocks would destroy data, whatever path it takes.
// Such a unit is not taken at all. A unit that is already ours continues over its own paths, which we hold exclusively; only the
// device in use is refused.

import type { DeviceInUse, Found, FoundPath, Refusal } from "../../discovery/discover.ts";
import type { MessageName } from "../../liaison/messages.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";

/** A device that is not taken, and why. */
export interface Refused extends Refusal {
  /** The message that reports it; `device-refused` unless given. */
  readonly says?: MessageName;
  readonly unit?: number;
  /** Whether it keeps a unit, or a path of our unit, from being used. */
  readonly isInUse?: true;
}

/** What was found, without the paths of units in use. */
export interface FreeOfUse {
  readonly paths: readonly FoundPath[];
  readonly refusals: readonly Refused[];
}

/** Whether paths of a unit are ours: we hold them exclusively, so no other program can be behind them. */
export function isOurs(unit: Unit): boolean {
  return [...unit.paths.values()].some((path) => path.handle !== null && path.foreignIdentity === null);
}

const describe = ({ device, number }: Refusal): string => `${device} (${number})`;

/** The reason given for the other paths of a unit in use. */
export const otherPathReason = (used: Refusal): string =>
  `another path of its unit, ${describe(used)}, is in use: ${used.reason}`;

/** Removes the paths of units that others use, records the reason with the units, and reports what to do. */
export function heedUses(inventory: Inventory, found: Found): FreeOfUse {
  const users = usersOf(found.inUse);
  const free = new Set<string>();
  for (const unit of inventory.units()) {
    const used = users.get(unit.identity.text);
    const isAlone = used === undefined || isOurs(unit);
    unit.inUse = isAlone ? null : `${describe(used)}: ${used.reason}`;
    if (isAlone) free.add(unit.identity.text);
  }
  const isFree = ({ probe }: FoundPath): boolean => free.has(probe.identity.text) || !users.has(probe.identity.text);
  const blocked = found.paths.filter((path) => !isFree(path));
  const others = blocked.map((path): Refused => {
    const used = users.get(path.probe.identity.text);
    const { device, number } = path;
    return { device, number, reason: used === undefined ? "in use" : otherPathReason(used), isInUse: true };
  });
  const contested = new Set(blocked.map((path) => path.probe.identity.text));
  const told = found.inUse.flatMap((used) => refusalOf(inventory, used, contested) ?? []);
  const replaced = new Set(told.map((refused) => refused.number));
  const rest = found.refusals.filter((refusal) => !replaced.has(refusal.number));
  return { paths: found.paths.filter(isFree), refusals: [...told, ...others, ...rest] };
}

/** The device through which a unit is in use, by the unit's identity. */
function usersOf(inUse: readonly DeviceInUse[]): Map<string, DeviceInUse> {
  const users = new Map<string, DeviceInUse>();
  for (const used of inUse) for (const identity of used.identities) if (!users.has(identity)) users.set(identity, used);
  return users;
}

/**
 * How a device in use is reported: as an error when it keeps a unit from being used, or shares one with us. A foreign disk that
 * only `all` in the configuration selected is not an error.
 */
function refusalOf(inventory: Inventory, used: DeviceInUse, contested: ReadonlySet<string>): Refused | null {
  const { device, number, reason, identities } = used;
  for (const identity of identities) {
    const unit = inventory.unitOfIdentity(identity);
    const about = unit === undefined ? {} : { unit: unit.number };
    if (unit !== undefined && isOurs(unit)) {
      const beside = `${reason}; LogicalUnit #${unit.number} goes on over its other paths`;
      return { device, number, reason: beside, says: "path-in-use", ...about, isInUse: true };
    }
    if (unit !== undefined || contested.has(identity)) {
      return { device, number, reason, says: "unit-in-use", ...about, isInUse: true };
    }
  }
  return null;
}
