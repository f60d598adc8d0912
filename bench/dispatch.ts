// `npm run bench -- dispatch`: the core's work per 4 KiB I/O without system calls: NBD bytes to SCSI op to reply.
//
// The host's side of the rings is played by a few lines (ring-host.ts), whose share is measured in the same run, by doing
// it twice, and taken off. The second kind of row has the emulated array behind the core, data copied, still no sockets.

import { EmulatedArray } from "../host/array/array.ts";
import * as abi from "../host/abi.ts";
import { Core } from "../host/reactor/core.ts";
import { NativeMedium } from "../host/reactor/native-medium.ts";
import { median, type Row } from "./report.ts";
import { RingHost, type NbdLoad } from "./ring-host.ts";

const UNIT_BYTES = 64 << 20;
const IO_BYTES = 4096;
const PATHS = 4;
const ROUNDS = 151;
const WARM_IOS = 60_000;
/** Short rounds: few of them are interrupted by what else the machine does, and the median forgets those. */
const IOS = 3000;
/** I/Os before each round, not counted: the caches belong to another world. */
const REFRESH_IOS = 500;
/** Time that passes from turn to turn, ns: what a turn with system calls takes about. */
const TURN_NS = 5000;
const MARK_NS = 400;

type Kind = "core" | "core, host twice" | "with emulated array";

interface World {
  readonly core: Core;
  readonly host: RingHost;
  readonly array: EmulatedArray | null;
  readonly kind: Kind;
}

function makeWorld(kind: Kind, load: NbdLoad): World {
  const core = new Core({ seed: 1n, nowNs: 1_000_000_000n });
  const { exports } = core;
  const unit = exports.unitAdd();
  exports.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, 512n);
  exports.unitSet(unit, abi.UNIT_SET_BLOCKS, BigInt(UNIT_BYTES / 512));
  exports.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ADAPTIVE));
  const array =
    kind === "with emulated array"
      ? new EmulatedArray(
          { units: 1, unitBytes: UNIT_BYTES, paths: PATHS },
          { medium: (_, __, n) => new NativeMedium(n) },
        )
      : null;
  array?.attach(core.bytes, core.control);
  for (let path = 0; path < PATHS; path++) exports.pathAdd(unit, 1, path, path + 1, 1, 64);
  if (exports.connectionAdd(0, unit, 0, 0) < 0) throw new Error("the core refused the connection");
  return { core, host: new RingHost(core, unit, load, array === null), array, kind };
}

/** Runs `ios` I/Os; answers ns per I/O. */
function run({ core, host, array, kind }: World, ios: number): number {
  const { exports } = core;
  const twice = kind === "core, host twice";
  const end = (host.answered + ios) | 0;
  const started = process.hrtime.bigint();
  while (((end - host.answered) | 0) > 0) {
    exports.run();
    if (twice) {
      host.save();
      host.turn();
      host.rewind();
    }
    host.turn();
    array?.turn();
    host.tick(TURN_NS);
  }
  return Number(process.hrtime.bigint() - started) / ios;
}

/** Medians over all rounds, or the fastest round of each: what is left when nothing else runs. */
interface Figures {
  readonly median: Record<Kind, number>;
  readonly fastest: Record<Kind, number>;
}

function measure(load: NbdLoad): Figures {
  const worlds = (["core", "core, host twice", "with emulated array"] as const).map((kind) => makeWorld(kind, load));
  const figures = new Map<Kind, number[]>(worlds.map(({ kind }) => [kind, []]));
  for (const world of worlds) run(world, WARM_IOS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const world of worlds) {
      run(world, REFRESH_IOS);
      figures.get(world.kind)?.push(run(world, IOS));
    }
  }
  const over = (statistic: (values: readonly number[]) => number): Record<Kind, number> => ({
    core: statistic(figures.get("core") ?? []),
    "core, host twice": statistic(figures.get("core, host twice") ?? []),
    "with emulated array": statistic(figures.get("with emulated array") ?? []),
  });
  return { median: over(median), fastest: over((values) => Math.min(...values)) };
}

/** The host's share, known from doing it twice. From the fastest rounds: a disturbed one must not shrink the core's. */
function hostOf({ fastest }: Figures): number {
  return Math.max(0, fastest["core, host twice"] - fastest.core);
}

/** Runs the suite. @param log gets a line of progress now and then */
export function dispatch(log: (line: string) => void = () => {}): Row[] {
  const rows: Row[] = [];
  for (const write of [false, true]) {
    for (const depth of [1, 16, 64]) {
      const name = `4 KiB random ${write ? "writes" : "reads"}, depth ${depth}`;
      const figures = measure({ write, depth, bytes: IO_BYTES, unitBytes: UNIT_BYTES });
      const host = hostOf(figures);
      const core = figures.median.core - host;
      const plain = { case: name, unit: "ns/IO", peer: null, peerValue: null, ratio: null };
      rows.push(
        { ...plain, metric: "core", value: core, peer: "mark", peerValue: MARK_NS, ratio: MARK_NS / core },
        { ...plain, metric: "core, fastest round", value: figures.fastest.core - host },
        { ...plain, metric: "host's side of the rings, taken off", value: host },
        { ...plain, metric: "with emulated array, no sockets", value: figures.median["with emulated array"] },
        { ...plain, metric: "the same, fastest round", value: figures.fastest["with emulated array"] },
      );
      log(`${name}: ${core.toFixed(0)} ns`);
    }
  }
  return rows;
}
