// Numbers that are kept: of logical units, and priorities of paths (reference section 2). Pure functions.

import type { InitialPaths } from "./schemas/configuration.ts";
import { PRIORITY_MAX } from "./words.ts";

/** What is known of a path from before. */
export interface Remembered {
  readonly priority: number;
  readonly enabled: boolean;
}

/** The lowest number that no unit has, known ones that are gone included. */
export function nextUnitNumber(taken: ReadonlySet<number>): number {
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}

/** The next number after the highest one; the highest free one when that is used up. */
export function nextPriority(taken: ReadonlySet<number>): number {
  const next = Math.max(0, ...taken) + 1;
  if (next <= PRIORITY_MAX) return next;
  for (let priority = PRIORITY_MAX; priority > 0; priority--) if (!taken.has(priority)) return priority;
  throw new Error("a unit has no free priority left");
}

/**
 * Priority and enabling of a path that appears. One that comes back has what it had, unless another path took its
 * number meanwhile: then it is numbered like a new one. The first path a unit ever had is enabled, later ones if
 * `initialPaths` says so.
 * @param present priorities of the unit's paths that are there
 * @param hasHistory whether the unit ever had another path
 */
export function admit(
  present: ReadonlySet<number>,
  remembered: Remembered | undefined,
  initialPaths: InitialPaths,
  hasHistory: boolean,
): Remembered {
  if (remembered !== undefined && !present.has(remembered.priority)) return remembered;
  const enabled = remembered?.enabled ?? (initialPaths === "all" || !hasHistory);
  return { priority: nextPriority(present), enabled };
}
