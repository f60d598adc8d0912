// Worlds of two hosts that are not drawn but made for one rule each, which drawn ones put to the test too seldom. The seed draws the rest:
// when requests come, and how long the device takes.

import { POLICY_ROUND_ROBIN, POLICY_STATIC } from "../../../host/abi.ts";
import type { ClusterPlan } from "./cluster-plan.ts";

const common: ClusterPlan = {
  topology: {
    name: "cluster",
    units: 1,
    unitBytes: 32_768,
    controllers: 2,
    portsPerController: 2,
    initiatorPorts: 2,
    paths: 6,
    service: { latencyUs: 5000, distribution: "exponential" },
  },
  type: 5,
  persists: false,
  allTargetPorts: false,
  noPathMs: 5000,
  policy: POLICY_ROUND_ROBIN,
  depth: 12,
  isCalm: false,
  spanMs: 3000,
  preemptsMs: [],
  renewsMs: [],
  faults: [],
  controlMs: 300,
  isClusterMode: false,
  killsMs: [],
};

export const clusterScenarios = {
  /** Control grants a registration from before the preemption, and with the power the reservation is lost that would have kept writes out. */
  "an-old-grant": {
    ...common,
    preemptsMs: [{ by: 0, atMs: 302, forMs: 1050 }],
    faults: [{ fault: { kind: "power-loss" }, afterMs: 348 }],
  },
  /**
   * All writes are on one path and held back there, when the host is preempted; the loss of power that takes the reservation away as well
   * sends them all to paths that nobody has used for a while. The device takes its commands in their order: where one is overtaken by a check
   * that is told everything, no host can guard against it.
   */
  "a-burst-on-an-idle-path": {
    ...common,
    topology: { ...common.topology, service: { latencyUs: 2000, distribution: "constant" } },
    policy: POLICY_STATIC,
    isClusterMode: true,
    controlMs: 20,
    preemptsMs: [{ by: 0, atMs: 1285, forMs: 1050 }],
    faults: [
      { fault: { kind: "queued" }, where: { port: 4 }, afterMs: 1250, forMs: 200 },
      { fault: { kind: "power-loss" }, afterMs: 1310 },
    ],
  },
  /**
   * What a killed daemon has sent by one path is held back until long after its host was preempted and let in again; a registration by the
   * other path covers that one, too.
   */
  "leftovers-of-a-preempted-host": {
    ...common,
    topology: { ...common.topology, paths: 4 },
    persists: true,
    allTargetPorts: true,
    controlMs: 20,
    preemptsMs: [{ by: 0, atMs: 520, forMs: 300 }],
    faults: [{ fault: { kind: "queued" }, where: { port: 1 }, afterMs: 450, forMs: 2000 }],
    killsMs: [{ host: 1, atMs: 500 }],
  },
} as const satisfies Readonly<Record<string, ClusterPlan>>;

export type ClusterScenario = keyof typeof clusterScenarios;
