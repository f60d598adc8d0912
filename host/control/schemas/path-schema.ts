// One path as the API shows it.

import * as z from "zod";
import { Count, PathNumber, Priority, TimeMs, UnitNumber } from "./common.ts";

/** The displayed state of a path; follows from enabled, health and selection (reference section 2). */
export const PathState = z.enum(["in use", "active", "standby", "failed"]).meta({ id: "PathState" });
export type PathState = z.infer<typeof PathState>;

/**
 * Conditions besides the state. `unverified`: its identity has not been checked yet, so it gets no I/O. `unregistered`: nor before its
 * registration for persistent reservations is made again. `gone`: its device is missing; it is no longer displayed, and its settings are kept
 * until `forget`.
 */
export const PathCondition = z
  .enum(["suspect", "marginal", "stalled", "wrong unit", "unverified", "unregistered", "removing", "gone"])
  .meta({ id: "PathCondition" });
export type PathCondition = z.infer<typeof PathCondition>;

/** Asymmetric access states (SPC-4 table 307). */
export const AluaState = z
  .enum(["optimized", "non-optimized", "standby", "unavailable", "offline", "transitioning", "unknown"])
  .meta({ id: "AluaState" });
export type AluaState = z.infer<typeof AluaState>;

/** Percentiles of a latency histogram, in microseconds. */
export const Latency = z
  .object({ p50Us: Count, p90Us: Count, p99Us: Count, p999Us: Count, maxUs: Count, count: Count })
  .meta({ id: "Latency" });
export type Latency = z.infer<typeof Latency>;

const PathStatistics = z
  .object({
    ios: Count,
    bytesRead: Count,
    bytesWritten: Count,
    errors: Count,
    retries: Count,
    checks: Count,
    inFlight: Count,
    depth: Count.meta({ description: "Most commands that may be in flight now" }),
    weight: Count,
    serviceUs: Count.meta({ description: "Learned service time; 0 until learned" }),
    orphans: Count.meta({ description: "Commands whose request went on elsewhere, not settled yet" }),
    lastAnswerMs: Count.nullable().meta({ description: "Milliseconds since the path last answered; null: never" }),
    sinceMs: Count.nullable().meta({ description: "Milliseconds since the health last changed; null: never" }),
    marginalForS: Count.nullable().meta({
      description:
        "Seconds of clean service a marginal path still has to show; null: it waits for failback by an operator",
    }),
    latency: Latency.nullable(),
  })
  .meta({ id: "PathStatistics" });
type PathStatistics = z.infer<typeof PathStatistics>;

/** The last outcome that counted against a path. */
export const PathError = z
  .object({
    text: z.string().meta({ description: "The outcome in words" }),
    status: Count.meta({ description: "SCSI status (SAM-5 5.3.1)" }),
    senseKey: Count,
    asc: Count,
    ascq: Count,
    hostStatus: Count.meta({ description: "DID_* of the Linux SCSI midlayer" }),
  })
  .meta({ id: "PathError" });
export type PathError = z.infer<typeof PathError>;

/** Initiator port, target port and controller, as far as they are known. */
export const PathView = z
  .object({
    number: PathNumber,
    unit: UnitNumber,
    device: z.string().nullable().meta({ description: "/dev/sgN, or emulated:N; null when the path is gone" }),
    blockDevice: z.string().nullable().meta({ description: "The kernel's own name for the path, like sdc" }),
    deviceNumber: z.string().nullable().meta({
      description: "major:minor of the block device, like 8:32, else of the SCSI generic device; null without either",
    }),
    priority: Priority,
    enabled: z.boolean(),
    healthy: z.boolean(),
    state: PathState,
    symbol: z.enum([">", " ", "@", "X"]),
    conditions: z.array(PathCondition),
    alua: z.object({ state: AluaState, group: Count.nullable(), preferred: z.boolean() }).nullable(),
    initiatorPort: z.string().nullable(),
    targetPort: z.string().nullable(),
    initiatorName: z.string().nullable().meta({
      description: "Name of the initiator port that does not depend on Linux's numbers, like wwpn.2100001b32a1b2c3",
    }),
    targetName: z.string().nullable().meta({ description: "The same of the target port" }),
    portal: z.string().nullable().meta({ description: "Address of the iSCSI portal, like 192.0.2.1:3260" }),
    adapter: z.string().nullable().meta({ description: "PCI slot of the host adapter, like 0000:3b:00" }),
    controller: z.string().nullable(),
    foreignIdentity: z
      .string()
      .nullable()
      .meta({ description: "Identity of the unit the path really leads to, when that is not its own" }),
    lastError: PathError.nullable(),
    statistics: PathStatistics,
  })
  .meta({ id: "PathView" });
export type PathView = z.infer<typeof PathView>;

/** A device that was scanned and is not a path, with the reason. */
export const RefusedDevice = z
  .object({
    device: z.string(),
    number: PathNumber.nullable(),
    reason: z.string(),
    inUse: z.boolean().meta({ description: "Somebody uses it, or another device of its unit, beside us" }),
    sinceMs: TimeMs,
  })
  .meta({ id: "RefusedDevice" });
export type RefusedDevice = z.infer<typeof RefusedDevice>;

/** POST /v1/paths/:number/check. */
export const PathCheck = z
  .object({
    path: PathView,
    answered: z.boolean().meta({ description: "Whether the device reported who it is" }),
    us: Count.meta({ description: "How long all commands took together, in microseconds" }),
    reason: z.string().nullable(),
    leadsTo: z.string().nullable().meta({ description: "Identity of the unit the device reports" }),
    isOwnUnit: z.boolean().nullable(),
  })
  .meta({ id: "PathCheck" });
export type PathCheck = z.infer<typeof PathCheck>;

/** POST /v1/rescan. Without a host: every host with paths, or with a transport to arrays. */
export const RescanRequest = z
  .strictObject({ host: z.int().min(0).max(65_535).optional() })
  .meta({ id: "RescanRequest" });

const HostScan = z.object({ host: Count, done: z.boolean(), reason: z.string().nullable() });
export type HostScan = z.infer<typeof HostScan>;

export const RescanReport = z
  .object({
    hosts: z.array(HostScan),
    pathsAdded: z.array(PathNumber),
    pathsRemoved: z.array(PathNumber),
    paths: Count.meta({ description: "How many there are now" }),
  })
  .meta({ id: "RescanReport" });
export type RescanReport = z.infer<typeof RescanReport>;
