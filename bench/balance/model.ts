// The model: paths as queues with servers, and a load that arrives whether or not the paths keep up (open loop).
//
// Every policy gets the same arrivals, sizes and luck (how much longer or shorter than the mean each command takes), so
// only the choice of paths differs. Everything follows from the seed.

import { Random } from "./random.ts";

/** A path: `servers` commands at a time, the others wait in order. */
export interface PathModel {
  readonly servers: number;
  /** Mean ns of a command that transfers nothing, on one server. */
  readonly baseNs: number;
  /** Mean ns that each byte adds. */
  readonly nsPerByte: number;
  /** Times (ns) from..to in which the path is this many times slower; Infinity: it is silent until `toNs`. */
  readonly troubles: readonly { readonly fromNs: number; readonly toNs: number; readonly factor: number }[];
  /** How many times slower than usual the path is in each step since the first arrival, from the beginning again after the last. */
  readonly course?: { readonly stepNs: number; readonly factors: readonly number[] };
}

/** The clock at the first arrival. */
export const START_NS = 1e9;

/** How many times slower than usual a path is at a moment by its course. */
export function courseFactor({ course }: PathModel, nowNs: number): number {
  if (course === undefined) return 1;
  const { stepNs, factors } = course;
  return factors[Math.floor((nowNs - START_NS) / stepNs) % factors.length] ?? 1;
}

/** How the service times spread around their mean. */
type Spread =
  | { readonly kind: "exponential" }
  | { readonly kind: "constant" }
  | { readonly kind: "log-normal"; readonly variation: number }
  /** Exponential, but `part` of the commands take `factor` times as long. */
  | { readonly kind: "stalls"; readonly part: number; readonly factor: number };

/** How commands arrive. All have the mean rate of the load. */
type Arrival =
  | { readonly kind: "poisson" }
  /** Poisson bursts of `size` commands at once. */
  | { readonly kind: "batches"; readonly size: number }
  /** Calm and busy phases of random length; in a busy one the rate is `ratio` times that of a calm one. */
  | { readonly kind: "phases"; readonly ratio: number; readonly busyPart: number; readonly phaseNs: number };

/** A kind of command in the mix. */
export interface Transfer {
  readonly part: number;
  readonly bytes: number;
  readonly write: boolean;
}

export interface Case {
  readonly name: string;
  readonly paths: readonly PathModel[];
  readonly spread: Spread;
  readonly arrival: Arrival;
  readonly mix: readonly Transfer[];
  /** Arriving work divided by what all paths together can do. */
  readonly load: number;
  /** Nothing about the paths changes during the run. */
  readonly stationary: boolean;
  /** Hosts that share the paths, each of which sees only its own commands. Default 1. */
  readonly hosts?: number;
}

/** The commands of one run. */
export interface Load {
  readonly count: number;
  readonly atNs: Float64Array;
  readonly bytes: Uint32Array;
  readonly write: Uint8Array;
  /** Service time divided by its mean. */
  readonly luck: Float64Array;
  /** Which host sends it. */
  readonly host: Uint8Array;
}

export function meanNs(path: PathModel, bytes: number): number {
  return path.baseNs + bytes * path.nsPerByte;
}

/** Commands per ns that all paths together can do, each getting its share of the mix. */
export function capacity({ paths, mix }: Case): number {
  return paths.reduce((sum, path) => {
    const mean = mix.reduce((ns, { part, bytes }) => ns + part * meanNs(path, bytes), 0);
    return sum + path.servers / mean;
  }, 0);
}

function luckOf(random: Random, spread: Spread): number {
  if (spread.kind === "exponential") return random.exponential();
  if (spread.kind === "log-normal") return random.logNormal(spread.variation);
  if (spread.kind === "constant") return 1;
  return random.exponential() * (random.uniform() < spread.part ? spread.factor : 1);
}

/** Returns the times between arrivals, mean 1 / rate. */
function gaps(random: Random, arrival: Arrival, rate: number): () => number {
  if (arrival.kind === "poisson") return () => random.exponential() / rate;
  if (arrival.kind === "batches") {
    let left = 0;
    return () => {
      left = left === 0 ? arrival.size - 1 : left - 1;
      return left === arrival.size - 1 ? (random.exponential() * arrival.size) / rate : 0;
    };
  }
  const { ratio, busyPart, phaseNs } = arrival;
  const calm = rate / (1 + busyPart * (ratio - 1));
  let busy = false;
  let leftNs = 0;
  return () => {
    let gap = 0;
    for (;;) {
      const step = random.exponential() / (busy ? calm * ratio : calm);
      if (step <= leftNs) {
        leftNs -= step;
        return gap + step;
      }
      gap += leftNs;
      busy = !busy;
      leftNs = random.exponential() * phaseNs * 2 * (busy ? busyPart : 1 - busyPart);
    }
  };
}

export function makeLoad(what: Case, count: number, seed: number): Load {
  const random = new Random(seed);
  const next = gaps(new Random(seed + 7919), what.arrival, what.load * capacity(what));
  const load = {
    count,
    atNs: new Float64Array(count),
    bytes: new Uint32Array(count),
    write: new Uint8Array(count),
    luck: new Float64Array(count),
    host: new Uint8Array(count),
  };
  const hosts = what.hosts ?? 1;
  const lot = new Random(seed + 104_729);
  let nowNs = START_NS;
  for (let i = 0; i < count; i++) {
    nowNs += next();
    load.atNs[i] = nowNs;
    let draw = random.uniform();
    const kind = what.mix.find(({ part }) => (draw -= part) < 0) ?? what.mix.at(-1);
    load.bytes[i] = kind?.bytes ?? 0;
    load.write[i] = kind?.write === true ? 1 : 0;
    load.luck[i] = luckOf(random, what.spread);
    load.host[i] = Math.floor(lot.uniform() * hosts);
  }
  return load;
}
