// Names and bounds that the table of settings shares with the commands, which load them at each start.

/** Every policy, in the order of POLICY_* in the ABI. */
export const POLICY_NAMES = [
  "static",
  "round-robin",
  "least-sectors",
  "adaptive",
  "round-robin-subset",
  "least-in-flight",
  "service-time",
  "historical-service-time",
  "weighted",
  "affinity",
  "power-of-two",
] as const;

/** What the daemon says of itself, the most important first: each level takes in those before it. */
export const LOG_LEVELS = ["error", "warning", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Faults of a path that the core remembers, so the most that may be counted before it is kept out. */
export const MARGINAL_COUNT_MAX = 16;
