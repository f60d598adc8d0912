// The JSON texts in the state file, and their schemas.

import * as z from "zod";
import { IDENTITY_TYPES } from "../../discovery/canonical-identity.ts";

/** What is remembered of a unit while its paths are gone. */
export const UnitFacts = z.object({
  identityType: z.enum(IDENTITY_TYPES),
  vendor: z.string(),
  product: z.string(),
  revision: z.string(),
  serial: z.string(),
  bytes: z.number(),
  blockBytes: z.number(),
  /** The identity by which an earlier version knew the unit, if it was another: names that use it still mean this unit. */
  formerIdentity: z.string().optional(),
  /** The reactor that an operator moved it to. */
  reactor: z.int().optional(),
});
export type UnitFacts = z.infer<typeof UnitFacts>;

/** System settings that a command can change. A missing key was never set by command. */
export const Settings = z.object({
  failback: z.enum(["active", "standby"]).optional(),
  cluster: z.boolean().optional(),
  patrol: z.object({ mode: z.int(), intervalS: z.int(), thresholdS: z.int(), timeoutS: z.int() }).partial().optional(),
});
export type Settings = z.infer<typeof Settings>;

/**
 * Whether it is certain that a path is enabled as stored. `unknown`: the setting was lost, and is decided when its device
 * appears; `guessed`: it was decided that way, and an operator has the last word.
 */
export const ENABLINGS = ["known", "unknown", "guessed"] as const;
export type Enabling = (typeof ENABLINGS)[number];
