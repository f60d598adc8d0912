// How the daemon is, in one word, for scripts and monitors: ok, degraded, critical.

import type { Snapshot } from "../core/snapshot.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Health } from "../schemas/status-schema.ts";
import { causeText, type Cause, type SinglePoint } from "./components.ts";
import type { Redundancy } from "./overviews.ts";
import { unitState } from "./views.ts";

/** Causes that one answer lists. */
const CAUSES_MAX = 64;
/** Units that one cause lists. */
const UNITS_MAX = 256;

/** What a judgement is made from. */
export interface Findings {
  readonly inventory: Inventory;
  readonly snapshot: Snapshot;
  readonly redundancy: Redundancy;
  readonly causes: readonly Cause[];
  readonly singlePoints: readonly SinglePoint[];
  /** Whether there is anything that an operator should look at. */
  readonly needsAttention: boolean;
  /** Whether the reactor answers. */
  readonly isAnswering: boolean;
}

export function healthOf(findings: Findings): Health {
  const { inventory, snapshot, redundancy, causes, singlePoints, needsAttention, isAnswering } = findings;
  const { notRedundant, withoutPath, inUse } = redundancy;
  const degraded = inventory.units().filter((unit) => unitState(unit, snapshot) === "degraded");
  // Clients may wait for a unit that was offered.
  const isCritical = !isAnswering || withoutPath.length > 0 || inUse.some(({ handle }) => handle !== null);
  return {
    level: isCritical ? "critical" : needsAttention || degraded.length > 0 ? "degraded" : "ok",
    unitsDegraded: degraded.length + notRedundant.length + withoutPath.length,
    unitsNotRedundant: notRedundant.length,
    unitsWithoutPath: withoutPath.length,
    pathsFaulty: causes.reduce((sum, { paths }) => sum + paths.length, 0),
    causes: causes.slice(0, CAUSES_MAX).map((cause) => ({
      text: causeText(cause, snapshot),
      components: [...cause.components],
      paths: cause.paths.length,
      units: cause.units.slice(0, UNITS_MAX).map(({ number }) => number),
    })),
    singlePoints: singlePoints.map(({ component, units }) => ({
      component,
      units: units.slice(0, UNITS_MAX).map(({ number }) => number),
    })),
  };
}
