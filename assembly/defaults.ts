// Generated from host/settings by `npm run build:abi`. Do not edit.

/** `failback` */
export const DEFAULT_FAILBACK: u32 = 0;
/** `cluster` */
export const DEFAULT_CLUSTER: u32 = 0;
/** `policy` */
export const DEFAULT_POLICY: u32 = 3;
/** `patrol.mode` */
export const DEFAULT_PATROL: u32 = 3;
/** `patrol.interval_s` */
export const DEFAULT_PATROL_INTERVAL_MS: u32 = 5000;
/** `patrol.threshold_s` */
export const DEFAULT_PATROL_THRESHOLD_MS: u32 = 5000;
/** `patrol.timeout_s` */
export const DEFAULT_PATROL_TIMEOUT_MS: u32 = 10000;
/** `marginal.enabled` */
export const DEFAULT_MARGINAL: u32 = 1;
/** `marginal.count` */
export const DEFAULT_MARGINAL_COUNT: u32 = 3;
/** `marginal.window_s` */
export const DEFAULT_MARGINAL_WINDOW_S: u32 = 1800;
/** `marginal.clean_s` */
export const DEFAULT_MARGINAL_CLEAN_S: u32 = 0;
/** `timeouts.io_ms` */
export const DEFAULT_IO_TIMEOUT_MS: u32 = 60000;
/** `timeouts.no_path_ms` */
export const DEFAULT_NO_PATH_TIMEOUT_MS: u32 = 30000;
/** `timeouts.stall_min_ms` */
export const DEFAULT_STALL_MIN_MS: u32 = 25;
/** `timeouts.stall_max_ms` */
export const DEFAULT_STALL_MAX_MS: u32 = 2000;
/** `timeouts.command_ms` */
export const DEFAULT_COMMAND_TIMEOUT_MS: u32 = 30000;
/** `timeouts.lost_reset_ms` */
export const DEFAULT_LOST_RESET_MS: u32 = 2000;
/** `timeouts.orphan_reset_ms` */
export const DEFAULT_ORPHAN_RESET_MS: u32 = 30000;
/** `alua.explicit` */
export const DEFAULT_ALUA_EXPLICIT: u32 = 0;
/** `units.patrol_read` */
export const DEFAULT_PATROL_READ: u32 = 0;
/** `units.hedge_budget_percent` */
export const DEFAULT_HEDGE_BUDGET: u32 = 0;
