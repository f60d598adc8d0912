// Numbers that are kept: of logical units, and priorities of paths (reference section 2). Pure functions.

import type { InitialPaths } from "../schemas/configuration.ts";
import { PRIORITY_MAX } from "../schemas/constants.ts";

/** What is known of a path from before. */
export interface Remembered {
  readonly priority: number;
  readonly enabled: boolean;
  /** Another path was given the number meanwhile. */
  readonly priorityLost: boolean;
}

/** Numbers that are taken in a unit. */
export interface Taken {
  /** By paths that are there. */
  readonly present: ReadonlySet<number>;
  /** By those, and by paths that are gone and come back with what they had. */
  readonly kept: ReadonlySet<number>;
}

/** The lowest number that no unit has, known ones that are gone included. */
export function nextUnitNumber(taken: ReadonlySet<number>): number {
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}

/** The name that is wanted, else one made from the number: another unit may have been given that of this number. */
export function freeName(taken: ReadonlySet<string>, wanted: string, number: number): string {
  let name = wanted;
  for (let count = 1; taken.has(name); count++) name = count === 1 ? `lu${number}` : `lu${number}_${count}`;
  return name;
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
 * number meanwhile: then it is numbered like a new one, after all that are known. The only path of a unit is
 * enabled, others if `initialPaths` says so.
 * @param hasOthers whether another path of the unit is there
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
