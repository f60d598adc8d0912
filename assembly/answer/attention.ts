// What an outcome tells control beyond the fate of the command: that the device has changed in some respect, or is another host's.

import { EVENT_RESERVATION_CONFLICT, REASON_RESERVATION } from "../abi";
import { event, now } from "../memory/ring";
import { MILLISECOND } from "../memory/time";
import { Path } from "../memory/topology";
import { registrantsSet } from "../path/registration";
import { unitRefresh } from "../path/tiers";
import { cacheUnverify } from "../request/cache";
import { eventOf } from "../scsi/meaning";

/** Shortest time between two reports of conflicts on a path; those between them are counted. */
const CONFLICTS_NS: u64 = 100 * MILLISECOND;

/** Reports it, if there is anything to report; `sense` as classified, `shown` as events display it. */
export function tellControl(path: Path, outcome: u8, reason: u32, sense: u32, shown: u32): void {
  const kind = eventOf(outcome);
  if (kind === 0) return;
  cacheUnverify(path.unit, sense);
  let count: u32 = 0;
  if (kind === EVENT_RESERVATION_CONFLICT) {
    if (registrantsSet(path.unit, 0)) unitRefresh(path.unit, REASON_RESERVATION, shown, 0);
    path.conflicts++;
    if (path.conflictToldNs !== 0 && now - path.conflictToldNs < CONFLICTS_NS) return;
    path.conflictToldNs = now;
    count = path.conflicts;
    path.conflicts = 0;
  }
  event(kind, reason, path.unit.index, path.index, count, 0, shown, 0);
}
