// Constants and bounds shared by the daemon's schemas and the commands. It imports nothing, because every start of a command
// loads it.

/** Where the configuration file is when none is named. */
export const CONFIGURATION_FILE = "/etc/pathmanager/pathmanager.toml";

/** Priorities: larger wins (reference section 2). */
export const PRIORITY_MIN = 1;
export const PRIORITY_MAX = 254;
export const PRIORITY_RULE = `a priority is a whole number from ${PRIORITY_MIN} to ${PRIORITY_MAX}`;

/** Default names of units: `lu3` is #3. No other unit's name may look like that. */
export const NUMBERED_NAME = /^lu(\d+)$/;

/**
 * How unit identities begin. A name that looks like one could be mistaken for another unit by anyone who names units by identity.
 */
export const IDENTITY_NAME = /^(naa|eui|t10|uuid|serial|name|iqn)\./i;
export const IDENTITY_NAME_RULE = "a name that looks like an identity could be another unit's; choose another name";

/** Events in one answer of the API; a longer history is read page by page. */
export const EVENTS_MAX = 1000;
