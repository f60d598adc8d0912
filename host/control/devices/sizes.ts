// How large a unit is whose paths do not say the same. An array that grows a unit may show the new size on one path earlier
// than on another, and whoever wrote to the new blocks over the other one would get an error.

import type { FoundPath } from "../../discovery/discover.ts";
import * as abi from "../../abi.ts";
import type { Path } from "../inventory/inventory.ts";
import type { Snapshot } from "../core/snapshot.ts";

const BAD = abi.PATH_FLAG_FAILED | abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_REMOVING;

/** What a path says of its unit's size. */
export interface Told {
  readonly number: string;
  readonly bytes: number;
}

export interface Size {
  readonly bytes: number;
  /** What the paths say where they do not agree, and what to do; null when they do. */
  readonly dispute: string | null;
}

/** What a found path tells; null when it could not tell its capacity. */
export function toldBy({ number, probe: { capacity } }: FoundPath): Told | null {
  return capacity === null ? null : { number, bytes: Number(capacity.blocks) * capacity.blockBytes };
}

/** Whether a path that was there before is one of those whose word counts: a failed one may say what was true long ago. */
export function counts({ handle }: Path, snapshot: Snapshot): boolean {
  const record = handle === null ? null : snapshot.path(handle);
  return record === null || (record.flags & BAD) === 0;
}

/**
 * The size that every path that tells one has: the smallest, until all agree. A unit that had a size keeps it as long as
 * any path shows so much, as nobody's file system should end with the first path that shows less: what this path does not
 * have is asked on another.
 * @param before the size it has, 0 when it has none
 */
export function agreedSize(told: readonly Told[], before: number): Size {
  const smallest = Math.min(...told.map(({ bytes }) => bytes));
  const largest = Math.max(...told.map(({ bytes }) => bytes));
  const bytes = Math.min(Math.max(before, smallest), largest);
  if (smallest === largest) return { bytes, dispute: null };
  const said = told.map((one) => `${one.number} says ${one.bytes} bytes`).join(", ");
  return {
    bytes,
    dispute: `${said}; it has ${bytes} bytes until all agree: let the array show its size on every path`,
  };
}
