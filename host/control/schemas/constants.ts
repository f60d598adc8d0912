// Words and bounds that the daemon's schemas and the commands share. Nothing is imported here: a command loads it at
// each start.

/** Where the configuration file is looked for when nobody names one. */
export const CONFIGURATION_FILE = "/etc/pathmanager/pathmanager.toml";

/** Priorities: larger wins (reference section 2). */
export const PRIORITY_MIN = 1;
export const PRIORITY_MAX = 254;
export const PRIORITY_RULE = `a priority is a whole number from ${PRIORITY_MIN} to ${PRIORITY_MAX}`;

/** What units are called until they have a name: `lu3` is #3. No name of another unit may look like that. */
export const NUMBERED_NAME = /^lu(\d+)$/;

/** How identities of units begin. A name that looks like one could be another unit's, to whoever names units by identity. */
export const IDENTITY_NAME = /^(naa|eui|t10|uuid|serial|name|iqn)\./i;
export const IDENTITY_NAME_RULE = "a name that looks like an identity could be another unit's; choose another name";

/** Events in one answer of the API; a longer history is asked for page by page. */
export const EVENTS_MAX = 1000;
