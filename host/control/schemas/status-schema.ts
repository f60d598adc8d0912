// The daemon as a whole.

import * as z from "zod";
import { Count, PathNumber, TimeMs } from "./common.ts";
import { AluaState, RefusedDevice } from "./path-schema.ts";

/** For uptimes and rates: `time` and its like jump when someone sets the clock. */
const RunningMs = Count.meta({ description: "Milliseconds since the daemon started, by a clock that nobody sets" });

/** One of the threads that carry I/O. Figures of one that does not answer are its last. */
const ReactorStatus = z.object({
  reactor: Count.meta({ description: "Its number, from 0" }),
  answering: z.boolean(),
  problem: z.string().nullable().meta({ description: "Why it does not answer; null when it does" }),
  turns: Count.nullable().meta({ description: "How often it has woken and worked; null until it has told" }),
  busyMs: Count.nullable().meta({ description: "Time for which it has worked since it began" }),
  busyPercent: z.number().min(0).max(100).nullable().meta({
    description: "Share of the last 10 to 20 seconds for which it worked; null while it is not known",
  }),
  units: Count.meta({ description: "Units that it serves" }),
  connections: Count,
  requests: Count.meta({ description: "Requests that are not answered yet" }),
  requestsMax: Count.nullable(),
  commands: Count.meta({ description: "Commands that have not ended" }),
  commandsMax: Count.nullable(),
  poolBytes: Count.nullable().meta({ description: "Size of its memory for data" }),
  poolFreeBytes: Count.nullable().meta({ description: "Bytes of it that belong to no request" }),
});
export type ReactorStatus = z.infer<typeof ReactorStatus>;

/** `degraded`: something needs attention, but every unit that is offered has a path. `critical`: I/O waits or fails. */
export const Health = z
  .object({
    level: z.enum(["ok", "degraded", "critical"]),
    unitsDegraded: Count.meta({ description: "Units that have lost paths, those of the next two counts included" }),
    unitsNotRedundant: Count.meta({ description: "Units with several paths of which one can carry I/O" }),
    unitsWithoutPath: Count,
    pathsFaulty: Count.meta({ description: "Paths that are failed, marginal or gone" }),
    causes: z
      .array(
        z.object({
          text: z.string(),
          components: z.array(z.string()).meta({
            description:
              "Components that have lost all of their paths, and have the same ones; empty for a single path",
          }),
          paths: Count,
          units: z.array(Count),
        }),
      )
      .meta({ description: "What is lost, by component, the largest first" }),
    singlePoints: z
      .array(z.object({ component: z.string(), units: z.array(Count) }))
      .meta({ description: "Components through which every path of units goes that have several" }),
  })
  .meta({ id: "Health" });
export type Health = z.infer<typeof Health>;

export const Status = z
  .object({
    host: z.string().meta({ description: "Name of the machine, as its kernel knows it" }),
    version: z.string(),
    source: z.enum(["emulated", "devices"]).meta({ description: "Where the paths come from" }),
    pid: z.int(),
    node: z.string(),
    startedMs: TimeMs,
    runningMs: RunningMs,
    backend: z.string().meta({ description: "io_uring or epoll" }),
    units: Count,
    paths: Count,
    pathsUsable: Count,
    health: Health,
    attention: z.array(z.string()).meta({ description: "What an operator should look at, one sentence each" }),
    refused: z.array(RefusedDevice),
    sockets: z.object({
      api: z.string(),
      apiRead: z.string().nullable().meta({ description: "For everyone, without changes" }),
      apiTcp: z.string().nullable(),
      nbd: z.string(),
      nbdTcp: z.string().nullable(),
    }),
    configuration: z.object({ file: z.string().nullable(), restartNeeded: z.array(z.string()) }),
    state: z.object({ file: z.string(), events: Count }),
    reactor: z.object({
      answering: z.boolean().meta({ description: "false: the last snapshot is older than a second" }),
      snapshotAgeMs: Count,
      coreMemoryBytes: Count,
      eventsLost: Count,
    }),
    reactors: z.array(ReactorStatus).meta({ description: "Each of the threads that carry I/O" }),
    scheduling: z
      .object({
        nice: z.int(),
        sliceUs: Count.nullable().meta({
          description: "Length of its time slices; null where the kernel does not tell",
        }),
      })
      .nullable()
      .meta({ description: "How the scheduler treats the daemon's threads" }),
    connectionsRefused: z.object({ api: z.record(z.string(), Count), nbd: z.record(z.string(), Count) }).meta({
      description: "Connections that were closed or refused since the start for what they did or for lack of room",
    }),
    memory: z.object({ residentBytes: Count, heapBytes: Count }),
  })
  .meta({ id: "Status" });
export type Status = z.infer<typeof Status>;

const PortFacts = {
  portName: z.string().nullable().meta({
    description: "Name that does not depend on Linux's numbers: wwpn., sas., iSCSI's name; null where there is none",
  }),
  state: z.string().nullable().meta({ description: "In the kernel's words, like Online; null where it reports none" }),
  speed: z.string().nullable().meta({ description: "Like 16 Gbit" }),
};

/** An array (one enclosure, as far as its units reveal): its target ports and port groups. */
export const ArrayView = z
  .object({
    vendor: z.string(),
    product: z.string(),
    units: z.array(Count),
    targetPorts: z.array(
      z.object({
        name: z.string(),
        ...PortFacts,
        portal: z.string().nullable().meta({ description: "iSCSI: the address of its portal" }),
        group: Count.nullable(),
        alua: z.array(AluaState),
        paths: Count,
        pathsFailed: Count,
      }),
    ),
    initiatorPorts: z.array(
      z.object({
        name: z.string(),
        ...PortFacts,
        adapter: z.string().nullable().meta({ description: "PCI slot of the host adapter, like 0000:3b:00" }),
        paths: Count,
        pathsFailed: Count,
      }),
    ),
  })
  .meta({ id: "ArrayView" });
export type ArrayView = z.infer<typeof ArrayView>;

const Totals = z.object({
  ios: Count,
  bytesRead: Count,
  bytesWritten: Count,
  errors: Count,
  retries: Count,
  inFlight: Count,
});

/** GET /v1/statistics: counters only, so that it is cheap to poll. */
export const StatisticsView = z
  .object({
    time: TimeMs,
    runningMs: RunningMs,
    totals: Totals,
    units: z.array(
      z.object({
        number: Count,
        name: z.string(),
        requests: Count,
        waiting: Count,
        answered: Count,
        failed: Count,
        latencyMaxUs: Count,
        p50Us: Count.nullable(),
        p99Us: Count.nullable(),
      }),
    ),
    paths: z.array(
      z.object({
        number: z.string(),
        unit: Count,
        symbol: z.string(),
        ios: Count,
        bytesRead: Count,
        bytesWritten: Count,
        errors: Count,
        retries: Count,
        inFlight: Count,
        serviceUs: Count,
        p50Us: Count.nullable(),
        p99Us: Count.nullable(),
      }),
    ),
  })
  .meta({ id: "StatisticsView" });
export type StatisticsView = z.infer<typeof StatisticsView>;

/** Paths of one query for latencies. */
export const LATENCY_PATHS_MAX = 256;

/** GET /v1/latencies: histograms, from which a display that polls makes percentiles of the time between two answers. */
export const LatenciesView = z
  .object({
    time: TimeMs,
    boundsUs: z.array(Count).meta({ description: "Upper ends of the classes; the last one holds everything longer" }),
    paths: z.array(
      z.object({
        number: z.string(),
        unit: Count,
        counts: z.array(Count).meta({ description: "Commands of each class since the path's counters began" }),
      }),
    ),
  })
  .meta({ id: "LatenciesView" });
export type LatenciesView = z.infer<typeof LatenciesView>;

export const LatenciesQuery = z.object({
  paths: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(PathNumber).max(LATENCY_PATHS_MAX))
    .optional()
    .meta({
      description: `Numbers of at most ${LATENCY_PATHS_MAX} paths, separated by commas; the first ones if left out`,
    }),
});

export const MetricsQuery = z.object({
  histograms: z.enum(["few", "none", "units", "sizes", "paths"]).default("few").meta({
    description:
      "Latency histograms: of units and paths as long as they are few, none, of all units, of these also by size of the request, or of all units and paths",
  }),
});
export type MetricsQuery = z.infer<typeof MetricsQuery>;
