// Allocation of numbers that are kept: of logical units, and priorities of paths (reference section 2). Pure functions.

import type { InitialPaths } from "../schemas/configuration-schema.ts";
import { PRIORITY_MAX } from "../schemas/constants.ts";

/** What is remembered of a path. */
export interface Remembered {
  readonly priority: number;
  readonly enabled: boolean;
  /** Another path got the number meanwhile. */
  readonly priorityLost: boolean;
}

/** Numbers that are taken in a unit. */
export interface Taken {
  /** By paths that are present. */
  readonly present: ReadonlySet<number>;
  /** By those, and by gone paths that would return with what they had. */
  readonly kept: ReadonlySet<number>;
}

/** The lowest number that no unit has, known but gone units included. */
export function nextUnitNumber(taken: ReadonlySet<number>): number {
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}

/** The wanted name, or else one made from the number: another unit may already be called like this number's default. */
export function freeName(taken: ReadonlySet<string>, wanted: string, number: number): string {
  let name = wanted;
  for (let count = 1; taken.has(name); count++) name = count === 1 ? `lu${number}` : `lu${number}_${count}`;
  return name;
}

/** One more than the highest number; the highest free one when that exceeds the limit. */
function nextPriority(taken: ReadonlySet<number>): number {
  const next = Math.max(0, ...taken) + 1;
  if (next <= PRIORITY_MAX) return next;
  for (let priority = PRIORITY_MAX; priority > 0; priority--) if (!taken.has(priority)) return priority;
  throw new Error("a unit has no free priority left");
}

/**
 * Priority and enabled setting of a path that appears. A returning path has what it had, unless another path took its number
 * meanwhile: then it is numbered like a new one, after all known paths. The only path of a unit is enabled, others if
 * `initialPaths` says so.
 * @param hasOthers whether another path of the unit is present
 */
export function admit(
  { present, kept }: Taken,
  remembered: Remembered | undefined,
  initialPaths: InitialPaths,
  hasOthers: boolean,
): Pick<Remembered, "priority" | "enabled"> {
  if (remembered !== undefined) {
    const taken = remembered.priorityLost ? kept : present;
    if (!taken.has(remembered.priority)) return remembered;
  }
  const enabled = remembered?.enabled ?? (initialPaths === "all" || !hasOthers);
  return { priority: nextPriority(kept), enabled };
}
