// Every endpoint of the API, once. Fastify's routes, the OpenAPI document and the client's types come from here.
//
// `change` says whether the caller needs permission to make changes (root, the daemon's own user, the group). An endpoint that
// acts returns what it acted on, as it is afterwards.

import * as z from "zod";
import { Done, PathNumber, PathPattern, Priority, UnitKey } from "./common.ts";
import { Acceptance, RevertReport, ConfigurationView, ReloadReport } from "./configuration-schema.ts";
import { EventList, EventQuery } from "./event-schema.ts";
import { FaultAdded, FaultList, FaultRemoval, FaultRequest } from "./fault-schema.ts";
import { Mode, ModePatch, Patrol, PatrolPatch } from "./mode-schema.ts";
import { PathCheck, PathView, RescanReport, RescanRequest } from "./path-schema.ts";
import { ReceiverList, ReceiverTest, ReceiverTests } from "./receiver-schema.ts";
import { ReservationAnswer, ReservationOrder, ReservationQuestion, ReservationView } from "./reservation-schema.ts";
import { ArrayView, LatenciesQuery, LatenciesView, MetricsQuery, StatisticsView, Status } from "./status-schema.ts";
import { Attachment, AttachRequest, DetachRequest, MoveRequest, UnitPatch, UnitView } from "./unit-schema.ts";

type Method = "GET" | "POST" | "PATCH" | "DELETE";

export interface Route {
  readonly method: Method;
  /** In fastify's notation: `/v1/units/:n`. */
  readonly path: string;
  readonly summary: string;
  readonly change: boolean;
  /** Nothing in the answer depends on this host: a browser gets it before its user has given the token. */
  readonly secretless?: true;
  /** Only those who may make changes may read it. */
  readonly secret?: true;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** Null: the answer is not JSON of a fixed shape (a stream, the OpenAPI document). */
  readonly response: z.ZodType | null;
}

const unitParams = z.object({ n: UnitKey });
const pathParams = z.object({ number: PathNumber });
const none = z.strictObject({}).optional();

const Units = z.object({ units: z.array(UnitView) }).meta({ id: "Units" });
const Paths = z.object({ paths: z.array(PathView) }).meta({ id: "Paths" });
const Arrays = z.object({ arrays: z.array(ArrayView) }).meta({ id: "Arrays" });
const Attachments = z.object({ attachments: z.array(Attachment) }).meta({ id: "Attachments" });
const FailbackAll = z
  .object({
    results: z.array(z.object({ path: PathNumber, done: z.boolean(), reason: z.string().nullable() })),
  })
  .meta({ id: "FailbackAll" });

const path = <B extends z.ZodType>(action: string, summary: string, body: B) =>
  ({
    method: "POST",
    path: `/v1/paths/:number/${action}`,
    summary,
    change: true,
    params: pathParams,
    body,
    response: PathView,
  }) as const;

export const ROUTES = {
  status: { method: "GET", path: "/v1/status", summary: "The daemon as a whole", change: false, response: Status },
  units: {
    method: "GET",
    path: "/v1/units",
    summary: "Every logical unit with its paths",
    change: false,
    response: Units,
  },
  unit: {
    method: "GET",
    path: "/v1/units/:n",
    summary: "One logical unit with its paths",
    change: false,
    params: unitParams,
    response: UnitView,
  },
  paths: { method: "GET", path: "/v1/paths", summary: "Every path, by path number", change: false, response: Paths },
  arrays: {
    method: "GET",
    path: "/v1/arrays",
    summary: "Arrays with their ports, as far as the paths tell",
    change: false,
    response: Arrays,
  },
  statistics: {
    method: "GET",
    path: "/v1/statistics",
    summary: "Counters of units and paths, for displays that poll",
    change: false,
    response: StatisticsView,
  },
  latencies: {
    method: "GET",
    path: "/v1/latencies",
    summary: "Latency histograms of paths, by the powers of two of their latency",
    change: false,
    query: LatenciesQuery,
    response: LatenciesView,
  },
  patchUnit: {
    method: "PATCH",
    path: "/v1/units/:n",
    summary: "Rename a unit, choose its policy and parameters",
    change: true,
    params: unitParams,
    body: UnitPatch,
    response: UnitView,
  },
  attachUnit: {
    method: "POST",
    path: "/v1/units/:n/attach",
    summary: "Make a unit a block device of the kernel (ublk, nbd or SCSI)",
    change: true,
    params: unitParams,
    body: AttachRequest.optional(),
    response: Attachment,
  },
  detachUnit: {
    method: "POST",
    path: "/v1/units/:n/detach",
    summary: "Detach a unit from the kernel",
    change: true,
    params: unitParams,
    body: DetachRequest.optional(),
    response: Attachments,
  },
  releaseUnit: {
    method: "POST",
    path: "/v1/units/:n/release",
    summary: "Fail the requests that wait for a path now, and new ones until a path is usable",
    change: true,
    params: unitParams,
    body: none,
    response: UnitView,
  },
  moveUnit: {
    method: "POST",
    path: "/v1/units/:n/move",
    summary: "Move a unit to another reactor; its clients connect again",
    change: true,
    params: unitParams,
    body: MoveRequest,
    response: UnitView,
  },
  reservation: {
    method: "GET",
    path: "/v1/units/:n/reservation",
    summary: "Persistent reservations: how this host is registered, and what the device has",
    change: false,
    secret: true,
    params: unitParams,
    response: ReservationView,
  },
  askReservation: {
    method: "GET",
    path: "/v1/units/:n/reservation/in",
    summary: "PERSISTENT RESERVE IN over a path that answers",
    change: false,
    secret: true,
    params: unitParams,
    query: ReservationQuestion,
    response: ReservationAnswer,
  },
  orderReservation: {
    method: "POST",
    path: "/v1/units/:n/reservation",
    summary: "PERSISTENT RESERVE OUT for the unit as a whole: on all paths, or on none",
    change: true,
    params: unitParams,
    body: ReservationOrder,
    response: ReservationView,
  },
  enablePath: path("enable", "Enable a path's priority (-avail)", none),
  disablePath: path("disable", "Disable a path's priority (-notavail)", none),
  usePath: path("use", "Make a path the path in use (-path)", none),
  setPriority: path("priority", "Set a path's priority", z.strictObject({ priority: Priority })),
  failbackPath: path(
    "failback",
    "Take a failed path back after checking it, or vouch for a marginal one (-failback)",
    none,
  ),
  checkPath: {
    method: "POST",
    path: "/v1/paths/:number/check",
    summary: "Ask a path now whether it answers, and where it leads; changes nothing",
    change: true,
    params: pathParams,
    body: none,
    response: PathCheck,
  },
  rescan: {
    method: "POST",
    path: "/v1/rescan",
    summary: "Make the kernel scan for devices and sizes, then take the new paths",
    change: true,
    body: RescanRequest.optional(),
    response: RescanReport,
  },
  forgetPath: {
    method: "POST",
    path: "/v1/paths/:number/forget",
    summary: "Forget the settings of a path whose device is gone",
    change: true,
    params: pathParams,
    body: none,
    response: Done,
  },
  swapPaths: {
    method: "POST",
    path: "/v1/paths/swap",
    summary: "Exchange the priorities of two paths of one unit (-swap)",
    change: true,
    body: z.strictObject({ a: PathNumber, b: PathNumber }).meta({ id: "Swap" }),
    response: Paths,
  },
  useMatching: {
    method: "POST",
    path: "/v1/paths/use-matching",
    summary: "Make the matching path of each unit the path in use (-path with fields left out)",
    change: true,
    body: z.strictObject({ pattern: PathPattern }).meta({ id: "UseMatching" }),
    response: Paths,
  },
  failbackAll: {
    method: "POST",
    path: "/v1/failback-all",
    summary: "Try to take back every failed or marginal path now (-failbackall)",
    change: true,
    body: none,
    response: FailbackAll,
  },
  mode: { method: "GET", path: "/v1/mode", summary: "Class, failback, cluster, patrol", change: false, response: Mode },
  patchMode: {
    method: "PATCH",
    path: "/v1/mode",
    summary: "Set the failback mode or the cluster mode",
    change: true,
    body: ModePatch,
    response: Mode,
  },
  patrol: { method: "GET", path: "/v1/patrol", summary: "Path patrol", change: false, response: Patrol },
  patchPatrol: {
    method: "PATCH",
    path: "/v1/patrol",
    summary: "Set path patrol (-setwatcher)",
    change: true,
    body: PatrolPatch,
    response: Patrol,
  },
  events: {
    method: "GET",
    path: "/v1/events",
    summary: "The newest events, oldest of them first",
    change: false,
    query: EventQuery,
    response: EventList,
  },
  eventStream: {
    method: "GET",
    path: "/v1/events/stream",
    summary: "Events as server-sent events: `event: event`, data an EventView; Last-Event-ID is honoured",
    change: false,
    query: z.object({ since: EventQuery.shape.since }),
    response: null,
  },
  receivers: {
    method: "GET",
    path: "/v1/receivers",
    summary: "Who else is told of events, and how well that works",
    change: false,
    response: ReceiverList,
  },
  testReceivers: {
    method: "POST",
    path: "/v1/receivers/test",
    summary: "Send a test message to one receiver, or to all, and say what came back",
    change: true,
    body: ReceiverTest.optional(),
    response: ReceiverTests,
  },
  config: {
    method: "GET",
    path: "/v1/config",
    summary: "The configuration in force, defaults filled in",
    change: false,
    response: ConfigurationView,
  },
  reloadConfig: {
    method: "POST",
    path: "/v1/config/reload",
    summary: "Read the configuration file again without interrupting I/O",
    change: true,
    body: none,
    response: ReloadReport,
  },
  revertConfig: {
    method: "POST",
    path: "/v1/config/revert",
    summary: "Give up what commands have set over the configuration: system settings, policies, hedging budgets",
    change: true,
    body: none,
    response: RevertReport,
  },
  acceptSettings: {
    method: "POST",
    path: "/v1/config/accept",
    summary: "Take what is set for complete, after a damage has left settings of which something is missing",
    change: true,
    body: none,
    response: Acceptance,
  },
  faults: {
    method: "GET",
    path: "/v1/array/faults",
    summary: "Faults of the emulated array",
    change: false,
    response: FaultList,
  },
  addFault: {
    method: "POST",
    path: "/v1/array/faults",
    summary: "Add a fault to the emulated array",
    change: true,
    body: FaultRequest,
    response: FaultAdded,
  },
  removeFaults: {
    method: "DELETE",
    path: "/v1/array/faults",
    summary: "Remove one fault, or all",
    change: true,
    query: FaultRemoval,
    response: FaultList,
  },
  metrics: {
    method: "GET",
    path: "/metrics",
    summary: "Counters, states and latency histograms in the text format of Prometheus, or OpenMetrics if accepted",
    change: false,
    query: MetricsQuery,
    response: null,
  },
  page: {
    method: "GET",
    path: "/",
    summary: "The status page, for a browser",
    change: false,
    secretless: true,
    response: null,
  },
  simulator: {
    method: "GET",
    path: "/simulator",
    summary: "The simulator page: the core with an emulated array, in a browser",
    change: false,
    secretless: true,
    response: null,
  },
  openapi: { method: "GET", path: "/openapi.json", summary: "This description", change: false, response: null },
} as const satisfies Record<string, Route>;

type Routes = typeof ROUTES;
export type RouteId = keyof Routes;

type Part<R, K extends string> = R extends { readonly [P in K]: z.ZodType } ? z.output<R[K]> : undefined;

/** The validated input of a handler. */
export interface Input<K extends RouteId> {
  readonly params: Part<Routes[K], "params">;
  readonly query: Part<Routes[K], "query">;
  readonly body: Part<Routes[K], "body">;
}

/** What the endpoint answers. */
export type Output<K extends RouteId> = Part<Routes[K], "response">;
