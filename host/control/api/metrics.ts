// GET /metrics: everything that can be counted, for Prometheus and whatever else reads its formats. Nothing of it is collected for
// the purpose: values come from the copy of the core's tables that displays use as well, and are written while they are sent.

import { kindOf, type MessageName } from "../../liaison/messages.ts";
import type { PortStateReader, PortStates } from "../../discovery/port-states.ts";
import type { ReceiverStatus } from "../../liaison/receivers/receiver.ts";
import type { Context } from "../devices/operation-context.ts";
import type { Input } from "../schemas/routes.ts";
import type { Status } from "../schemas/status-schema.ts";
import { few, one, type Family, type Sample, type Samples } from "./exposition.ts";
import { pathFamilies, unitFamilies } from "./metric-families.ts";
import { askHistograms, histogramFamilies } from "./metric-histograms.ts";
import { askLoad, eachReactor, reactorFamilies } from "./metric-reactor.ts";
import { Tabulator } from "./metric-tables.ts";

type Gauge = readonly [name: string, help: string, value: number, unit?: "seconds" | "bytes"];

const bit = (is: boolean): number => (is ? 1 : 0);

const HEALTH = { ok: 0, degraded: 1, critical: 2 } as const;

const portSamples = (ports: PortStates["targets"], name: string): Samples =>
  few([...ports].map(([number, { state, speed }]) => [1, { [name]: number, state, speed }]));

/** Ports on both sides, as far as the kernel's transports know them. */
function* portFamilies({ initiators, targets }: PortStates): Generator<Family> {
  yield {
    name: "pathmanager_initiator_port_info",
    type: "gauge",
    help: "State and speed of initiator ports, by host number.",
    samples: portSamples(initiators, "host"),
  };
  yield {
    name: "pathmanager_target_port_info",
    type: "gauge",
    help: "State of target ports, by host:channel:target.",
    samples: portSamples(targets, "target"),
  };
}

function gauges(status: Status): readonly Gauge[] {
  const { reactor, memory } = status;
  return [
    ["start_time_seconds", "When the daemon started, seconds since 1970.", status.startedMs / 1000, "seconds"],
    ["uptime_seconds", "How long the daemon runs, by a clock that nobody sets.", status.runningMs / 1000, "seconds"],
    ["units", "Units with at least one path.", status.units],
    ["paths", "Paths that are or should be there.", status.paths],
    ["paths_usable", "Paths that can carry I/O, now or as an alternative.", status.pathsUsable],
    ["health", "0 ok, 1 degraded, 2 critical: as `pathctl status` ends.", HEALTH[status.health.level]],
    ["units_degraded", "Units that have lost paths.", status.health.unitsDegraded],
    ["units_without_path", "Units of which no path can carry I/O.", status.health.unitsWithoutPath],
    ["paths_faulty", "Paths that are failed, marginal or gone.", status.health.pathsFaulty],
    ["single_points", "Components through which every path of a unit goes.", status.health.singlePoints.length],
    ["attentions", "Sentences of `pathctl status` that an operator should read.", status.attention.length],
    ["devices_refused", "Selected devices that do not become paths.", status.refused.length],
    ["reactor_answering", "Whether the reactor turns.", bit(reactor.answering)],
    [
      "reactor_snapshot_age_seconds",
      "Age of the tables from which this scrape is made.",
      reactor.snapshotAgeMs / 1000,
      "seconds",
    ],
    ["core_memory_bytes", "Memory of the core, which does not grow.", reactor.coreMemoryBytes, "bytes"],
    ["resident_memory_bytes", "Memory of both of the daemon's processes.", memory.residentBytes, "bytes"],
    ["control_heap_bytes", "JavaScript heap of control.", memory.heapBytes, "bytes"],
    ["events_stored", "Events in the state file.", status.state.events],
    [
      "configuration_restart_needed",
      "Settings that hold only after a restart.",
      status.configuration.restartNeeded.length,
    ],
  ];
}

const refusals = (counts: Readonly<Record<string, number>>): Samples =>
  few(Object.entries(counts).map(([reason, count]) => [count, { reason }]));

const messages = (counts: ReadonlyMap<MessageName, number>): Samples =>
  few(
    [...counts].map(([kind, count]) => {
      const { number, level } = kindOf(kind);
      return [count, { message: number, kind, level }];
    }),
  );

function* receiverFamilies(receivers: readonly ReceiverStatus[]): Generator<Family> {
  const each = (value: (receiver: ReceiverStatus) => number): readonly Sample[] =>
    receivers.map((receiver) => [value(receiver), { receiver: receiver.name, kind: receiver.kind }]);
  const prefix = "pathmanager_receiver";
  const family = (name: string, type: Family["type"], help: string, samples: readonly Sample[]): Family => ({
    name: `${prefix}_${name}`,
    type,
    help,
    samples: few(samples),
  });
  yield family(
    "queued",
    "gauge",
    "Messages that wait for the receiver.",
    each(({ queued }) => queued),
  );
  yield family(
    "sent",
    "counter",
    "Messages that the receiver took.",
    each(({ sent }) => sent),
  );
  yield family(
    "dropped",
    "counter",
    "Messages that the receiver will never get.",
    each(({ dropped }) => dropped),
  );
  yield family(
    "failures",
    "counter",
    "Attempts that failed.",
    each(({ failures }) => failures),
  );
  yield family(
    "failing",
    "gauge",
    "Whether the last attempt failed.",
    each(({ failing }) => bit(failing !== null)),
  );
}

function* daemonFamilies(status: Status, { hub, receiving }: Context): Generator<Family> {
  const { counts } = hub;
  const receivers = receiving.statuses;
  const { host, version, node, source, backend } = status;
  yield {
    name: "pathmanager_build_info",
    type: "gauge",
    help: "The host, versions of the daemon and of Node, where the paths come from, and the kernel's interface for I/O.",
    samples: few([[1, { host, version, node, source, backend }]]),
  };
  for (const [name, help, value, unit] of gauges(status)) {
    const measure = unit === undefined ? {} : { unit };
    yield { name: `pathmanager_${name}`, type: "gauge", help, ...measure, samples: one(value) };
  }
  yield {
    name: "pathmanager_messages",
    type: "counter",
    help: "Messages since the start of control, also those that were summed up.",
    samples: messages(counts),
  };
  yield* receiverFamilies(receivers);
  yield {
    name: "pathmanager_core_events_lost",
    type: "counter",
    help: "Events for which the core had no room.",
    samples: one(status.reactor.eventsLost),
  };
  yield {
    name: "pathmanager_api_connections_refused",
    type: "counter",
    help: "API connections that were closed or refused.",
    samples: refusals(status.connectionsRefused.api),
  };
  yield {
    name: "pathmanager_nbd_connections_refused",
    type: "counter",
    help: "NBD connections that were refused.",
    samples: refusals(status.connectionsRefused.nbd),
  };
}

function* families(...parts: readonly Iterable<Family>[]): Generator<Family> {
  for (const part of parts) yield* part;
}

/** Answers scrapes: every family, whose samples are made while they are sent. */
export function metricsHandler(
  context: Context,
  status: () => Promise<Status> | Status,
  ports: PortStateReader,
): (input: Input<"metrics">) => Promise<Iterable<Family>> {
  const tabulator = new Tabulator();
  return async ({ query }) => {
    const [snapshot, portStates, load] = await Promise.all([
      context.snapshots.forDisplay(),
      ports.forDisplay(),
      askLoad(context),
    ]);
    const tables = await tabulator.tables(context.inventory, snapshot);
    const histograms = await askHistograms(context, tables, query.histograms);
    const daemon = await status();
    return families(
      daemonFamilies(daemon, context),
      eachReactor(daemon.reactors),
      portFamilies(portStates),
      reactorFamilies(load, tables),
      unitFamilies(tables),
      pathFamilies(tables),
      histogramFamilies(histograms),
    );
  };
}
