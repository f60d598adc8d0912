// The beginning of a configuration.

/** Paths are checked soon and often: a test need not wait long for one to be failed, or taken back. */
export const QUICK_PATROL = "patrol.interval_s = 1\npatrol.threshold_s = 1\npatrol.timeout_s = 2\n";
