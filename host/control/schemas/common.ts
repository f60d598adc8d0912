// Types shared by all parts of the API and by the configuration file.
//
// Sizes are in bytes, times carry their unit in the name, counters start when the daemon does.

import * as z from "zod";
import { IDENTITY_NAME, IDENTITY_NAME_RULE, PRIORITY_MAX, PRIORITY_MIN, PRIORITY_RULE } from "./constants.ts";

/** Path number `host:channel:target:lun`, decimal, without leading zeroes: `4:0:0:1`. */
export const PathNumber = z
  .string()
  .regex(/^(0|[1-9]\d{0,9}):(0|[1-9]\d{0,9}):(0|[1-9]\d{0,9}):(0|[1-9]\d{0,19})$/, {
    error: "a path number is host:channel:target:lun, four decimal numbers, like 4:0:0:1",
  })
  .meta({ id: "PathNumber", description: "host:channel:target:lun", examples: ["4:0:0:1"] });
export type PathNumber = z.infer<typeof PathNumber>;

/** A path number whose fields may be omitted; an omitted field matches everything: `5:::`. */
export const PathPattern = z
  .string()
  .regex(/^\d{0,10}:\d{0,10}:\d{0,10}:\d{0,20}$/, {
    error: "a pattern is host:channel:target:lun; fields may be left out, the three colons may not, like 5:::",
  })
  .meta({ id: "PathPattern", description: "A path number; fields left out match all", examples: ["5:::"] });
export type PathPattern = z.infer<typeof PathPattern>;

/** The number of a logical unit: what `#0` shows. */
export const UnitNumber = z
  .int()
  .min(0)
  .max(65535)
  .meta({ id: "UnitNumber", description: "Number of the logical unit, kept for its identity" });
export type UnitNumber = z.infer<typeof UnitNumber>;

/** A unit number in a URL: `3`, `#3` (percent-encoded) or the unit's name. */
export const UnitKey = z.string().min(1).max(64).meta({ description: "Number of the logical unit (3), or its name" });

/** Name of a unit, which is also the name of its NBD export. */
export const UnitName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,62}$/, {
    error: "a name is 1 to 63 letters, digits, '_', '.', '-' and starts with a letter or '_'",
  })
  .meta({ id: "UnitName", description: "Name of the unit and of its NBD export" });

/** A name to give to a unit. */
export const NewUnitName = UnitName.refine((name) => !IDENTITY_NAME.test(name), { error: IDENTITY_NAME_RULE }).meta({
  id: "NewUnitName",
  description: "Name of the unit and of its NBD export; not one that looks like an identity (naa., eui., t10., ...)",
});

/** Priority of a path within its unit; larger wins. */
export const Priority = z
  .int({ error: PRIORITY_RULE })
  .min(PRIORITY_MIN, { error: PRIORITY_RULE })
  .max(PRIORITY_MAX, { error: PRIORITY_RULE })
  .meta({ id: "Priority", description: "1..254, unique within the unit, larger wins" });

/** A counter or a size; JSON numbers are exact up to 2^53. */
export const Count = z.number().min(0);

/** Milliseconds since 1970-01-01 UTC. */
export const TimeMs = z.number().meta({ description: "Milliseconds since 1970-01-01 UTC" });

/** Stable codes of every error the API answers. */
const ERROR_CODES = [
  "INVALID_REQUEST",
  "BODY_TOO_LARGE",
  "NOT_ALLOWED",
  "NOT_AUTHENTICATED",
  "UNKNOWN_ROUTE",
  "UNKNOWN_PATH",
  "UNKNOWN_HOST",
  "UNKNOWN_UNIT",
  "AMBIGUOUS_PATH",
  "PRIORITY_IN_USE",
  "NOT_ONE_UNIT",
  "NAME_IN_USE",
  "CLUSTER_MODE",
  "UNKNOWN_POLICY",
  "POLICY_PARAMETER",
  "PATH_NOT_FAILED",
  "PATH_FAILED",
  "PATH_CHECK_FAILED",
  "PATH_PRESENT",
  "WRONG_UNIT",
  "ATTACHED",
  "NOT_ATTACHED",
  "ATTACH_FAILED",
  "BUSY",
  "LIMIT",
  "NOT_EMULATED",
  "RESERVATION_CONFLICT",
  "RESERVATION_REFUSED",
  "RESERVATION_UNSUPPORTED",
  "CONFIGURATION",
  "STATE_WRITE_FAILED",
  "STATE_LOCKED",
  "STATE_DAMAGED",
  "SOCKET",
  "DISCOVERY",
  "UNAVAILABLE",
  "INTERNAL",
] as const;

export const ErrorCode = z.enum(ERROR_CODES).meta({ id: "ErrorCode" });
export type ErrorCode = z.infer<typeof ErrorCode>;

/** The body of every answer with a status of 400 or more. */
export const ErrorBody = z
  .object({
    error: z.object({
      code: ErrorCode,
      message: z.string().meta({ description: "One sentence that names what is wrong" }),
      parameter: z.string().nullable().meta({ description: "The parameter, path or key that is wrong" }),
      remedy: z.string().nullable().meta({ description: "What to do" }),
    }),
  })
  .meta({ id: "ErrorBody" });
export type ErrorBody = z.infer<typeof ErrorBody>;

/** The answer to a change that has nothing to show. */
export const Done = z.object({ done: z.literal(true) }).meta({ id: "Done" });
export type Done = z.infer<typeof Done>;
