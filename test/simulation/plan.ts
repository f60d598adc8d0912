// What one world looks like, drawn from its seed.

import type { ArrayTopology } from "../../host/array/topology.ts";
import { POLICY_COUNT } from "../../host/abi.ts";
import type { ClientPlan } from "./client.ts";
import type { Random } from "./random.ts";

export interface WorldPlan {
  readonly kind: "reachable" | "outage" | "device";
  readonly topology: ArrayTopology;
  readonly units: number;
  readonly blocks: number;
  readonly blockBytes: number;
  readonly policy: number;
  readonly ioTimeoutMs: number;
  readonly noPathTimeoutMs: number;
  readonly stallMinMs: number;
  readonly stallMaxMs: number;
  readonly ghostResetMs: number;
  readonly lostResetMs: number;
  /** When the host gives up a READ or WRITE; 0: at its request's deadline. */
  readonly commandTimeoutMs: number;
  readonly transferBlocksMax: number;
  /** Bytes that clients count in: less than a block where they did not ask for block sizes. */
  readonly grainBytes: number;
  /** The device does WRITE SAME; else zeroes are written, in pieces of `transferBlocksMax`. */
  readonly writesSame: boolean;
  readonly patrolMs: number;
  readonly aluaExplicit: boolean;
  /** Time over which the clients spread their requests, ms. */
  readonly spanMs: number;
  readonly clients: readonly { readonly unit: number; readonly plan: ClientPlan }[];
  /** Clients that vanish: index and when, ms. */
  readonly vanishing: readonly { readonly client: number; readonly atMs: number }[];
  /** Clients that give their connection up when it has left something unanswered for so long, ms, and send again by another one. */
  readonly impatient: readonly { readonly client: number; readonly patienceMs: number }[];
  /** Times at which the daemon is killed and started again, ms. */
  readonly crashesMs: readonly number[];
  /** The machine stands still: when and how long, ms. */
  readonly pauses: readonly { readonly atMs: number; readonly forMs: number }[];
  /** The array loses power: when, and how much of its volatile cache survives (0 to 1). */
  readonly powerLosses: readonly { readonly atMs: number; readonly keep: number }[];
  /** Operator's changes under load: when. */
  readonly changesMs: readonly number[];
  /** A path goes and comes back under another number, a new path to the core: when. */
  readonly renumbersMs: readonly number[];
}

/** Share of the worlds whose array knows no command of 16 bytes. */
const OLD_ARRAYS = 0.06;

function clientPlan(random: Random, spanMs: number): ClientPlan {
  const depth = random.pick([1, 2, 4, 8, 16]);
  const requests = random.between(20, 90);
  return {
    requests,
    depth,
    structured: random.chance(0.5),
    blocksMax: random.pick([1, 4, 16, 64]),
    // The load is spread over the time in which there are faults.
    pauseNs: (spanMs * 1e6 * depth) / requests,
    mix: random.pick([
      { read: 5, write: 5, flush: 1, zero: 1 },
      { read: 8, write: 2, flush: 0, zero: 0 },
      { read: 3, write: 8, flush: 1, zero: 2 },
    ]),
  };
}

/** Draws a world. */
export function makePlan(random: Random): WorldPlan {
  const kindDice = random.real();
  const kind = kindDice < 0.7 ? "reachable" : kindDice < 0.88 ? "outage" : "device";
  const units = random.pick([1, 1, 2, 3]);
  const blockBytes = random.pick([512, 512, 4096]);
  const blocks = random.pick([64, 200, 1024]);
  const spanMs = random.pick([500, 3000, 12_000]);
  const clients = Array.from({ length: random.between(1, 4) }, () => ({
    unit: random.between(0, units - 1),
    plan: clientPlan(random, spanMs),
  }));
  const noPathTimeoutMs = kind === "outage" ? random.pick([0, 500, 5000]) : 20_000;
  const plan: WorldPlan = {
    kind,
    topology: {
      name: "sim",
      units,
      unitBytes: blocks * blockBytes,
      blockBytes,
      controllers: random.pick([1, 2, 2, 3]),
      initiatorPorts: random.pick([1, 2, 2]),
      paths: random.between(2, 6),
      access: random.pick(["symmetric", "preferred"] as const),
      writeCache: random.chance(0.5),
      descriptorSense: random.chance(0.5),
      service: {
        latencyUs: random.pick([0, 100, 1000]),
        parallelism: random.pick([1, 4, 64]),
        distribution: random.pick(["constant", "exponential"] as const),
      },
    },
    units,
    blocks,
    blockBytes,
    policy: random.between(0, POLICY_COUNT - 1),
    ioTimeoutMs: kind === "reachable" ? 25_000 : random.pick([1500, 8000, 25_000]),
    noPathTimeoutMs,
    stallMinMs: random.pick([10, 50]),
    stallMaxMs: random.pick([100, 500, 2000]),
    ghostResetMs: random.pick([500, 2000]),
    lostResetMs: random.pick([0, 100, 1000]),
    commandTimeoutMs: random.pick([0, 3000, 8000]),
    transferBlocksMax: random.pick([0, 8, 11, 32]),
    patrolMs: random.pick([300, 1000, 2000]),
    aluaExplicit: random.chance(0.3),
    spanMs,
    clients,
    vanishing: random.chance(0.25)
      ? [{ client: random.between(0, clients.length - 1), atMs: random.between(10, spanMs) }]
      : [],
    crashesMs: random.chance(0.15) ? [random.between(50, spanMs)] : [],
    pauses: random.chance(0.15) ? [{ atMs: random.between(10, spanMs), forMs: random.pick([50, 1000, 40_000]) }] : [],
    powerLosses: random.chance(0.15) ? [{ atMs: random.between(10, spanMs), keep: random.pick([0, 0.3, 0.8]) }] : [],
    changesMs: random.chance(0.4) ? Array.from({ length: random.between(1, 5) }, () => random.between(1, spanMs)) : [],
    // Drawn last, so that the rest of each seed's world stays what it was.
    impatient: clients.flatMap((_, client) =>
      random.chance(0.4) ? [{ client, patienceMs: random.pick([5, 10, 20, 100]) }] : [],
    ),
    writesSame: random.chance(0.7),
    grainBytes: random.chance(0.3) ? blockBytes / 4 : blockBytes,
    renumbersMs: random.chance(0.3)
      ? Array.from({ length: random.between(1, 4) }, () => random.between(1, spanMs))
      : [],
  };
  // An old array, in some worlds: nothing that is drawn depends on it.
  return random.chance(OLD_ARRAYS) ? { ...plan, topology: { ...plan.topology, commands: "10-byte" } } : plan;
}
