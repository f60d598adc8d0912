// How long the process runs: CLOCK_MONOTONIC, which nobody sets.

/** Whole milliseconds since the process started. */
export const sinceStartMs = (): number => Math.round(performance.now());
