// What an outcome tells control besides what it means for the command: the device is not, or not in every respect, what it was.

import { event } from "../memory/ring";
import { Path } from "../memory/topology";
import { cacheUnverify } from "../request/cache";
import { eventOf } from "../scsi/meaning";

/** Passes it on, if there is anything to tell; `sense` as classified, `shown` as events show it. */
export function tellControl(p: Path, outcome: u8, reason: u32, sense: u32, shown: u32): void {
  const kind = eventOf(outcome);
  if (kind === 0) return;
  cacheUnverify(p.unit, sense);
  event(kind, reason, p.unit.index, p.index, 0, 0, shown, 0);
}
