// Settings of the whole system: failback, cluster liaison, path patrol (reference sections 3, 5, 6, 7).

import * as z from "zod";

export const FailbackMode = z.enum(["active", "standby"]).meta({ id: "FailbackMode" });
export type FailbackMode = z.infer<typeof FailbackMode>;

const seconds = (what: string) =>
  z
    .int({ error: `${what} is a whole number of seconds from 1 to 3600` })
    .min(1, { error: `${what} is a whole number of seconds from 1 to 3600` })
    .max(3600, { error: `${what} is a whole number of seconds from 1 to 3600` });

/** Path patrol: `mode` 0 none, 1 health check, 2 recovery check, 3 both. */
export const Patrol = z
  .strictObject({
    mode: z.int().min(0, { error: "mode is 0, 1, 2 or 3" }).max(3, { error: "mode is 0, 1, 2 or 3" }),
    intervalS: seconds("intervalS"),
    thresholdS: seconds("thresholdS"),
    timeoutS: seconds("timeoutS"),
  })
  .meta({ id: "Patrol" });
export type Patrol = z.infer<typeof Patrol>;

/** PATCH /v1/patrol. Whatever is omitted stays as it is. */
export const PatrolPatch = Patrol.partial().meta({ id: "PatrolPatch" });
export type PatrolPatch = z.infer<typeof PatrolPatch>;

export const Mode = z
  .object({
    class: z.literal("Enterprise"),
    failback: FailbackMode,
    cluster: z.boolean(),
    patrol: Patrol,
  })
  .meta({ id: "Mode" });
export type Mode = z.infer<typeof Mode>;

/** PATCH /v1/mode. Whatever is omitted stays as it is. */
export const ModePatch = z
  .strictObject({ failback: FailbackMode.optional(), cluster: z.boolean().optional() })
  .meta({ id: "ModePatch" });
export type ModePatch = z.infer<typeof ModePatch>;
