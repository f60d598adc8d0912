// What one rescan of the devices is about to change.

import type { ReactorClient } from "../../reactor/client.ts";
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

/** What a rescan led to. */
export interface Outcome {
  readonly refused: readonly Refused[];
  /** What did not succeed and has to be tried again, one sentence each. */
  readonly problems: readonly string[];
}

export type PathBefore = Pick<Path, "priority" | "enabled" | "enabling" | "priorityLost">;
export type UnitBefore = Pick<Unit, "facts" | "capabilities">;

/** What one rescan is about to change. */
export interface Plan {
  arrivals: Arrival[];
  readonly newUnits: Set<Unit>;
  readonly newPaths: Set<Path>;
  /** Gone for so long that others need their place. */
  readonly outdated: Set<Path>;
  /** Paths that have another number than before, which is the value here. */
  readonly renumbered: Map<Path, string>;
  /** Units to which the numbers of paths led before. */
  readonly ledTo: Map<Path, Unit>;
  /** Known paths and units that change, as they were. */
  readonly changedPaths: Map<Path, PathBefore>;
  readonly changedUnits: Map<Unit, Pick<Unit, "facts">>;
  /** Numbers and names that units have, those of this rescan included. */
  readonly unitNumbers: Set<number>;
  readonly unitNames: Set<string>;
  readonly refused: Refused[];
  /** Priorities given to paths of a unit, those of this rescan included. */
  readonly priorities: Map<Unit, Set<number>>;
  /** What to do once the state file has it. */
  readonly after: (() => Promise<void> | void)[];
  readonly problems: string[];
}

/** Called before a known path changes: what it becomes is saved with this rescan, or taken back. */
export function changing(plan: Plan, path: Path): void {
  const { priority, enabled, enabling, priorityLost } = path;
  if (!plan.changedPaths.has(path)) plan.changedPaths.set(path, { priority, enabled, enabling, priorityLost });
}
