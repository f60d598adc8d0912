// GET /metrics: everything that can be counted, for Prometheus and whatever else reads its formats. Nothing of it is collected for
// the purpose: values come from the copy of the core's tables that displays use as well, and are written while they are sent.

import { kindOf, type MessageName } from "../../liaison/messages.ts";
import { labels, sample, type Family } from "../../liaison/exposition.ts";
import type { PortStateReader, PortStates } from "../../discovery/port-states.ts";
import type { ReceiverStatus } from "../../liaison/receivers/receiver.ts";
import type { Context } from "../devices/operation-context.ts";
import type { Status } from "../schemas/status-schema.ts";
import { pathFamilies, tablesOf, unitFamilies } from "./metric-families.ts";
import { askHistograms, histogramFamilies } from "./metric-histograms.ts";

type Gauge = readonly [name: string, help: string, value: number, unit?: "seconds" | "bytes"];

const bit = (is: boolean): number => (is ? 1 : 0);

const HEALTH = { ok: 0, degraded: 1, critical: 2 } as const;

const portSamples = (ports: PortStates["targets"], name: string): string[] =>
  [...ports].map(([number, { state, speed }]) => sample(1, labels({ [name]: number, state, speed })));

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

const refusals = (counts: Readonly<Record<string, number>>): string[] =>
  Object.entries(counts).map(([reason, count]) => sample(count, labels({ reason })));

const messages = (counts: ReadonlyMap<MessageName, number>): string[] =>
  [...counts].map(([kind, count]) => {
    const { number, level } = kindOf(kind);
    return sample(count, labels({ message: number, kind, level }));
  });

function* receiverFamilies(receivers: readonly ReceiverStatus[]): Generator<Family> {
  const each = (value: (receiver: ReceiverStatus) => number): string[] =>
    receivers.map((receiver) => sample(value(receiver), labels({ receiver: receiver.name, kind: receiver.kind })));
  const prefix = "pathmanager_receiver";
  const family = (name: string, type: Family["type"], help: string, samples: string[]): Family => ({
    name: `${prefix}_${name}`,
    type,
    help,
    samples,
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
  const { version, node, source, backend } = status;
  yield {
    name: "pathmanager_build_info",
    type: "gauge",
    help: "Versions of the daemon and of Node, where the paths come from, and the kernel's interface for I/O.",
    samples: [sample(1, labels({ version, node, source, backend }))],
  };
  for (const [name, help, value, unit] of gauges(status)) {
    const measure = unit === undefined ? {} : { unit };
    yield { name: `pathmanager_${name}`, type: "gauge", help, ...measure, samples: [sample(value)] };
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
    samples: [sample(status.reactor.eventsLost)],
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

/** Every family; the samples are made while they are read. */
export async function metricsOf(
  context: Context,
  status: () => Promise<Status> | Status,
  ports: PortStateReader,
): Promise<Iterable<Family>> {
  const [snapshot, portStates] = await Promise.all([context.snapshots.forDisplay(), ports.forDisplay()]);
  const tables = await tablesOf(context.inventory, snapshot);
  const histograms = context.snapshots.isAnswering
    ? await askHistograms(context.reactor, tables)
    : { units: [], paths: [], omitted: tables.units.length + tables.paths.length };
  return families(
    daemonFamilies(await status(), context),
    portFamilies(portStates),
    unitFamilies(tables),
    pathFamilies(tables),
    histogramFamilies(histograms),
  );
}
