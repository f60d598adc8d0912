// One logical unit as the API shows it, and what can be changed about it.

import * as z from "zod";
import { REACTORS_MAX } from "../../settings/daemon-settings.ts";
import { POLICY_NAMES } from "../../settings/names.ts";
import { IDENTITY_TYPES } from "../../discovery/canonical-identity.ts";
import { Count, NewUnitName, PathNumber, Priority, UnitName, UnitNumber } from "./common.ts";
import { viewOf } from "./from-table.ts";
import { Latency, PathView } from "./path-schema.ts";

export const PolicyName = z.enum(POLICY_NAMES).meta({ id: "PolicyName" });
export type PolicyName = z.infer<typeof PolicyName>;

/**
 * Parameters of the policies; whether a policy takes a parameter is checked when it is set (POLICY_PARAMETER otherwise).
 * `ios`, `bytes`: length of a turn (round-robin). `paths`: the subset (round-robin-subset).
 * `historyPercent`: share of the past in the mean (historical-service-time, 95 when left out).
 * `weights`: relative speed of each path, 1..65535, paths left out have 1 (weighted, service-time).
 */
export const PolicyParameters = z
  .strictObject({
    ios: z.int().min(1).max(1_000_000).optional(),
    bytes: z.int().min(512).max(4_294_967_295).optional(),
    paths: z.array(PathNumber).min(1).max(32).optional(),
    weights: z.record(PathNumber, z.int().min(1).max(65535)).optional(),
    historyPercent: z.int().min(1).max(99).optional(),
  })
  .meta({ id: "PolicyParameters" });
export type PolicyParameters = z.infer<typeof PolicyParameters>;

export const Policy = z
  .strictObject({ name: PolicyName, parameters: PolicyParameters.default({}) })
  .meta({ id: "Policy" });
export type Policy = z.infer<typeof Policy>;

/** Dynamic balancing as `spscmd` knows it: `mode` is the number of `-lbmode`, null for a policy without one. */
export const Balancing = z
  .object({
    dynamic: z.boolean(),
    mode: z.int().min(0).max(3).nullable(),
    label: z.string().meta({ description: "What the display writes in brackets, like round robin" }),
  })
  .meta({ id: "Balancing" });
export type Balancing = z.infer<typeof Balancing>;

/**
 * `ok`: several paths can carry I/O, and none is lost. `degraded`: several can, but some are failed, marginal or gone. `single path`: there is only one. `not redundant`: only one of several can carry I/O. `no
 * path`: none can, requests wait. `released`: requests fail at once until a path is usable. `gone`: every path's device is
 * missing. `preempted`: another host has removed this one's
 * registration (persistent reservations), so the unit carries no I/O. `in use elsewhere`: another program uses a device of the unit, so it is not offered.
 */
export const UnitState = z
  .enum([
    "ok",
    "degraded",
    "single path",
    "not redundant",
    "no path",
    "released",
    "preempted",
    "gone",
    "in use elsewhere",
  ])
  .meta({ id: "UnitState" });
export type UnitState = z.infer<typeof UnitState>;

/** The unit's identity: the designator of VPD page 0x83 (association LU), or vendor, product and serial number. */
export const Identity = z
  .object({
    type: z.enum(IDENTITY_TYPES),
    text: z.string().meta({ description: "Readable and unique, like naa.6001405a1b2c3d4e5f60718293a4b5c6" }),
  })
  .meta({ id: "Identity" });
export type Identity = z.infer<typeof Identity>;

/** A kernel block device a unit is attached to. */
export const Attachment = z.object({ device: z.string(), index: Count, sinceMs: Count }).meta({ id: "Attachment" });
export type Attachment = z.infer<typeof Attachment>;

export const Timeouts = z.object(viewOf("timeouts")).meta({ id: "Timeouts" });
export type Timeouts = z.infer<typeof Timeouts>;

const UnitStatistics = z
  .object({
    requests: Count.meta({ description: "Accepted and not answered" }),
    waiting: Count.meta({ description: "Pieces that wait for a path" }),
    orphans: Count,
    answered: Count,
    failed: Count,
    connections: Count,
    latencyMaxUs: Count.meta({ description: "Longest time from acceptance to answer since the last reset" }),
    stallThresholdUs: Count,
    latency: Latency.nullable(),
  })
  .meta({ id: "UnitStatistics" });
type UnitStatistics = z.infer<typeof UnitStatistics>;

export const UnitView = z
  .object({
    number: UnitNumber,
    name: UnitName,
    identity: Identity,
    vendor: z.string(),
    product: z.string(),
    revision: z.string(),
    serial: z.string(),
    bytes: Count,
    blockBytes: Count,
    readOnly: z.boolean(),
    policy: Policy.meta({ description: "The policy in force" }),
    policySetAside: z
      .object({ policy: Policy, why: z.string() })
      .nullable()
      .meta({ description: "The policy that is set, where another one is in force, and why" }),
    balancing: Balancing,
    hedgeBudgetPercent: z.number().min(0).max(100),
    state: UnitState,
    reactor: Count.nullable().meta({ description: "Which of the daemon's reactors serves it; null while none does" }),
    paths: z.array(PathView),
    remembered: z.array(z.object({ number: PathNumber, priority: Priority, enabled: z.boolean() })).meta({
      description: "Paths whose device is gone: their settings are kept until they come back or are forgotten",
    }),
    export: z.object({ name: z.string(), unixSocket: z.string().nullable(), tcp: z.string().nullable() }).nullable(),
    attachments: z.array(Attachment),
    timeouts: Timeouts,
    statistics: UnitStatistics,
  })
  .meta({ id: "UnitView" });
export type UnitView = z.infer<typeof UnitView>;

/** PATCH /v1/units/:n. Whatever is omitted stays as it is. */
export const UnitPatch = z
  .strictObject({
    name: NewUnitName.optional(),
    policy: PolicyName.optional(),
    parameters: PolicyParameters.optional(),
    /** The number of `spscmd -lbmode`: 0 static, 1 round robin, 2 least sectors, 3 adaptive. Instead of `policy`. */
    balancing: z.int().min(0).max(3).optional(),
    hedgeBudgetPercent: z.number().min(0).max(100).optional(),
    resetStatistics: z.literal(true).optional(),
  })
  .meta({ id: "UnitPatch" });
export type UnitPatch = z.infer<typeof UnitPatch>;

const KERNEL_DEVICE = /^\/dev\/(nbd|ublkb)\d{1,4}$/;
/** A SCSI device's name is the kernel's choice. */
const ATTACHED_DEVICE = /^\/dev\/((nbd|ublkb)\d{1,4}|sd[a-z]{1,4})$/;

/** POST /v1/units/:n/attach. Without a device: the one the unit has, or one the kernel chooses. */
export const AttachRequest = z
  .strictObject({
    device: z
      .string()
      .regex(KERNEL_DEVICE, { error: "the device is /dev/nbdN or /dev/ublkbN, like /dev/nbd0" })
      .optional(),
    /** Default: ublk where the kernel has it. */
    driver: z.enum(["nbd", "ublk", "scsi"]).optional(),
    readOnly: z.boolean().optional(),
    /** A further device besides those the unit has. Each has a page cache of its own, so reads through one may be stale. */
    another: z.boolean().optional(),
    connections: z.int().min(1).max(16).optional(),
    /** How many seconds the kernel waits for a new connection when this one breaks (a restart of the daemon). */
    deadConnectionTimeoutS: z.int().min(0).max(3600).optional(),
  })
  .refine(({ device, driver }) => device === undefined || driver === undefined || device.startsWith(`/dev/${driver}`), {
    error: "the device belongs to the other driver; leave one of them out",
    path: ["driver"],
  })
  .meta({ id: "AttachRequest" });
export type AttachRequest = z.infer<typeof AttachRequest>;

/** POST /v1/units/:n/move. */
export const MoveRequest = z
  .strictObject({
    reactor: z
      .int()
      .min(0)
      .max(REACTORS_MAX - 1),
  })
  .meta({ id: "MoveRequest" });
export type MoveRequest = z.infer<typeof MoveRequest>;

/** POST /v1/units/:n/detach. Without a device: all of the unit. */
export const DetachRequest = z
  .strictObject({
    device: z.string().regex(ATTACHED_DEVICE).optional(),
  })
  .meta({ id: "DetachRequest" });
export type DetachRequest = z.infer<typeof DetachRequest>;
