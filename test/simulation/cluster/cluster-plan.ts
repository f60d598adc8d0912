// What a world of two hosts is drawn from.

import type { ArrayTopology } from "../../../host/array/array-topology.ts";
import type { Fault, FaultRequest } from "../../../host/array/faults/faults.ts";
import type { Random } from "../random.ts";

export const BLOCKS = 64;
const SPAN_MS = 3000;

export interface ClusterPlan {
  readonly topology: ArrayTopology;
  /** Type of the reservation: 1 or 3, for the holder alone, or 5 to 8. */
  readonly type: number;
  readonly persists: boolean;
  readonly allTargetPorts: boolean;
  readonly noPathMs: number;
  readonly policy: number;
  readonly depth: number;
  /** Nothing goes wrong but that one host preempts the other: then no path may be blamed, and nothing fails without a reason. */
  readonly isCalm: boolean;
  readonly spanMs: number;
  /** When a host preempts the other. */
  readonly preemptsMs: readonly { readonly by: number; readonly atMs: number; readonly forMs: number }[];
  /** When a host removes a path and adds it again. */
  readonly renewsMs: readonly { readonly host: number; readonly atMs: number }[];
  readonly faults: readonly FaultRequest[];
  /** Longest time between the steps of control, ms. */
  readonly controlMs: number;
  /** Cluster mode: the policy is in force only while the reservation is known to be for registrants. */
  readonly isClusterMode: boolean;
  /** When a host's daemon is killed; another one starts at once. */
  readonly killsMs: readonly { readonly host: number; readonly atMs: number }[];
}

function topologyOf(random: Random): ArrayTopology {
  const initiatorPorts = random.pick([2, 4]);
  return {
    name: "cluster",
    units: 1,
    unitBytes: BLOCKS * 512,
    controllers: 2,
    portsPerController: 2,
    initiatorPorts,
    paths: initiatorPorts * random.between(2, 3),
    service: { latencyUs: random.pick([200, 1000, 5000]), distribution: "exponential" },
  };
}

/** What a host cannot guard against is not among them: a command that lands after the host's abort, a LUN that leads elsewhere between two commands. */
function faultOf(random: Random): Fault {
  switch (random.between(0, 8)) {
    case 0:
      return { kind: "port-down" };
    case 1:
      return { kind: "flapping", upMs: random.between(50, 300), downMs: random.between(50, 300) };
    case 2:
      return { kind: "no-answer", execution: random.pick(["never", "at-once", "on-lift"]), giveUp: random.chance(0.7) };
    case 3:
    case 4:
      return { kind: "queued" };
    case 5:
      return { kind: "late", delayMs: random.between(100, 2500), giveUp: random.chance(0.5) };
    case 6:
      return { kind: "unit-attention", asc: 0x29, ascq: random.pick([0, 2, 3, 4, 7]), every: random.between(20, 200) };
    case 7:
      return { kind: "slow", factor: random.between(2, 20) };
    default:
      return { kind: "power-loss" };
  }
}

/** Faults of single ports; a loss of power is the whole array's. */
function faultsOf(random: Random, ports: number): FaultRequest[] {
  return Array.from({ length: random.between(1, 5) }, () => {
    const fault = faultOf(random);
    const whole = fault.kind === "power-loss";
    const afterMs = random.between(200, SPAN_MS - 500);
    return {
      fault,
      afterMs,
      ...(whole ? {} : { where: { port: random.between(0, ports - 1) }, forMs: random.between(50, 2000) }),
    };
  });
}

type Kill = ClusterPlan["killsMs"][number];

/** Some daemons die at any moment, some about when their host is preempted. */
function killsOf(random: Random, preempts: ClusterPlan["preemptsMs"]): Kill[] {
  return Array.from({ length: random.between(1, 3) }, () => {
    const { by, atMs } = random.pick(preempts);
    if (random.chance(0.5)) return { host: random.between(0, 1), atMs: random.between(200, SPAN_MS - 100) };
    return { host: 1 - by, atMs: atMs + random.between(-150, 300) };
  });
}

/** What a daemon has sent when it is killed is held back, and delivered long after the next one has started. */
function heldBack(random: Random, kills: readonly Kill[], ports: number): FaultRequest[] {
  return kills.flatMap(({ atMs }) =>
    Array.from({ length: random.between(0, 3) }, () => ({
      fault: { kind: "queued" } as const,
      where: { port: random.between(0, ports - 1) },
      afterMs: Math.max(0, atMs - random.between(50, 400)),
      forMs: random.between(500, 2500),
    })),
  );
}

/** Draws a world. */
export function makeClusterPlan(random: Random): ClusterPlan {
  const topology = topologyOf(random);
  const isCalm = random.chance(0.4);
  const preempts = Array.from({ length: random.between(1, 4) }, () => ({
    by: random.between(0, 1),
    atMs: random.between(300, SPAN_MS - 200),
    forMs: random.between(50, 1500),
  }));
  const ports = topology.paths ?? 4;
  const renewals = random.chance(0.4) ? random.between(1, 3) : 0;
  const plan = {
    topology,
    type: random.between(5, 8),
    persists: random.chance(0.7),
    allTargetPorts: random.chance(0.3),
    noPathMs: random.pick([0, 5000]),
    policy: random.pick([0, 1, 3, 5]),
    depth: random.between(2, 12),
    isCalm,
    spanMs: SPAN_MS,
    preemptsMs: preempts,
    renewsMs: Array.from({ length: renewals }, () => ({
      host: random.between(0, 1),
      atMs: random.between(300, SPAN_MS),
    })),
    faults: isCalm ? [] : faultsOf(random, ports),
    controlMs: random.pick([1, 20, 300]),
    isClusterMode: random.chance(0.5),
  };
  // Drawn last, so that worlds without them are what they were.
  const kills = random.chance(0.3) ? killsOf(random, preempts) : [];
  const held = isCalm ? [] : heldBack(random, kills, ports);
  const type = random.chance(0.25) ? random.pick([1, 3]) : plan.type;
  return { ...plan, type, killsMs: kills, faults: [...plan.faults, ...held] };
}
