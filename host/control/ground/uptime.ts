// Uptime of the process by CLOCK_MONOTONIC, which nobody can set.

/** Whole milliseconds since the process started. */
export const sinceStartMs = (): number => Math.round(performance.now());
