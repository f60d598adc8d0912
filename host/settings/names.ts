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

/** The socket for readers, beside that of the API: `api-read.sock` beside `api.sock`. */
export const readSocketOf = (apiSocket: string): string => `${apiSocket.replace(/\.sock$/, "")}-read.sock`;

/** Log levels, the most important first: each level includes those before it. */
export const LOG_LEVELS = ["error", "warning", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Faults per path that the core remembers, and so the largest count before a path becomes marginal. */
export const MARGINAL_COUNT_MAX = 16;
