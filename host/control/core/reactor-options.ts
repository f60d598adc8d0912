// Derives the reactor's start options from the configuration.

import { availableParallelism } from "node:os";
import type { ArrayTopology, PortService } from "../../array/array-topology.ts";
import type { ReactorOptions } from "../../reactor/reactor-client.ts";
import { REACTORS_AUTO_MAX } from "../../settings/daemon-settings.ts";
import { SETTINGS } from "../../settings/settings-table.ts";
import { EmulatedArray, type Configuration } from "../schemas/configuration-schema.ts";

const MIB = 1_048_576;
/** The driver takes 64 devices unless told otherwise (its parameter `ublks_max`), each with a queue of 128. */
const DOOR = { clients: 64, tags: 64 * 128, regionBytes: 0 };
type ConfiguredService = NonNullable<EmulatedArray["service"]>;

function serviceOf(service: ConfiguredService): PortService {
  const { latency_us: latencyUs, parallelism, bytes_per_second: bytesPerSecond, distribution } = service;
  return {
    ...(latencyUs === undefined ? {} : { latencyUs }),
    ...(parallelism === undefined ? {} : { parallelism }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(distribution === undefined ? {} : { distribution }),
  };
}

function topologyOf(array: EmulatedArray): ArrayTopology {
  return {
    name: array.name,
    units: array.units,
    unitBytes: array.unit_mib * MIB,
    blockBytes: array.block_bytes,
    controllers: array.controllers,
    initiatorPorts: array.initiator_ports,
    paths: array.paths,
    firstHost: array.first_host,
    access: array.access,
    groupReports: array.group_reports,
    writeCache: array.write_cache,
    identification: array.identification,
    commands: array.commands,
    registrations: array.registrations,
    ...(array.ports_per_controller === undefined ? {} : { portsPerController: array.ports_per_controller }),
    ...(array.directory === undefined ? {} : { directory: array.directory }),
    ...(array.service === undefined ? {} : { service: serviceOf(array.service) }),
    ...(array.ports === undefined ? {} : { ports: array.ports.map(serviceOf) }),
  };
}

/** How many reactors there are to be. @param units how many units there may be */
export function reactorsOf(wanted: Configuration["reactors"], units: number, processors: number): number {
  return wanted === "auto" ? Math.max(1, Math.min(processors, units, REACTORS_AUTO_MAX)) : wanted;
}

export function reactorOptions(configuration: Configuration, emulated: boolean): ReactorOptions {
  const { limits, ring } = configuration;
  const array = configuration.array ?? EmulatedArray.parse({});
  const units = limits.units ?? (emulated ? array.units : SETTINGS["limits.units"].forDevices);
  return {
    limits: {
      connections: limits.connections,
      requests: limits.requests,
      commands: limits.commands,
      poolBytes: limits.pool_mib * MIB,
      units,
      paths: limits.paths ?? (emulated ? array.units * array.paths : SETTINGS["limits.paths"].forDevices),
      events: limits.events,
    },
    ...(ring.backend === "epoll" ? {} : { door: DOOR }),
    backend: ring.backend,
    pollUs: ring.poll_us,
    reactors: reactorsOf(configuration.reactors, units, availableParallelism()),
    arrays: emulated ? [topologyOf(array)] : [],
  };
}
