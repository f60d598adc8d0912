// The initial world of scenarios with figures: one large unit under steady load, with learned latencies.

import { AGREED } from "./expected.ts";
import type { WorldPlan } from "./plan.ts";

export interface SteadyOptions {
  readonly policy: number;
  readonly paths?: number;
  /** Size of the unit in blocks. It is large, so that hardly any write overlaps one that waits for an orphan. */
  readonly blocks?: number;
  readonly requests?: number;
  readonly lostResetMs?: number;
}

/** Two clients, each with eight requests in progress; service times are exponential with a mean of a millisecond. */
export function steadyPlan(options: SteadyOptions): WorldPlan {
  const { policy, paths = 4, blocks = 20_000_000, requests = 4000, lostResetMs = 1000 } = options;
  const client = {
    unit: 0,
    plan: {
      requests,
      depth: 8,
      agreed: AGREED,
      blocksMax: 8,
      logarithmic: false,
      pauseNs: 2_000_000,
      mix: { read: 6, write: 4, flush: 0, zero: 0 },
    },
  };
  return {
    kind: "reachable",
    topology: {
      name: "sim",
      units: 1,
      unitBytes: 512 * blocks,
      paths,
      initiatorPorts: Math.min(2, paths),
      service: { latencyUs: 1000, parallelism: 16, distribution: "exponential" },
    },
    units: 1,
    blocks,
    blockBytes: 512,
    policy,
    ioTimeoutMs: 30_000,
    noPathTimeoutMs: 30_000,
    stallMinMs: 20,
    stallMaxMs: 2000,
    orphanResetMs: 1000,
    lostResetMs,
    commandTimeoutMs: 400,
    transferBlocksMax: 0,
    windows: [{ first: 0, count: blocks }],
    cuts: [0],
    writesSame: true,
    knowsFua: true,
    tellsStatus: true,
    patrolMs: 5000,
    aluaExplicit: false,
    spanMs: 3000,
    clients: [client, client],
    vanishing: [],
    impatient: [],
    crashesMs: [],
    pauses: [],
    powerLosses: [],
    changesMs: [],
    renumbersMs: [],
    closesMs: [],
    replacementsMs: [],
    strays: 0,
    neighbours: [],
    resizes: [],
    zeroingMs: 0,
    zeroingBlocksMax: 0,
  };
}
