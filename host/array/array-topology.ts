// What an emulated array looks like from outside: its description in a configuration, and the expansion of that into
// logical units and paths. Plain data, checked here once; all other code may rely on the ranges.

import { ArrayError } from "./array-errors.ts";

/** Response of a target port, so that paths can be made unequal. All of it is optional; by default responses are immediate. */
export interface PortService {
  /** Service time of one command in microseconds, 0 to 60,000,000. Default 0. */
  readonly latencyUs?: number;
  /** Commands that a port serves at the same time, 1 to 1024; others wait their turn. Default: no limit. */
  readonly parallelism?: number;
  /** Bytes per second of one transfer, added to the latency. Default: no limit. */
  readonly bytesPerSecond?: number;
  /** `constant` (default) or `exponential` with `latencyUs` as the mean. */
  readonly distribution?: "constant" | "exponential";
}

/** The description of an emulated array, as in a configuration. */
export interface ArrayTopology {
  /** Name; identities and serial numbers are derived from it. 1 to 32 characters. Default `array0`. */
  readonly name?: string;
  /** Logical units, 1 to 4096. */
  readonly units: number;
  /** Bytes of each logical unit, a multiple of the block size. Default 64 MiB. */
  readonly unitBytes?: number;
  /** 512 (default) or 4096. */
  readonly blockBytes?: number;
  /** Controllers; each is one target port group. 1 to 16, default 2. */
  readonly controllers?: number;
  /** Target ports of each controller, 1 to 32. Default 2, or as many as `paths` needs. */
  readonly portsPerController?: number;
  /** Initiator ports of the host, 1 to 32. Default 2. */
  readonly initiatorPorts?: number;
  /** Paths to each logical unit, 1 to 32. Default 4. */
  readonly paths?: number;
  /** Host number of the first initiator port in path numbers `host:channel:target:lun`. Default 4. */
  readonly firstHost?: number;
  /** First LUN, 0 to 255. Default 0. */
  readonly firstLun?: number;
  /** `symmetric`: every group active/optimized; `preferred`: unit i's owner is controller i mod n, the others are non-optimized. */
  readonly access?: "symmetric" | "preferred";
  /** What REPORT TARGET PORT GROUPS reports: every group (default), or only that of the port it was sent to. */
  readonly groupReports?: "all" | "own";
  /** A volatile write cache, reported in the caching mode page and lost by `power-loss`. Default false. */
  readonly writeCache?: boolean;
  /** Sense in descriptor format instead of fixed. Default false. */
  readonly descriptorSense?: boolean;
  /** `serial-only`: an old array without VPD page 0x83, only with 0x80. Default `designators`. */
  readonly identification?: "designators" | "serial-only";
  /** `10-byte`: an old array that supports no command with a CDB of 16 bytes: READ(10), not READ(16). Default `all`. */
  readonly commands?: "all" | "10-byte";
  /**
   * `lio`: a registration made with ALL_TG_PT is changed and removed only with ALL_TG_PT, as the kernel's target has it. Default `spc`:
   * ALL_TG_PT says what a command covers, and nothing else.
   */
  readonly registrations?: "spc" | "lio";
  /** Directory with one file per unit (`unit-0.img`, ...); without it the units are in memory. */
  readonly directory?: string;
  /** Response of every target port, unless `ports` says otherwise. */
  readonly service?: PortService;
  /** Response of single target ports, in order of their index; null or missing: as `service`. */
  readonly ports?: readonly (PortService | null)[];
}

/** A topology with every default filled in. */
export interface FullTopology {
  readonly name: string;
  readonly units: number;
  readonly unitBytes: number;
  readonly blockBytes: number;
  readonly controllers: number;
  readonly portsPerController: number;
  readonly initiatorPorts: number;
  readonly paths: number;
  readonly firstHost: number;
  readonly firstLun: number;
  readonly access: "symmetric" | "preferred";
  readonly groupReports: "all" | "own";
  readonly writeCache: boolean;
  readonly descriptorSense: boolean;
  readonly identification: "designators" | "serial-only";
  readonly commands: "all" | "10-byte";
  readonly registrations: "spc" | "lio";
  readonly directory: string | null;
  /** One for each target port. */
  readonly services: readonly Required<PortService>[];
}

/** Where one path of a unit runs. */
export interface PathPlan {
  readonly initiatorPort: number;
  readonly controller: number;
  /** Index of the target port in its array. */
  readonly targetPort: number;
}

function whole(parameter: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most) {
    throw new ArrayError(
      "ARRAY_TOPOLOGY",
      `array ${parameter}: ${String(value)} is not a whole number from ${least} to ${most}`,
    );
  }
  return value;
}

/** One of two words; the first is the default. */
function oneOf<T extends string>(parameter: string, value: T | undefined, [first, second]: readonly [T, T]): T {
  if (value === undefined || value === first) return first;
  if (value === second) return second;
  throw new ArrayError(
    "ARRAY_TOPOLOGY",
    `array ${parameter}: "${String(value)}" is neither "${first}" nor "${second}"`,
  );
}

function serviceOf(parameter: string, service: PortService | null | undefined): Required<PortService> {
  const distribution = service?.distribution ?? "constant";
  if (distribution !== "constant" && distribution !== "exponential") {
    throw new ArrayError(
      "ARRAY_TOPOLOGY",
      `array ${parameter}.distribution: "${String(distribution)}" is neither "constant" nor "exponential"`,
    );
  }
  return {
    latencyUs: whole(`${parameter}.latencyUs`, service?.latencyUs ?? 0, 0, 60_000_000),
    parallelism: whole(
      `${parameter}.parallelism`,
      service?.parallelism ?? 0,
      service?.parallelism === undefined ? 0 : 1,
      1024,
    ),
    bytesPerSecond: whole(`${parameter}.bytesPerSecond`, service?.bytesPerSecond ?? 0, 0, Number.MAX_SAFE_INTEGER),
    distribution,
  };
}

/** Fills in the defaults and checks every range. Throws ARRAY_TOPOLOGY naming the parameter. */
export function fullTopology(topology: ArrayTopology): FullTopology {
  const name = topology.name ?? "array0";
  if (typeof name !== "string" || !/^[\w .:-]{1,32}$/.test(name)) {
    throw new ArrayError("ARRAY_TOPOLOGY", `array name: use 1 to 32 letters, digits or . : - _, not "${String(name)}"`);
  }
  const blockBytes = topology.blockBytes ?? 512;
  if (blockBytes !== 512 && blockBytes !== 4096) {
    throw new ArrayError("ARRAY_TOPOLOGY", `array blockBytes: ${String(blockBytes)} is neither 512 nor 4096`);
  }
  const unitBytes = whole("unitBytes", topology.unitBytes ?? 67_108_864, blockBytes, 2 ** 52);
  if (unitBytes % blockBytes !== 0) {
    throw new ArrayError(
      "ARRAY_TOPOLOGY",
      `array unitBytes: ${unitBytes} is not a multiple of blockBytes ${blockBytes}`,
    );
  }
  const controllers = whole("controllers", topology.controllers ?? 2, 1, 16);
  const initiatorPorts = whole("initiatorPorts", topology.initiatorPorts ?? 2, 1, 32);
  const paths = whole("paths", topology.paths ?? 4, 1, 32);
  const portsNeeded = Math.ceil(paths / (controllers * initiatorPorts));
  const portsPerController = whole(
    "portsPerController",
    topology.portsPerController ?? Math.max(2, portsNeeded),
    1,
    32,
  );
  if (paths > controllers * portsPerController * initiatorPorts) {
    throw new ArrayError(
      "ARRAY_TOPOLOGY",
      `array paths: ${paths} is more than controllers x portsPerController x initiatorPorts = ${controllers * portsPerController * initiatorPorts}; raise one of them`,
    );
  }
  const access = oneOf("access", topology.access, ["symmetric", "preferred"]);
  const groupReports = oneOf("groupReports", topology.groupReports, ["all", "own"]);
  const identification = oneOf("identification", topology.identification, ["designators", "serial-only"]);
  const commands = oneOf("commands", topology.commands, ["all", "10-byte"]);
  const registrations = oneOf("registrations", topology.registrations, ["spc", "lio"]);
  const firstLun = whole("firstLun", topology.firstLun ?? 0, 0, 255);
  const services: Required<PortService>[] = [];
  for (let port = 0; port < controllers * portsPerController; port++) {
    services.push(serviceOf(`ports[${port}]`, topology.ports?.[port] ?? topology.service));
  }
  return {
    name,
    units: whole("units", topology.units, 1, 4096),
    unitBytes,
    blockBytes,
    controllers,
    portsPerController,
    initiatorPorts,
    paths,
    firstHost: whole("firstHost", topology.firstHost ?? 4, 0, 65_535),
    firstLun,
    access,
    groupReports,
    writeCache: topology.writeCache ?? false,
    descriptorSense: topology.descriptorSense ?? false,
    identification,
    commands,
    registrations,
    directory: topology.directory ?? null,
    services,
  };
}

/**
 * The paths of every unit, in the order of discovery. Consecutive paths share as little as possible: the controller and the
 * initiator port change with each path, the port of the controller after one round, the pairing after all of them.
 */
export function pathPlans(topology: FullTopology): PathPlan[] {
  const { controllers, portsPerController, initiatorPorts, paths } = topology;
  const plans: PathPlan[] = [];
  const taken = new Set<number>();
  for (let i = 0; i < paths; i++) {
    const controller = i % controllers;
    const port = Math.floor(i / controllers) % portsPerController;
    const targetPort = controller * portsPerController + port;
    let initiatorPort = i % initiatorPorts;
    while (taken.has(targetPort * initiatorPorts + initiatorPort)) initiatorPort = (initiatorPort + 1) % initiatorPorts;
    taken.add(targetPort * initiatorPorts + initiatorPort);
    plans.push({ initiatorPort, controller, targetPort });
  }
  return plans;
}
