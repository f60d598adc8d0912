// What one scan of the devices is about to change.

import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { Arrival, BringUp } from "./bring-up.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { Inventory, Path, Unit } from "../inventory/inventory.ts";
import type { Snapshots } from "../core/snapshots.ts";
import type { State } from "../state/state.ts";
import type { Refused } from "./units-in-use.ts";

export interface Parts {
  readonly inventory: Inventory;
  readonly state: State;
  readonly reactor: ReactorClient;
  readonly bringUp: BringUp;
  readonly hub: EventHub;
  readonly snapshots: Snapshots;
}

/** What a scan led to. */
export interface Outcome {
  readonly refused: readonly Refused[];
  /** What failed and must be tried again, one sentence each. */
  readonly problems: readonly string[];
}

type PathBefore = Pick<Path, "priority" | "enabled" | "enabling" | "priorityLost">;
export type UnitBefore = Pick<Unit, "facts" | "capabilities">;

/** What one scan is about to change. */
export interface Plan {
  arrivals: Arrival[];
  /** The paths of all arrivals: with thousands of them nobody should look through the list for each. */
  readonly arriving: Set<Path>;
  readonly newUnits: Set<Unit>;
  readonly newPaths: Set<Path>;
  /** Gone for so long that others may have their place. */
  readonly outdated: Set<Path>;
  /** Paths whose number has changed; the value is the new one. */
  readonly renumbered: Map<Path, string>;
  /** Units that the path numbers used to lead to. */
  readonly ledTo: Map<Path, Unit>;
  /** Known paths and units that change, as they were before. */
  readonly changedPaths: Map<Path, PathBefore>;
  readonly changedUnits: Map<Unit, Pick<Unit, "facts">>;
  /** Numbers and names in use by units, including those of this scan. */
  readonly unitNumbers: Set<number>;
  readonly unitNames: Set<string>;
  readonly refused: Refused[];
  /** Priorities given to paths of a unit, including those of this scan. */
  readonly priorities: Map<Unit, Set<number>>;
  /** What to do once the state file has been written. */
  readonly after: (() => Promise<void> | void)[];
  readonly problems: string[];
}

/** Called before a known path changes: the change is saved with this scan, or undone. */
export function changing(plan: Plan, path: Path): void {
  const { priority, enabled, enabling, priorityLost } = path;
  if (!plan.changedPaths.has(path)) plan.changedPaths.set(path, { priority, enabled, enabling, priorityLost });
}
