// What an outcome tells control beyond the fate of the command: that the device has changed in some respect.

import { event } from "../memory/ring";
import { Path } from "../memory/topology";
import { cacheUnverify } from "../request/cache";
import { eventOf } from "../scsi/meaning";

/** Reports it, if there is anything to report; `sense` as classified, `shown` as events display it. */
export function tellControl(path: Path, outcome: u8, reason: u32, sense: u32, shown: u32): void {
  const kind = eventOf(outcome);
  if (kind === 0) return;
  cacheUnverify(path.unit, sense);
  event(kind, reason, path.unit.index, path.index, 0, 0, shown, 0);
}
