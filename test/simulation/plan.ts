// The plan of one world, drawn from its seed.

import type { ArrayTopology } from "../../host/array/array-topology.ts";
import { POLICY_COUNT } from "../../host/abi.ts";
import type { ClientPlan } from "./client.ts";
import { BLOCK_BYTES_MAX, PAYLOAD_BYTES_MAX, type Agreement } from "./expected.ts";
import type { Cells } from "./history.ts";
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
  readonly orphanResetMs: number;
  readonly lostResetMs: number;
  /** When the host gives up a READ or WRITE; 0: at its request's deadline. */
  readonly commandTimeoutMs: number;
  readonly transferBlocksMax: number;
  /** Blocks used by clients, in some places of each unit. */
  readonly windows: readonly Cells[];
  /** Where, within a block, requests begin and end: elsewhere than at its beginning if clients did not request block sizes. */
  readonly cuts: readonly number[];
  /** The device supports WRITE SAME; else zeroes are written, in pieces of `transferBlocksMax`. */
  readonly writesSame: boolean;
  /** It supports FUA; else a flush follows. It reports mapped blocks by GET LBA STATUS. */
  readonly knowsFua: boolean;
  readonly tellsStatus: boolean;
  readonly patrolMs: number;
  readonly aluaExplicit: boolean;
  /** Time span of the clients' requests, ms. */
  readonly spanMs: number;
  readonly clients: readonly { readonly unit: number; readonly plan: ClientPlan }[];
  /**
   * Clients of a second host, which has a daemon of its own and shares the array; it changes other blocks. None: no such
   * host.
   */
  readonly neighbours: readonly { readonly unit: number; readonly plan: ClientPlan }[];
  /** Clients that vanish: index and time, ms. */
  readonly vanishing: readonly { readonly client: number; readonly atMs: number }[];
  /**
   * Clients that drop their connection when a request has been unanswered for this long, ms, and send it again on another
   * one.
   */
  readonly impatient: readonly { readonly client: number; readonly patienceMs: number }[];
  /** Times at which the daemon is killed and restarted, ms. */
  readonly crashesMs: readonly number[];
  /** Pauses of the machine: start and duration, ms. */
  readonly pauses: readonly { readonly atMs: number; readonly forMs: number }[];
  /** Power losses of the array: time, and the part of its volatile cache that survives (0 to 1). */
  readonly powerLosses: readonly { readonly atMs: number; readonly keep: number }[];
  /** Times of control calls under load. */
  readonly changesMs: readonly number[];
  /** Times at which control closes a connection, or removes a unit with its paths and adds it again at once. */
  readonly closesMs: readonly number[];
  readonly replacementsMs: readonly number[];
  /** Times at which a path disappears and comes back under another number, as a new path to the core. */
  readonly renumbersMs: readonly number[];
  /** Probability that the host completes something in a turn that nobody waits for. */
  readonly strays: number;
  /** How many reactors the host has, each with a core of its own; left out: one. Unit u begins on reactor u modulo their number. */
  readonly reactors?: number;
  /** Times at which control moves a unit to another reactor. */
  readonly movesMs?: readonly number[];
  /** Times at which the array gives a unit another size, in blocks. */
  readonly resizes: readonly { readonly unit: number; readonly atMs: number; readonly blocks: number }[];
  /** What the device needs for each UNMAP and WRITE SAME, ms, and the most blocks of one; 0: as usual. */
  readonly zeroingMs: number;
  readonly zeroingBlocksMax: number;
}

/** Share of the worlds whose array does not support 16-byte commands; its units are small. */
const OLD_ARRAYS = 0.06;
/** Share of the worlds whose array is shared by two hosts. */
const TWO_HOSTS = 0.1;
/** Share of the worlds with units beyond 32 bits, and of those with requests up to the largest payload. */
const BIG_UNITS = 0.12;
const LARGE_REQUESTS = 0.02;
/** Share of the worlds in which zeroings and trims reach their deadlines. */
const LATE_ZEROINGS = 0.03;
const LATE_TIMEOUT_MS = 1500;
/** Share of the worlds whose units grow or shrink. */
const RESIZES = 0.08;
/** Share of the worlds in which zeroings and trims consist of many slow commands; each is at least as large as I/O that takes turns. */
const SLOW_ZEROINGS = 0.015;
const SLOW_ZEROING_BYTES = 1 << 17;
const SLOW_WINDOW_BYTES = 2 << 20;
const SLOW_REQUESTS_MAX = 8;
/** Share of the clients that use the block door. */
const BLOCK_CLIENTS = 0.5;
/** Bytes used there, and the maximum number of requests of one unit. */
const LARGE_WINDOW_BYTES = 40 << 20;
const LARGE_REQUESTS_MAX = 12;
/** Units of a host with several reactors, and blocks of each. */
const UNITS_MAX = 4;
const SMALL_BLOCKS = 1024;
/** Fewer bytes than this do not identify their write. */
const CELL_BYTES_MIN = 12;

/** Where a unit is used: all of a small one, some places of a big one. */
function windowsOf(blocks: number, blockBytes: number, random: Random): Cells[] {
  const count = random.pick([64, 200]);
  // The first blocks, the last ones, those around a 32-bit block address, and around a 32-bit byte address.
  const places = [0, blocks - count, 2 ** 32 - count / 2, 2 ** 32 / blockBytes - count / 2];
  return places.filter((first) => first + count <= blocks).map((first) => ({ first, count }));
}

function agreement(random: Random, unaligned: boolean): Agreement {
  if (random.chance(BLOCK_CLIENTS)) {
    const readOnly = random.chance(0.04);
    return {
      replies: "simple",
      readOnly,
      trim: true,
      fastZero: true,
      allocation: false,
      unaligned: false,
      block: true,
    };
  }
  const replies = random.pick(["simple", "simple", "structured", "structured", "extended"] as const);
  return {
    replies,
    readOnly: random.chance(0.04),
    trim: random.chance(0.5),
    fastZero: random.chance(0.5),
    allocation: replies !== "simple" && random.chance(0.5),
    unaligned,
  };
}

const MIXES = [
  { read: 5, write: 5, flush: 1, zero: 1, trim: 0.5, cache: 0.1, status: 0.3, wrong: 0.3 },
  { read: 8, write: 2, flush: 0, zero: 0, status: 0.5, wrong: 0.1 },
  { read: 3, write: 8, flush: 1, zero: 2, trim: 1 },
];

function clientPlan(random: Random, spanMs: number, unaligned: boolean): ClientPlan {
  const depth = random.pick([1, 2, 4, 8, 16]);
  const requests = random.between(20, 90);
  const agreed = agreement(random, unaligned);
  const mix = random.pick(MIXES);
  return {
    requests,
    depth,
    agreed,
    blocksMax: random.pick([1, 4, 16, 64]),
    logarithmic: false,
    // The load is spread over the time span of the faults.
    pauseNs: (spanMs * 1e6 * depth) / requests,
    mix: {
      ...mix,
      trim: agreed.trim && !agreed.readOnly ? (mix.trim ?? 0) : 0,
      status: agreed.allocation ? (mix.status ?? 0) : 0,
      cache: agreed.block === true ? 0 : (mix.cache ?? 0),
      ...(agreed.readOnly ? { write: 0, zero: 0 } : {}),
    },
  };
}

/** Requests of a client that counts in bytes begin and end anywhere. */
function cutsOf(blockBytes: number, random: Random): number[] {
  const cuts = [0];
  for (let i = 0; i < 3; i++) {
    const left = blockBytes - (cuts.at(-1) ?? 0) - (4 - i) * CELL_BYTES_MIN;
    cuts.push((cuts.at(-1) ?? 0) + CELL_BYTES_MIN + Math.floor((random.real() * left) / 2));
  }
  return cuts;
}

/** The same world with few requests, some of them as large as possible. */
function withLargeRequests(plan: WorldPlan, random: Random): WorldPlan {
  const { blockBytes } = plan;
  const count = LARGE_WINDOW_BYTES / blockBytes;
  const blocks = random.pick([count, 2 ** 33]);
  return {
    ...plan,
    units: 1,
    blocks,
    topology: { ...plan.topology, units: 1, unitBytes: blocks * blockBytes },
    windows: [{ first: random.between(0, Math.min(blocks - count, 2 ** 32)), count }],
    // Pieces as large as a buffer, and pieces that end at no boundary of one.
    transferBlocksMax: random.pick([0, (1 << 20) / blockBytes, 999, 1600]),
    clients: plan.clients.slice(0, 2).map(({ plan: client }) => ({
      unit: 0,
      plan: {
        ...client,
        requests: random.between(4, LARGE_REQUESTS_MAX),
        depth: Math.min(client.depth, 4),
        blocksMax: (client.agreed.block === true ? BLOCK_BYTES_MAX : PAYLOAD_BYTES_MAX) / blockBytes,
        logarithmic: true,
        pauseNs: (plan.spanMs * 1e6) / LARGE_REQUESTS_MAX,
      },
    })),
    vanishing: plan.vanishing.filter(({ client }) => client < 2),
    impatient: [],
  };
}

/** A world of zeroings and trims, few paths, and timeouts so short that faults outlast them. */
function withLateZeroings(plan: WorldPlan, random: Random): WorldPlan {
  const { topology, clients } = plan;
  return {
    ...plan,
    kind: "outage",
    topology: { ...topology, paths: random.between(1, 2), initiatorPorts: 1, controllers: 1 },
    ioTimeoutMs: LATE_TIMEOUT_MS,
    noPathTimeoutMs: 20_000,
    clients: clients.map(({ unit, plan: client }) => ({
      unit,
      plan: {
        ...client,
        agreed: { ...client.agreed, readOnly: false, trim: true },
        mix: { read: 1, write: 1, flush: 1, zero: 3, trim: 3 },
      },
    })),
    // Settings by an operator, or what a reconnecting client leaves behind, would give requests more time.
    changesMs: [],
    impatient: [],
  };
}

/** A world whose zeroings and trims take longer than a request may, but for its commands that are done one by one. */
function withSlowZeroings(plan: WorldPlan, random: Random): WorldPlan {
  const { topology, blockBytes } = plan;
  const blocks = SLOW_WINDOW_BYTES / blockBytes;
  return {
    ...plan,
    units: 1,
    blocks,
    topology: { ...topology, units: 1, unitBytes: blocks * blockBytes },
    windows: [{ first: 0, count: blocks }],
    // Who shares a block with a zeroing waits for it, and has no more time for that.
    cuts: [0],
    zeroingMs: random.between(1000, 5000),
    zeroingBlocksMax: (SLOW_ZEROING_BYTES / blockBytes) * random.pick([1, 2]),
    clients: plan.clients.slice(0, 2).map(({ plan: client }) => ({
      unit: 0,
      plan: {
        ...client,
        requests: random.between(3, SLOW_REQUESTS_MAX),
        depth: random.between(1, 3),
        blocksMax: blocks,
        agreed: { ...client.agreed, readOnly: false, trim: true, unaligned: false },
        mix: { read: 2, write: 1, flush: 1, zero: 3, trim: 3 },
      },
    })),
    vanishing: plan.vanishing.filter(({ client }) => client < 2),
    // Whoever sends a request again leaves the first one behind, and has to wait for it.
    impatient: [],
  };
}

/** The most blocks that a unit of the world ever has. */
export function mostBlocks({ blocks, resizes }: Pick<WorldPlan, "blocks" | "resizes">): number {
  return Math.max(blocks, ...resizes.map((resize) => resize.blocks));
}

/** A world whose units get other sizes under load, a big one across the last address of 32 bits; clients use all that there ever is. */
function withResizes(plan: WorldPlan, random: Random): WorldPlan {
  const { topology, blockBytes, units, spanMs } = plan;
  const isBig = plan.blocks > 2 ** 32;
  const blocks = isBig ? 2 ** 32 - 60 : plan.blocks;
  const sizes = isBig
    ? [2 ** 32 - 90, 2 ** 32 + 40, 2 ** 32 + 400]
    : [blocks / 2, blocks - 8, blocks + 1, blocks + 8, blocks * 1.5, blocks * 2];
  const resizes = Array.from({ length: random.between(1, 4) }, () => ({
    unit: random.between(0, units - 1),
    atMs: random.between(1, spanMs),
    blocks: random.pick(sizes),
  }));
  const most = mostBlocks({ blocks, resizes });
  return {
    ...plan,
    blocks,
    topology: { ...topology, unitBytes: blocks * blockBytes },
    windows: isBig ? windowsOf(most, blockBytes, random) : [{ first: 0, count: most }],
    resizes,
  };
}

/** The host of an initiator port. */
export function hostOf(plan: { readonly neighbours: readonly unknown[] }, initiatorPort: number): number {
  return plan.neighbours.length === 0 ? 0 : initiatorPort % 2;
}

/** A world with a second host that shares the array: each has an initiator port, and at least two paths to each unit. */
function withNeighbours(plan: WorldPlan, random: Random): WorldPlan {
  const { topology, units, spanMs, cuts } = plan;
  return {
    ...plan,
    topology: { ...topology, initiatorPorts: 2, paths: Math.max(4, topology.paths ?? 4) },
    neighbours: Array.from({ length: random.between(1, 2) }, () => ({
      unit: random.between(0, units - 1),
      plan: clientPlan(random, spanMs, cuts.length > 1),
    })),
  };
}

/** Draws a world. */
export function makePlan(random: Random): WorldPlan {
  const kindDice = random.real();
  const kind = kindDice < 0.7 ? "reachable" : kindDice < 0.88 ? "outage" : "device";
  const units = random.pick([1, 1, 2, 3]);
  const blockBytes = random.pick([512, 512, 4096]);
  const old = random.chance(OLD_ARRAYS);
  const big = !old && random.chance(BIG_UNITS);
  const blocks = big ? random.pick([2 ** 32 + 500, 2 ** 33, 2 ** 40]) : random.pick([64, 200, 1024]);
  const spanMs = random.pick([500, 3000, 12_000]);
  const cuts = random.chance(0.3) ? cutsOf(blockBytes, random) : [0];
  const clients = Array.from({ length: random.between(1, 4) }, () => ({
    unit: random.between(0, units - 1),
    plan: clientPlan(random, spanMs, cuts.length > 1),
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
      commands: old ? "10-byte" : "all",
      service: {
        latencyUs: random.pick([0, 100, 1000]),
        parallelism: random.pick([1, 4, 64]),
        distribution: random.pick(["constant", "exponential"] as const),
      },
    },
    units,
    blocks,
    blockBytes,
    windows: big ? windowsOf(blocks, blockBytes, random) : [{ first: 0, count: blocks }],
    cuts,
    policy: random.between(0, POLICY_COUNT - 1),
    ioTimeoutMs: kind === "reachable" ? 25_000 : random.pick([1500, 8000, 25_000]),
    noPathTimeoutMs,
    stallMinMs: random.pick([10, 50]),
    stallMaxMs: random.pick([100, 500, 2000]),
    orphanResetMs: random.pick([500, 2000]),
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
    changesMs: random.chance(0.6) ? Array.from({ length: random.between(1, 25) }, () => random.between(1, spanMs)) : [],
    closesMs: random.chance(0.1) ? Array.from({ length: random.between(1, 4) }, () => random.between(1, spanMs)) : [],
    replacementsMs: random.chance(0.15)
      ? Array.from({ length: random.between(1, 3) }, () => random.between(1, spanMs))
      : [],
    impatient: clients.flatMap((_, client) =>
      random.chance(0.4) ? [{ client, patienceMs: random.pick([5, 10, 20, 100]) }] : [],
    ),
    writesSame: random.chance(0.7),
    knowsFua: random.chance(0.8),
    tellsStatus: random.chance(0.7),
    renumbersMs: random.chance(0.3)
      ? Array.from({ length: random.between(1, 4) }, () => random.between(1, spanMs))
      : [],
    strays: random.chance(0.3) ? 0.05 : 0,
    neighbours: [],
    resizes: [],
    zeroingMs: 0,
    zeroingBlocksMax: 0,
  };
  if (kind !== "device" && random.chance(TWO_HOSTS)) return withNeighbours(plan, random);
  if (!old && random.chance(LARGE_REQUESTS)) return withLargeRequests(plan, random);
  if (random.chance(LATE_ZEROINGS)) return withLateZeroings(plan, random);
  if (random.chance(RESIZES)) return withResizes(plan, random);
  return kind !== "device" && random.chance(SLOW_ZEROINGS) ? withSlowZeroings(plan, random) : plan;
}

/** A world of a host with several reactors: news of shared components, units that move, and cores that trap. */
export function makeReactorsPlan(random: Random): WorldPlan {
  const plan = makePlan(random);
  const reactors = random.pick([1, 2, 2, 4]);
  const units = random.between(Math.max(2, reactors), UNITS_MAX);
  const { spanMs, cuts } = plan;
  const times = (most: number): number[] =>
    Array.from({ length: random.between(0, most) }, () => random.between(1, spanMs));
  const clients = Array.from({ length: units + random.between(0, 2) }, (_, index) => ({
    unit: index < units ? index : random.between(0, units - 1),
    plan: { ...clientPlan(random, spanMs, cuts.length > 1), requests: random.between(10, 40) },
  }));
  return {
    ...plan,
    reactors,
    units,
    blocks: Math.min(plan.blocks, SMALL_BLOCKS),
    topology: { ...plan.topology, units, unitBytes: Math.min(plan.blocks, SMALL_BLOCKS) * plan.blockBytes },
    windows: [{ first: 0, count: Math.min(plan.blocks, SMALL_BLOCKS) }],
    clients,
    impatient: plan.impatient.filter(({ client }) => client < clients.length),
    vanishing: plan.vanishing.filter(({ client }) => client < clients.length),
    neighbours: [],
    resizes: [],
    movesMs: random.chance(0.7) ? times(6) : [],
    crashesMs: random.chance(0.3) ? times(2) : [],
  };
}
