// A volatile write cache: whether what was acknowledged may be there only, so that a flush has to go to the device.

import { UNIT_CAN_CACHE_WRITES } from "./abi";
import { Unit } from "./topology";

const ASC_PARAMETERS_CHANGED: u32 = 0x2a;
/** 2A/00: parameters changed; 2A/01: mode parameters changed. The others are about reservations, capacity and the like. */
const ASCQ_MODE_PARAMETERS: u32 = 0x01;

/** Whether a flush has to go to the device. */
export function cachesWrites(u: Unit): bool {
  return (u.capabilities & UNIT_CAN_CACHE_WRITES) !== 0 || u.cacheDoubted !== 0;
}

/**
 * Parameters of the device have changed (`sense` tells which): it may have a cache now. It is told once on each path, so
 * flushes go to the device from here on, whatever control says: that may be older. A flush too many harms nobody.
 */
export function cacheDoubt(u: Unit, sense: u32): void {
  const asc = (sense >> 8) & 0xff;
  const ascq = (sense >> 16) & 0xff;
  if (asc === ASC_PARAMETERS_CHANGED && ascq <= ASCQ_MODE_PARAMETERS) u.cacheDoubted = 1;
}
