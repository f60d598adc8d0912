// Messages: what happened, with the message numbers operators know (reference section 9).

import * as z from "zod";
import { EVENTS_MAX } from "./constants.ts";
import { PathNumber, TimeMs, UnitKey, UnitName, UnitNumber } from "./common.ts";

const EventLevel = z.enum(["info", "warning", "error"]).meta({ id: "EventLevel" });
type EventLevel = z.infer<typeof EventLevel>;

export const EventView = z
  .object({
    id: z.int().meta({ description: "Grows by one with each event; kept across restarts" }),
    time: TimeMs,
    message: z
      .int()
      .min(257)
      .meta({ description: "Number of the message; 257..278 as in the original, ours from 600" }),
    kind: z.string().meta({ description: "Stable name of the kind, like failover-done" }),
    level: EventLevel,
    alive: z.boolean().meta({ description: "Whether ALIVE, the remote maintenance, is to be told" }),
    manager: z.boolean().meta({ description: "Whether the operators' manager is to be told" }),
    text: z.string().meta({ description: "The whole sentence, with the unit and the path" }),
    unit: UnitNumber.nullable(),
    unitName: UnitName.nullable().meta({ description: "Its name now; null for a unit that was forgotten" }),
    path: PathNumber.nullable(),
    detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .meta({ id: "EventView" });
export type EventView = z.infer<typeof EventView>;

export const EventQuery = z.object({
  since: z.coerce.number().int().min(0).optional().meta({ description: "Only events with a larger id" }),
  before: z.coerce.number().int().min(1).optional().meta({ description: "Only events with a smaller id" }),
  limit: z.coerce.number().int().min(1).max(EVENTS_MAX).default(100).meta({ description: "The newest so many" }),
  unit: UnitKey.optional().meta({ description: "Only events about this logical unit: number, or name" }),
  path: PathNumber.optional().meta({ description: "Only events about this path" }),
  level: EventLevel.optional().meta({ description: "Only events of this level or a more important one" }),
  by: z.string().max(64).optional().meta({ description: "Only changes that this caller asked for, like uid 1000" }),
  from: z.coerce.number().int().min(0).optional().meta({
    description: "Only events of this time or later, in milliseconds since 1970",
  }),
});
export type EventQuery = z.infer<typeof EventQuery>;

export const EventList = z
  .object({ events: z.array(EventView).meta({ description: "Oldest first" }), last: z.int() })
  .meta({ id: "EventList" });
export type EventList = z.infer<typeof EventList>;
