// Units that an earlier version knew by another text. The same device says who it is as before; what is made of it has
// changed, because the former text was not unique, or was not the best that the device tells. A known unit stays what it is.

import type { FoundPath } from "../../discovery/discover.ts";
import type { Probe } from "../../discovery/probe.ts";
import { reasonOf } from "../ground/errors.ts";
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
 * Gives units that were found by their former identity the present one, on the disk first.
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

/** Devices of no known unit, by the unit that was known by their former identity; one device for each present identity. */
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

/** Which of the devices is the unit; nobody, when that leaves a doubt. */
function heirOf({ facts }: Unit, claimants: readonly FoundPath[]): FoundPath | undefined {
  const [heir, ...others] = claimants.filter(({ probe }) => mayBe(facts, probe));
  if (others.length === 0) return heir;
  const alike = claimants.filter(({ probe }) => probe.serial !== null && probe.serial === facts.serial);
  return alike.length === 1 ? alike[0] : undefined;
}

/** Whether nothing else that is known of the unit speaks against it. A question mark stood for what could not be printed. */
function mayBe(facts: UnitFacts, { vendor, product, serial }: Probe): boolean {
  if (facts.vendor !== vendor || facts.product !== product) return false;
  const isTold = facts.serial !== "" && serial !== null && !facts.serial.includes("?") && !serial.startsWith("0x");
  return !isTold || facts.serial === serial;
}
