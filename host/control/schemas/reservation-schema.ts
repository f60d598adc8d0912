// Persistent reservations of a unit: what can be asked for, and how it is registered.

import * as z from "zod";
import { IN_ACTIONS, IN_BYTES_MAX, keyOf, OUT_ACTIONS } from "../../discovery/persistent-reservations.ts";
import { Count, PathNumber, UnitNumber } from "./common.ts";

const KEY_RULE = "a key is 1 to 16 hexadecimal digits, with or without 0x in front, like 0x123abc";

/** As tools write it: `0x` and no leading zeroes. */
const Key = z
  .string()
  .regex(/^(0[xX])?[0-9a-fA-F]{1,16}$/, { error: KEY_RULE })
  .meta({ id: "ReservationKey", description: "1 to 16 hexadecimal digits; 0 is no key", examples: ["0x123abc"] });

const GivenKey = Key.overwrite((text) => keyOf(text) ?? text);

/** GET /v1/units/:n/reservation/in */
export const ReservationQuestion = z.object({
  action: z.enum(IN_ACTIONS),
  bytes: z.coerce.number().int().min(0).max(IN_BYTES_MAX).optional().meta({ description: "ALLOCATION LENGTH" }),
});

/** The device's answer, byte by byte. */
export const ReservationAnswer = z
  .object({ data: z.string().meta({ description: "Hexadecimal digits, two for each byte (SPC-4 6.15)" }) })
  .meta({ id: "ReservationAnswer" });

/** POST /v1/units/:n/reservation */
export const ReservationOrder = z
  .strictObject({
    action: z.enum(OUT_ACTIONS),
    key: GivenKey.optional().meta({ description: "RESERVATION KEY; left out: the one this host is registered with" }),
    serviceActionKey: GivenKey.optional().meta({
      description: "The new key (register), 0 to unregister; the key to remove (preempt)",
    }),
    type: z.int().min(0).max(15).optional().meta({ description: "1, 3, 5, 6, 7 or 8 (SPC-4 6.15.3.4)" }),
    aptpl: z.boolean().optional().meta({ description: "Persist through power loss; left out: if the device can" }),
    allTargetPorts: z.boolean().optional().meta({ description: "ALL_TG_PT; left out: if the device can" }),
  })
  .meta({ id: "ReservationOrder" });
export type ReservationOrder = z.infer<typeof ReservationOrder>;

/**
 * `none`: this host is not registered. `registered`: it is, and paths that come are registered before they carry I/O. `preempted`:
 * another host removed its key; the unit carries no I/O until this host registers again or gives its registration up.
 */
const RegistrationState = z.enum(["none", "registered", "preempted"]).meta({ id: "RegistrationState" });

export const ReservationView = z
  .object({
    unit: UnitNumber,
    state: RegistrationState,
    key: Key.nullable(),
    persistsThroughPowerLoss: z.boolean(),
    allTargetPorts: z.boolean(),
    type: z.int().nullable().meta({ description: "Type of the reservation this host holds" }),
    holder: PathNumber.nullable().meta({ description: "The path whose I_T nexus holds it" }),
    paths: z.array(z.object({ number: PathNumber, registered: z.boolean() })),
    device: z
      .object({
        generation: Count,
        keys: z.array(Key).meta({ description: "One for each registered I_T nexus of any host" }),
        held: z.object({ key: Key, scope: z.int(), type: z.int() }).nullable(),
      })
      .nullable(),
    problem: z.string().nullable().meta({ description: "Why the device could not be asked" }),
  })
  .meta({ id: "ReservationView" });
export type ReservationView = z.infer<typeof ReservationView>;
