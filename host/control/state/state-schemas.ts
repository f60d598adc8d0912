// What lies in the state file as text, and what it has to be.

import * as z from "zod";
import { IDENTITY_TYPES } from "../../discovery/identity.ts";

/** What is remembered of a unit while its paths are gone. */
export const UnitFacts = z.object({
  identityType: z.enum(IDENTITY_TYPES),
  vendor: z.string(),
  product: z.string(),
  revision: z.string(),
  serial: z.string(),
  bytes: z.number(),
  blockBytes: z.number(),
  /** The identity by which an earlier version knew the unit, if that was another: who still names it so means this one. */
  formerIdentity: z.string().optional(),
});
export type UnitFacts = z.infer<typeof UnitFacts>;

/** Settings of the system that a command can change. A key that is not there was never set by command. */
export const Settings = z.object({
  failback: z.enum(["active", "standby"]).optional(),
  cluster: z.boolean().optional(),
  patrol: z.object({ mode: z.int(), intervalS: z.int(), thresholdS: z.int(), timeoutS: z.int() }).partial().optional(),
});
export type Settings = z.infer<typeof Settings>;

/**
 * Whether it is known that a path is enabled as it says. `unknown`: that was lost, and it is decided when its device appears;
 * `guessed`: it was decided so, and an operator has the last word.
 */
export const ENABLINGS = ["known", "unknown", "guessed"] as const;
export type Enabling = (typeof ENABLINGS)[number];
