// Words and bounds that the daemon's schemas and the commands share. Nothing is imported here: a command loads it at
// each start.

/** Where the configuration file is looked for when nobody names one. */
export const CONFIGURATION_FILE = "/etc/pathmanager/pathmanager.toml";

/** What the daemon says of itself, the most important first: each level takes in those before it. */
export const LOG_LEVELS = ["error", "warning", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

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

/** Priorities: larger wins (reference section 2). */
export const PRIORITY_MIN = 1;
export const PRIORITY_MAX = 254;
export const PRIORITY_RULE = `a priority is a whole number from ${PRIORITY_MIN} to ${PRIORITY_MAX}`;

/** What units are called until they have a name: `lu3` is #3. No name of another unit may look like that. */
export const NUMBERED_NAME = /^lu(\d+)$/;

/** How identities of units begin. A name that looks like one could be another unit's, to whoever names units by identity. */
export const IDENTITY_NAME = /^(naa|eui|t10|uuid|serial|name|iqn)\./i;
export const IDENTITY_NAME_RULE = "a name that looks like an identity could be another unit's; choose another name";

/** Faults of a path that the core remembers, so the most that may be counted before it is kept out. */
export const SHAKY_COUNT_MAX = 16;

/** Events in one answer of the API; a longer history is asked for page by page. */
export const EVENTS_MAX = 1000;
