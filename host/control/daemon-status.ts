// GET /v1/status: the daemon as a whole.

import { hostname } from "node:os";
import { readText } from "../discovery/attributes.ts";
import { schedulingOf } from "../native/index.ts";
import type { Daemon } from "./daemon.ts";
import { unverifiedSentences } from "./devices/unverified-settings.ts";
import { isShown, pathsOf } from "./inventory/inventory.ts";
import { causesOf, causeSentences } from "./views/components.ts";
import { healthOf } from "./views/health.ts";
import { awaySentences, reactorViews } from "./views/reactor-views.ts";
import { attentionOf, redundancyOf } from "./views/overviews.ts";
import { daemonPid } from "./ground/own-process.ts";
import { marginalSentences } from "./events/marginal-watch.ts";
import { sinceStartMs } from "./ground/uptime.ts";
import type { Status } from "./schemas/status-schema.ts";

/** Refused devices that one answer names. */
const REFUSED_MAX = 256;

/** Memory of the daemon's other process, as far as the kernel reports it. */
function residentBytesOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readText(`/proc/${pid}/status`) ?? "")?.[1];
  return Number(kib ?? 0) * 1024;
}

export async function statusOf(daemon: Daemon, version: string): Promise<Status> {
  const [snapshot] = await Promise.all([daemon.snapshots.forDisplay(), daemon.loads.forDisplay()]);
  const { inventory, reactor, loads } = daemon;
  const turns = daemon.snapshots.isAnswering;
  const reactors = reactorViews({ reactor, loads, inventory, snapshot, isAnswering: turns });
  const redundancy = redundancyOf(daemon.inventory, snapshot);
  const causes = causesOf(daemon.inventory, snapshot);
  const attention = [
    ...awaySentences(reactors),
    ...daemon.keeping.attention,
    ...unverifiedSentences(daemon.state.incomplete, daemon.inventory),
    ...(daemon.rescans.nothing === null ? [] : [daemon.rescans.nothing]),
    ...causeSentences(causes, snapshot),
    ...attentionOf(redundancy),
    ...daemon.writers.attention,
    ...marginalSentences(daemon.inventory, snapshot),
  ];
  // Clients of one that stands still wait, too.
  const isAnswering = turns && reactors.every(({ answering }) => answering);
  const singlePoints = daemon.cabling.points;
  const needsAttention = attention.length > 0;
  const { places, configuration } = daemon.options;
  const { rss, heapUsed } = process.memoryUsage();
  const runningMs = Math.round(daemon.options.keeper?.runningMs ?? sinceStartMs());
  return {
    host: hostname(),
    version,
    source: daemon.emulated ? "emulated" : "devices",
    pid: daemonPid(),
    node: process.version,
    // By the machine's present clock, so that it matches the client's time.
    startedMs: Date.now() - runningMs,
    runningMs,
    backend: daemon.reactor.backend,
    units: daemon.inventory.units().filter((unit) => pathsOf(unit).some(isShown)).length,
    paths: daemon.inventory.paths().filter(isShown).length,
    pathsUsable: redundancy.usable,
    health: healthOf({ inventory, snapshot, redundancy, causes, singlePoints, needsAttention, isAnswering }),
    attention,
    refused: daemon.rescans.refused.slice(0, REFUSED_MAX),
    sockets: {
      api: places.apiSocket,
      apiRead: places.readSocket,
      apiTcp: configuration.sockets.api_tcp?.listen ?? null,
      nbd: places.nbdSocket,
      nbdTcp: daemon.doors.nbdTcp,
    },
    configuration: { file: daemon.configurationFile, restartNeeded: [...daemon.restartNeeded] },
    state: { file: daemon.state.file, events: daemon.hub.count },
    reactor: {
      answering: turns,
      snapshotAgeMs: daemon.snapshots.ageMs,
      coreMemoryBytes: daemon.reactor.memoryBytes,
      eventsLost: snapshot.eventsLost,
    },
    reactors,
    scheduling: scheduling(),
    connectionsRefused: { api: sums(daemon.apiClosed.map((closed) => closed())), nbd: { ...daemon.doors.nbdRefused } },
    memory: { residentBytes: rss + residentBytesOf(daemon.options.keeper?.pid), heapBytes: heapUsed },
  };
}

/** As the reactors' threads have inherited it. */
function scheduling(): Status["scheduling"] {
  try {
    const { nice, sliceUs } = schedulingOf(daemonPid());
    return { nice, sliceUs: sliceUs === 0 ? null : sliceUs };
  } catch {
    return null;
  }
}

/** Sums of counters with the same names. */
function sums(counters: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const all: Record<string, number> = {};
  for (const counter of counters)
    for (const [why, count] of Object.entries(counter)) all[why] = (all[why] ?? 0) + count;
  return all;
}
