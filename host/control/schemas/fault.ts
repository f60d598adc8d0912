// Faults of the emulated array: what a demonstration or a test does to it.

import * as z from "zod";
import { PathNumber } from "./common.ts";

/** The kinds of fault; which take `delayMs`, `group`, `unit` or `count` is said beside each. */
export const FaultKind = z
  .enum([
    "error", // transport error at once (host status DID_NO_CONNECT)
    "no-answer", // commands are never answered
    "slow", // every answer takes delayMs longer
    "late", // answers come after the host's timeout
    "flapping", // errors and answers in turn, delayMs each
    "busy", // status BUSY
    "task-set-full", // status TASK SET FULL
    "unit-attention", // the next command gets a unit attention
    "alua", // the path's port group goes to the state `alua`
    "remapped", // the path leads to unit `unit`
    "reservation-conflict", // status RESERVATION CONFLICT
    "medium-error", // sense MEDIUM ERROR
  ])
  .meta({ id: "FaultKind" });
export type FaultKind = z.infer<typeof FaultKind>;

/** POST /v1/array/faults. Exactly one of `path`, `targetPort`, `initiatorPort`, `controller` says where. */
export const FaultRequest = z
  .strictObject({
    kind: FaultKind,
    path: PathNumber.optional(),
    targetPort: z.int().min(0).optional(),
    initiatorPort: z.int().min(0).optional(),
    controller: z.int().min(0).optional(),
    delayMs: z.number().min(0).max(3_600_000).optional(),
    count: z.int().min(1).optional().meta({ description: "Ends after so many commands; left out: until removed" }),
    alua: z.enum(["optimized", "non-optimized", "standby", "unavailable", "offline", "transitioning"]).optional(),
    unit: z.int().min(0).optional(),
  })
  .refine((f) => [f.path, f.targetPort, f.initiatorPort, f.controller].filter((v) => v !== undefined).length === 1, {
    error: "name exactly one of path, targetPort, initiatorPort, controller",
  })
  .meta({ id: "FaultRequest" });
export type FaultRequest = z.infer<typeof FaultRequest>;

export const FaultView = z
  .object({ id: z.int(), fault: FaultRequest, paths: z.array(PathNumber) })
  .meta({ id: "FaultView" });
export type FaultView = z.infer<typeof FaultView>;

export const FaultList = z.object({ faults: z.array(FaultView) }).meta({ id: "FaultList" });
export type FaultList = z.infer<typeof FaultList>;

/** DELETE /v1/array/faults: one, or all when `id` is left out. */
export const FaultRemoval = z.object({ id: z.coerce.number().int().min(0).optional() });
