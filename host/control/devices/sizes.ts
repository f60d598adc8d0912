// The size of a unit whose paths disagree. An array that grows a unit may show the new size on one path earlier than on another,
// and a write to the new blocks over the other path would fail.

import type { FoundPath } from "../../discovery/discover.ts";
import * as abi from "../../abi.ts";
import type { Path } from "../inventory/inventory.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { counted } from "../../wording.ts";

const BAD = abi.PATH_FLAG_FAILED | abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_REMOVING;

/** The size a path reports. */
export interface Told {
  readonly number: string;
  readonly bytes: number;
}

export interface Size {
  readonly bytes: number;
  /** What the paths report when they disagree, and what to do; null when they agree. */
  readonly dispute: string | null;
}

/** The size a found path reports; null when it could not report its capacity. */
export function toldBy({ number, probe: { capacity } }: FoundPath): Told | null {
  return capacity === null ? null : { number, bytes: Number(capacity.blocks) * capacity.blockBytes };
}

/** Whether the report of a known path counts: what a failed path says may have been true long ago. */
export function counts({ handle }: Path, snapshot: Snapshot): boolean {
  const record = handle === null ? null : snapshot.path(handle);
  return record === null || (record.flags & BAD) === 0;
}

/**
 * The size that every reporting path has: the smallest, until all agree. A unit that already had a size keeps it as long as any
 * path reports that much: no file system should lose its end to the first path that shows less. What such a path lacks is read
 * from another one.
 * @param before the size it has, 0 when it has none
 */
export function agreedSize(told: readonly Told[], before: number): Size {
  const smallest = Math.min(...told.map(({ bytes }) => bytes));
  const largest = Math.max(...told.map(({ bytes }) => bytes));
  const bytes = Math.min(Math.max(before, smallest), largest);
  if (smallest === largest) return { bytes, dispute: null };
  const said = told.map((one) => `${one.number} says ${counted(one.bytes, "byte")}`).join(", ");
  return {
    bytes,
    dispute: `${said}; it has ${counted(bytes, "byte")} until all agree: let the array show its size on every path`,
  };
}
