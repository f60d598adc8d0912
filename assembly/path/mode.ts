// System-wide modes (`modeSet`).

import {
  ERROR_PROPERTY,
  ERROR_RANGE,
  FAILBACK_MODE_ACTIVE,
  FAILBACK_MODE_STANDBY,
  MODE_CLUSTER,
  MODE_FAILBACK,
  MODE_PATROL,
  MODE_PATROL_INTERVAL_MS,
  MODE_PATROL_THRESHOLD_MS,
  MODE_PATROL_TIMEOUT_MS,
  MODE_MARGINAL,
  MODE_MARGINAL_CLEAN_S,
  MODE_MARGINAL_COUNT,
  MODE_MARGINAL_WINDOW_S,
  MODE_TELLS_SHARERS,
} from "../abi";
import {
  DEFAULT_CLUSTER,
  DEFAULT_FAILBACK,
  DEFAULT_PATROL,
  DEFAULT_PATROL_INTERVAL_MS,
  DEFAULT_PATROL_THRESHOLD_MS,
  DEFAULT_PATROL_TIMEOUT_MS,
  DEFAULT_MARGINAL,
  DEFAULT_MARGINAL_CLEAN_S,
  DEFAULT_MARGINAL_COUNT,
  DEFAULT_MARGINAL_WINDOW_S,
} from "../defaults";
import { MILLISECOND, SECOND } from "../memory/time";
import { PATH_FAULT_TIMES_MAX } from "../memory/topology";

const PATROL_MS_MAX: i64 = 3600000;
const SECONDS_MAX: i64 = 31536000;

export let failbackMode: u32 = DEFAULT_FAILBACK;
export let clusterMode: bool = DEFAULT_CLUSTER !== 0;
/** Bits of the patrol mode (MODE_PATROL): check healthy paths; check failed paths, and reinstate them. */
const PATROL_HEALTH: u32 = 1;
const PATROL_RECOVERY: u32 = 2;
let patrolMode: u32 = DEFAULT_PATROL;
export let patrolIntervalNs: u64 = <u64>DEFAULT_PATROL_INTERVAL_MS * MILLISECOND;
export let patrolThresholdNs: u64 = <u64>DEFAULT_PATROL_THRESHOLD_MS * MILLISECOND;
export let patrolTimeoutNs: u64 = <u64>DEFAULT_PATROL_TIMEOUT_MS * MILLISECOND;
export let marginalMode: bool = DEFAULT_MARGINAL !== 0;
export let marginalCount: u32 = DEFAULT_MARGINAL_COUNT;
export let marginalWindowNs: u64 = <u64>DEFAULT_MARGINAL_WINDOW_S * SECOND;
/** 0: a marginal path waits for an operator. */
export let marginalCleanNs: u64 = <u64>DEFAULT_MARGINAL_CLEAN_S * SECOND;

/** Other cores serve other units over the same components. */
export let tellsSharers: bool = false;

/** Whether patrol reinstates failed paths. */
export function patrolRecovers(): bool {
  return (patrolMode & PATROL_RECOVERY) !== 0;
}

/** Whether patrol checks healthy paths. */
export function patrolChecksHealth(): bool {
  return (patrolMode & PATROL_HEALTH) !== 0;
}

/** Sets a mode or one of its numbers. The consequences for paths are up to the caller (modeset.ts). */
export function modeSet(mode: u32, value: i64): i32 {
  if (value < 0) return -(<i32>ERROR_RANGE);
  if (mode === MODE_PATROL_INTERVAL_MS || mode === MODE_PATROL_THRESHOLD_MS || mode === MODE_PATROL_TIMEOUT_MS) {
    if (value === 0 || value > PATROL_MS_MAX) return -(<i32>ERROR_RANGE);
    const ns = <u64>value * MILLISECOND;
    if (mode === MODE_PATROL_INTERVAL_MS) patrolIntervalNs = ns;
    else if (mode === MODE_PATROL_THRESHOLD_MS) patrolThresholdNs = ns;
    else patrolTimeoutNs = ns;
    return 0;
  }
  if (mode === MODE_MARGINAL_COUNT || mode === MODE_MARGINAL_WINDOW_S || mode === MODE_MARGINAL_CLEAN_S) {
    return setMarginal(mode, value);
  }
  if (mode === MODE_PATROL) {
    if (value > <i64>(PATROL_HEALTH | PATROL_RECOVERY)) return -(<i32>ERROR_RANGE);
    patrolMode = <u32>value;
    return 0;
  }
  if (value > 1) return -(<i32>ERROR_RANGE);
  if (mode === MODE_FAILBACK) failbackMode = value === 1 ? FAILBACK_MODE_STANDBY : FAILBACK_MODE_ACTIVE;
  else if (mode === MODE_CLUSTER) clusterMode = value === 1;
  else if (mode === MODE_MARGINAL) marginalMode = value === 1;
  else if (mode === MODE_TELLS_SHARERS) tellsSharers = value === 1;
  else return -(<i32>ERROR_PROPERTY);
  return 0;
}

/** The numbers of intermittent-failure monitoring. */
function setMarginal(mode: u32, value: i64): i32 {
  if (value > SECONDS_MAX || (value === 0 && mode !== MODE_MARGINAL_CLEAN_S)) return -(<i32>ERROR_RANGE);
  if (mode === MODE_MARGINAL_COUNT) {
    if (value > <i64>PATH_FAULT_TIMES_MAX) return -(<i32>ERROR_RANGE);
    marginalCount = <u32>value;
  } else if (mode === MODE_MARGINAL_WINDOW_S) marginalWindowNs = <u64>value * SECOND;
  else marginalCleanNs = <u64>value * SECOND;
  return 0;
}
