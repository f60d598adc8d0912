// Faults of the emulated array, for demonstrations and tests. Their kinds and meaning are those of host/array/faults/faults.ts;
// the array checks the ranges and names the wrong parameter.

import * as z from "zod";
import { PathNumber } from "./common.ts";

const ms = z.number().min(0);
const byte = z.int().min(0).max(255);
const flag = z.boolean().optional();

/** What goes wrong. Times are milliseconds. */
export const Fault = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("error").meta({ description: "Every command ends with this outcome" }),
      status: byte.optional(),
      senseKey: z.int().min(0).max(15).optional(),
      asc: byte.optional(),
      ascq: byte.optional(),
      hostStatus: byte.optional(),
      deferred: flag,
    }),
    z.strictObject({
      kind: z.literal("no-answer").meta({ description: "A black hole: commands vanish" }),
      execution: z.enum(["never", "at-once", "on-lift"]).optional(),
      giveUp: flag,
      resetMs: ms.optional(),
    }),
    z.strictObject({
      kind: z.literal("queued").meta({ description: "The host keeps commands until it is lifted; no reset ends them" }),
    }),
    z.strictObject({
      kind: z.literal("slow").meta({ description: "Service takes factor times as long, and delayMs more" }),
      factor: z.number().min(0).optional(),
      delayMs: ms.optional(),
    }),
    z.strictObject({
      kind: z.literal("late").meta({ description: "The effect, and the answer if any, come delayMs later" }),
      delayMs: ms,
      answer: flag,
      giveUp: flag,
      landsAfterGiveUp: flag,
    }),
    z.strictObject({
      kind: z.literal("flapping").meta({ description: "Works for upMs, is gone for downMs, in turn" }),
      upMs: ms,
      downMs: ms,
      how: z.enum(["down", "no-answer"]).optional(),
      hostStatus: byte.optional(),
    }),
    z.strictObject({
      kind: z.literal("unit-attention").meta({ description: "Before every n-th command; every 0: once" }),
      asc: byte.optional(),
      ascq: byte.optional(),
      every: z.int().min(0).optional(),
    }),
    z.strictObject({
      kind: z.literal("busy").meta({ description: "Commands beyond depth in flight are refused" }),
      depth: z.int().min(0).max(65535),
      status: z.enum(["busy", "task-set-full"]).optional(),
    }),
    z.strictObject({
      kind: z.literal("port-down").meta({ description: "The port is gone: commands end with a host status" }),
      hostStatus: byte.optional(),
    }),
    z.strictObject({ kind: z.literal("short-data"), missingBytes: z.int().min(0) }),
    z.strictObject({ kind: z.literal("corrupt-sense") }),
    z.strictObject({ kind: z.literal("nonsense-pages") }),
    z.strictObject({
      kind: z.literal("vpd-page").meta({ description: "The VPD page has this payload, in hexadecimal digits" }),
      page: byte,
      payload: z.string(),
    }),
    z.strictObject({
      kind: z.literal("alua").meta({ description: "Access state of the target port group (ALUA_*)" }),
      state: z.int().min(0).max(15),
      silent: flag,
      transitionS: byte.optional(),
    }),
    z.strictObject({
      kind: z.literal("remap").meta({ description: "The LUN leads to another unit of the array; null: to none" }),
      unit: z.int().min(0).nullable(),
      silent: flag,
    }),
    z.strictObject({ kind: z.literal("capacity"), blocks: z.int().min(1) }),
    z.strictObject({ kind: z.literal("write-protect") }),
    z.strictObject({ kind: z.literal("reservation"), type: z.int(), preempts: flag }),
    z.strictObject({ kind: z.literal("power-loss"), keep: z.number().min(0).max(1).optional() }),
  ])
  .meta({ id: "Fault" });
export type Fault = z.infer<typeof Fault>;

/** Where it applies: every port that has all the given properties. */
const FaultPlace = z.strictObject({
  array: z.string().optional(),
  unit: z.int().min(0).optional(),
  controller: z.int().min(0).optional(),
  targetPort: z.int().min(0).optional(),
  initiatorPort: z.int().min(0).optional(),
  path: PathNumber.optional(),
});

/** Which commands it applies to. */
const FaultFilter = z.strictObject({
  commands: z.enum(["all", "io", "reads", "writes", "other", "inquiry"]).optional(),
  opcode: byte.optional(),
  bits: byte.meta({ description: "These bits are set in byte 1 of the CDB" }).optional(),
  page: byte.meta({ description: "INQUIRY for this VPD page" }).optional(),
  firstLba: z.int().min(0).optional(),
  lastLba: z.int().min(0).optional(),
  probability: z.number().min(0).max(1).optional(),
  times: z.int().min(1).optional(),
});

/** POST /v1/array/faults. */
export const FaultRequest = z
  .strictObject({
    fault: Fault,
    where: FaultPlace.optional(),
    when: FaultFilter.optional(),
    afterMs: ms.optional(),
    forMs: ms.optional(),
  })
  .meta({ id: "FaultRequest" });
export type FaultRequest = z.infer<typeof FaultRequest>;

const FaultView = FaultRequest.extend({
  id: z.int(),
  state: z.enum(["waiting", "active"]),
  ports: z.int().meta({ description: "Ports it strikes" }),
}).meta({ id: "FaultView" });
type FaultView = z.infer<typeof FaultView>;

export const FaultList = z.object({ faults: z.array(FaultView) }).meta({ id: "FaultList" });
export type FaultList = z.infer<typeof FaultList>;

/** The id of the new fault; a momentary one is already over. */
export const FaultAdded = z.object({ id: z.int() }).meta({ id: "FaultAdded" });
export type FaultAdded = z.infer<typeof FaultAdded>;

/** DELETE /v1/array/faults: one, or all when `id` is omitted. */
export const FaultRemoval = z.object({ id: z.coerce.number().int().min(0).optional() });
