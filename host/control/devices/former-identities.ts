// Units that an earlier version knew by another identity text. The device still reports the same pages; what is derived from them
// has changed, because the old text was not unique, or not the best the device offers. A known unit stays what it is.

import type { FoundPath } from "../../discovery/discover.ts";
import type { Probe } from "../../discovery/probe.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { EventHub } from "../events/event-hub.ts";
import { unitRow, type Inventory, type Unit } from "../inventory/inventory.ts";
import type { State } from "../state/state.ts";
import type { UnitFacts } from "../state/state-schemas.ts";

interface Parts {
  readonly inventory: Inventory;
  readonly state: State;
  readonly hub: EventHub;
}

/**
 * Gives units found by their former identity the present one, on disk first.
 * @returns why devices of an identity cannot be taken now, by that identity: what could not be written has not happened
 */
export function rewriteIdentities(parts: Parts, found: readonly FoundPath[]): ReadonlyMap<string, string> {
  const unwritten = new Map<string, string>();
  for (const [unit, claimants] of claims(parts.inventory, found)) {
    const path = heirOf(unit, claimants);
    if (path === undefined) continue;
    const { type, text } = path.probe.identity;
    const before = unit.identity.text;
    const facts = { ...unit.facts, identityType: type, formerIdentity: before };
    try {
      parts.state.saveUnits([{ ...unitRow(unit), identity: text, facts }]);
    } catch (thrown) {
      unwritten.set(text, reasonOf(thrown));
      continue;
    }
    unit.facts = facts;
    parts.inventory.setIdentity(unit, { type, text });
    parts.hub.say("identity-rewritten", { unit: unit.number, detail: { from: before, to: text } });
  }
  return unwritten;
}

/** Devices of no known unit, by the unit known under their former identity; one device for each present identity. */
function claims(inventory: Inventory, found: readonly FoundPath[]): Map<Unit, FoundPath[]> {
  const shown = new Set(found.map(({ probe }) => probe.identity.text));
  const claimed = new Map<Unit, FoundPath[]>();
  const seen = new Set<string>();
  for (const path of found) {
    const { identity, formerIdentity } = path.probe;
    if (formerIdentity === null || seen.has(identity.text) || shown.has(formerIdentity)) continue;
    seen.add(identity.text);
    const unit = inventory.unitOfIdentity(formerIdentity);
    if (unit === undefined || inventory.unitOfIdentity(identity.text) !== undefined) continue;
    claimed.set(unit, [...(claimed.get(unit) ?? []), path]);
  }
  return claimed;
}

/** Which device is the unit; undefined when that is not certain. */
function heirOf({ facts }: Unit, claimants: readonly FoundPath[]): FoundPath | undefined {
  const [heir, ...others] = claimants.filter(({ probe }) => mayBe(facts, probe));
  if (others.length === 0) return heir;
  const alike = claimants.filter(({ probe }) => probe.serial !== null && probe.serial === facts.serial);
  return alike.length === 1 ? alike[0] : undefined;
}

/** Whether everything else known of the unit agrees. A question mark stood for an unprintable character. */
function mayBe(facts: UnitFacts, { vendor, product, serial }: Probe): boolean {
  if (facts.vendor !== vendor || facts.product !== product) return false;
  const isTold = facts.serial !== "" && serial !== null && !facts.serial.includes("?") && !serial.startsWith("0x");
  return !isTold || facts.serial === serial;
}
