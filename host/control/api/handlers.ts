// What each endpoint does. Inputs have been checked; outputs have the shapes in the table of routes.

import type { Family } from "./exposition.ts";
import { isAtLeast } from "../../liaison/catalogue/message-kind.ts";
import { MESSAGES, type MessageName } from "../../liaison/messages.ts";
import type { EventQuery, EventView } from "../schemas/event-schema.ts";
import type { EventFilter } from "../state/event-rows.ts";
import { PortStateReader } from "../../discovery/port-states.ts";
import { lazily, type Lazy } from "../ground/answer-pieces.ts";
import { revertOverrides } from "../operations/revert-overrides.ts";
import type { Context } from "../devices/operation-context.ts";
import { acceptSettings } from "../devices/unverified-settings.ts";
import { ControlError } from "../ground/control-errors.ts";
import { isShown, type Path } from "../inventory/inventory.ts";
import { askLatencies, NO_LATENCIES, type Latencies } from "../views/latencies.ts";
import { latencyClasses } from "../views/latency-classes.ts";
import { LATENCY_PATHS_MAX } from "../schemas/status-schema.ts";
import { metricsHandler } from "./metrics.ts";
import { patchMode, patchPatrol } from "../operations/mode-operations.ts";
import { arrayViews, statisticsView } from "../views/overviews.ts";
import { failbackAll, failbackPath } from "../operations/failback-operations.ts";
import { checkPath } from "../operations/check-operations.ts";
import { rescanHosts } from "../operations/rescan-operations.ts";
import { moveUnit, type MoveContext } from "../operations/move-operations.ts";
import { forgetPath } from "../operations/forget-operations.ts";
import { enablePath, setPriority, swapPaths, useMatching, usePath } from "../operations/path-operations.ts";
import { askReservation, orderReservation, type ReservationContext } from "../reservations/reservation-operations.ts";
import { refusal } from "../core/reactor-port.ts";
import type { Input, Output, RouteId } from "../schemas/routes.ts";
import type { ConfigurationView, ReloadReport } from "../schemas/configuration-schema.ts";
import type { Status } from "../schemas/status-schema.ts";
import { attachUnit, detachUnit, patchUnit, releaseUnit } from "../operations/unit-operations.ts";
import { pathView, unitView, type ViewSources } from "../views/views.ts";

/** Endpoints whose answer is JSON of a fixed shape. */
export type JsonRoute = Exclude<RouteId, "eventStream" | "openapi" | "metrics" | "page" | "simulator">;

/** Lists in an answer may be generated while it is sent. */
type JsonHandlers = { readonly [K in JsonRoute]: (input: Input<K>) => Promise<Lazy<Output<K>>> | Lazy<Output<K>> };

export interface Handlers extends JsonHandlers {
  readonly metrics: (input: Input<"metrics">) => Promise<Iterable<Family>>;
}

/** Endpoints the daemon itself answers. */
export interface DaemonHandlers {
  readonly status: () => Promise<Status> | Status;
  readonly config: () => ConfigurationView;
  readonly reload: () => Promise<ReloadReport>;
  readonly isEmulated: boolean;
}

function withLatencies(sources: ViewSources, latencies: Latencies): ViewSources {
  return {
    ...sources,
    pathLatency: (handle) => latencies.paths.get(handle) ?? null,
    unitLatency: (handle) => latencies.units.get(handle) ?? null,
  };
}

const handles = (items: Iterable<{ handle: number | null }>): number[] =>
  [...items].map(({ handle }) => handle).filter((handle) => handle !== null);

/** For display: current tables if the reactor answers in time, and percentiles if there are few enough items. */
async function display(context: Context, unitNumber?: number): Promise<ViewSources> {
  const units = context.inventory.units().filter((unit) => unitNumber === undefined || unit.number === unitNumber);
  const [, latencies] = await Promise.all([
    context.snapshots.forDisplay(),
    context.snapshots.isAnswering
      ? askLatencies(context.reactor, handles(units.flatMap((unit) => [...unit.paths.values()])), handles(units))
      : NO_LATENCIES,
  ]);
  return withLatencies(context.views, latencies);
}

export function handlersOf(context: MoveContext & ReservationContext, daemon: DaemonHandlers): Handlers {
  const ports = new PortStateReader();
  return {
    ...displayHandlers(context, ports),
    ...pathHandlers(context),
    ...faultHandlers(context, daemon.isEmulated),
    status: () => daemon.status(),
    receivers: () => ({ receivers: context.receiving.statuses }),
    testReceivers: ({ body }) => context.receiving.test(body?.receiver),
    metrics: metricsHandler(context, () => daemon.status(), ports),
    patchUnit: ({ params, body }) => patchUnit(context, params.n, body),
    attachUnit: ({ params, body }) => attachUnit(context, params.n, body ?? {}),
    detachUnit: ({ params, body }) => detachUnit(context, params.n, body?.device),
    checkPath: ({ params }) => checkPath(context, params.number),
    rescan: ({ body }) => rescanHosts(context, body?.host, daemon),
    moveUnit: ({ params, body }) => moveUnit(context, params.n, body.reactor),
    releaseUnit: ({ params }) => releaseUnit(context, params.n),
    reservation: ({ params }) => context.reservations.view(context.inventory.unit(params.n)),
    askReservation: (input) => askReservation(context, input),
    orderReservation: (input) => orderReservation(context, input),
    mode: () => context.effective.mode,
    patchMode: ({ body }) => patchMode(context, body),
    patrol: () => context.effective.patrol,
    patchPatrol: ({ body }) => patchPatrol(context, body),
    config: () => daemon.config(),
    reloadConfig: () => daemon.reload(),
    revertConfig: () => revertOverrides(context),
    acceptSettings: () => acceptSettings(context),
  };
}

function displayHandlers(context: Context, ports: PortStateReader) {
  return {
    units: async () => {
      const sources = await display(context);
      return { units: lazily(context.inventory.units(), (unit) => unitView(unit, sources)) };
    },
    unit: async ({ params }) => {
      const unit = context.inventory.unit(params.n);
      return unitView(unit, await display(context, unit.number));
    },
    paths: async () => {
      const sources = await display(context);
      const shown = context.inventory.paths().filter(isShown);
      return { paths: lazily(shown, (path) => pathView(path, sources)) };
    },
    arrays: async () => {
      const [states] = await Promise.all([ports.forDisplay(), context.snapshots.forDisplay()]);
      const units = lazily(context.inventory.units(), (unit) => unitView(unit, context.views));
      return { arrays: await arrayViews(units, states) };
    },
    statistics: async () => {
      const sources = await display(context);
      const { pathLatency, unitLatency } = sources;
      const latencies: Latencies = {
        paths: asMap(context.inventory.paths(), pathLatency),
        units: asMap(context.inventory.units(), unitLatency),
      };
      return statisticsView(context.inventory, sources.snapshot, latencies);
    },
    latencies: ({ query }) => latencyClasses(context.reactor, askedPaths(context, query.paths)),
    events: ({ query }) => ({
      events: context.hub.history(query.since ?? 0, query.limit, query.before, filterOf(context, query)),
      last: context.hub.last,
    }),
  } satisfies Partial<Handlers>;
}

/** The paths that are asked for and there, or the first ones. */
function askedPaths({ inventory }: Context, numbers: readonly string[] | undefined): Path[] {
  const shown = inventory.paths().filter(isShown);
  if (numbers === undefined) return shown.slice(0, LATENCY_PATHS_MAX);
  const wanted = new Set(numbers);
  return shown.filter(({ number }) => wanted.has(number));
}

/** The number of a unit that was forgotten still names its events. */
function filterOf({ inventory }: Context, { unit, path, level, by, from }: EventQuery): EventFilter {
  const number = unit === undefined ? undefined : /^#?(\d{1,5})$/.exec(unit)?.[1];
  return {
    unit: unit === undefined ? undefined : number === undefined ? inventory.unit(unit).number : Number(number),
    path,
    kinds: level === undefined ? undefined : kindsFrom(level),
    by,
    fromMs: from,
  };
}

/** Kinds of messages of this level or a more important one. */
function kindsFrom(level: EventView["level"]): Set<MessageName> {
  const kinds = Object.keys(MESSAGES) as MessageName[];
  return new Set(kinds.filter((kind) => isAtLeast(MESSAGES[kind].level, level)));
}

function asMap<T>(items: readonly { handle: number | null }[], get: (handle: number) => T | null): Map<number, T> {
  const found = new Map<number, T>();
  for (const { handle } of items) {
    const value = handle === null ? null : get(handle);
    if (handle !== null && value !== null) found.set(handle, value);
  }
  return found;
}

function pathHandlers(context: Context) {
  return {
    enablePath: ({ params }) => enablePath(context, params.number, true),
    disablePath: ({ params }) => enablePath(context, params.number, false),
    usePath: ({ params }) => usePath(context, params.number),
    setPriority: ({ params, body }) => setPriority(context, params.number, body.priority),
    failbackPath: ({ params }) => failbackPath(context, params.number),
    forgetPath: ({ params }) => forgetPath(context, params.number),
    swapPaths: ({ body }) => swapPaths(context, body.a, body.b),
    useMatching: ({ body }) => useMatching(context, body.pattern),
    failbackAll: () => failbackAll(context),
  } satisfies Partial<Handlers>;
}

function faultHandlers({ reactor, hub }: Context, isEmulated: boolean) {
  const demandEmulated = (): void => {
    if (isEmulated) return;
    throw new ControlError("NOT_EMULATED", "faults exist on the emulated array only; this daemon has real devices", {
      remedy: "start the daemon without devices in its configuration",
    });
  };
  const list = async () => ({ faults: (await reactor.faults()) as Output<"faults">["faults"] });
  return {
    faults: () => {
      demandEmulated();
      return list();
    },
    addFault: async ({ body }) => {
      demandEmulated();
      try {
        const id = await reactor.addFault(body as Parameters<typeof reactor.addFault>[0]);
        hub.say("fault-added", { detail: { id, kind: body.fault.kind, where: JSON.stringify(body.where ?? {}) } });
        return { id };
      } catch (thrown) {
        throw refusal(thrown, "the fault was refused", null);
      }
    },
    removeFaults: async ({ query }) => {
      demandEmulated();
      if (query.id === undefined) await reactor.liftAllFaults();
      else if (!(await reactor.liftFault(query.id))) {
        throw new ControlError("INVALID_REQUEST", `there is no fault ${query.id}`, { parameter: "id" });
      }
      hub.say("fault-removed", { detail: { id: query.id ?? "all" } });
      return list();
    },
  } satisfies Partial<Handlers>;
}
