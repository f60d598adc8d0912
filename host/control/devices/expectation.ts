// Before a unit is taken, udev is told of it; then the devices are listed once more. Whoever heeds udev's marks has judged no path of the
// unit by then that is not claimed with the others: a path that came before is claimed with the others, or in use, and a later one is marked.
// A unit of which a path has come in between has to wait for the next scan.

import type { FoundPath } from "../../discovery/discover.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Scan } from "./device-scan.ts";
import { isOurs, type FreeOfUse } from "./units-in-use.ts";

/** Tells udev which units are about to be taken; returns whether it did not know them all. */
export type Expect = (paths: readonly FoundPath[]) => boolean;

const identityOf = ({ probe }: FoundPath): string => probe.identity.text;

/** What can be taken now, and whether something has to wait. */
export interface Settled {
  readonly free: FreeOfUse;
  readonly isAllThere: boolean;
}

export async function settle(
  free: FreeOfUse,
  inventory: Inventory,
  scan: Pick<Scan, "latecomers">,
  expect: Expect,
): Promise<Settled> {
  const ours = new Set(
    inventory
      .units()
      .filter(isOurs)
      .map(({ identity }) => identity.text),
  );
  const newcomers = free.paths.filter((path) => !ours.has(identityOf(path)));
  if (!expect(newcomers)) return { free, isAllThere: true };
  const late = await scan.latecomers(free.paths);
  const isLate = (path: FoundPath): boolean => !ours.has(identityOf(path)) && late.has(identityOf(path));
  const waiting = newcomers.filter(isLate);
  // They stay announced. If the others cannot be claimed after all, they are not.
  expect(waiting);
  if (waiting.length === 0) return { free, isAllThere: true };
  return { free: { ...free, paths: free.paths.filter((path) => !isLate(path)) }, isAllThere: false };
}
