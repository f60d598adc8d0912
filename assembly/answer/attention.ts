// What an outcome tells control besides what it means for the command: the device is not, or not in every respect, what it was.

import { EVENT_CAPACITY_CHANGED, EVENT_INQUIRY_CHANGED, EVENT_THIN_THRESHOLD } from "../abi";
import { event } from "../memory/ring";
import { Path } from "../memory/topology";
import { cacheUnverify } from "../request/cache";
import {
  OUTCOME_CAPACITY,
  OUTCOME_INVENTORY,
  OUTCOME_PARAMETERS,
  OUTCOME_PAST_END,
  OUTCOME_THRESHOLD,
} from "../scsi/outcome";

/** A unit attention that only tells: the device has not begun the command, and takes it now. */
export function onlyTells(outcome: u8): bool {
  if (outcome === OUTCOME_PARAMETERS || outcome === OUTCOME_INVENTORY) return true;
  return outcome === OUTCOME_CAPACITY || outcome === OUTCOME_THRESHOLD;
}

/** Passes it on; `sense` as classified, `shown` as events show it. */
export function tellControl(p: Path, outcome: u8, reason: u32, sense: u32, shown: u32): void {
  let kind: u32;
  if (outcome === OUTCOME_CAPACITY || outcome === OUTCOME_PAST_END) kind = EVENT_CAPACITY_CHANGED;
  else if (outcome === OUTCOME_THRESHOLD) kind = EVENT_THIN_THRESHOLD;
  else if (outcome === OUTCOME_INVENTORY || outcome === OUTCOME_PARAMETERS) {
    cacheUnverify(p.unit, sense);
    kind = EVENT_INQUIRY_CHANGED;
  } else return;
  event(kind, reason, p.unit.index, p.index, 0, 0, shown, 0);
}
