// `npm run bench -- dispatch`: the core's work per 4 KiB I/O without system calls: from NBD bytes, or entries of the block door, through the SCSI
// op to the answer.
//
// A few lines play the host's side of the rings (ring-host.ts, block-host.ts); their share is measured in the same run, by
// doing it twice, and subtracted. "With emulated array" has the array behind the core, with data copied, but still no sockets.
// BENCH_BESIDE=FILE measures another core.wasm in the same run. The builds of the core as C are measured between V8's rounds.

import { readFileSync } from "node:fs";
import { EmulatedArray } from "../host/array/array.ts";
import * as abi from "../host/abi.ts";
import { Core } from "../host/reactor/core-loader.ts";
import { NativeMedium } from "../host/reactor/native-medium.ts";
import { BlockHost } from "./block-host.ts";
import type { BenchHost, Load } from "./device-rings.ts";
import { buildEmbedded, EMBEDDED_BUILDS, embeddedRounds, type EmbeddedBuild } from "./embedded.ts";
import { median, type Row } from "./report.ts";
import { RingHost } from "./ring-host.ts";

const UNIT_BYTES = 64 << 20;
const IO_BYTES = 4096;
const PATHS = 4;
const ROUNDS = 151;
const WARM_IOS = 60_000;
/** Short rounds: the machine's other work interrupts few of them, and the median ignores those. */
const IOS = 3000;
/** I/Os before each round that are not counted: the caches still hold another run's data. */
const REFRESH_IOS = 500;
/** Time that passes from turn to turn, ns: roughly what a turn with system calls takes. */
const TURN_NS = 5000;
const MARK_NS = 400;
/** After so many rounds of V8 the C builds run as many. */
const EMBEDDED_EVERY = 15;
/** What the C builds are compared with: both have the block door and buffers of their own. */
const EMBEDDED_PEER = "block door, own buffers";
/** Another core.wasm, measured in the same run. */
const BESIDE = process.env["BENCH_BESIDE"] ?? "";

/** Front ends, and what is measured for each. The block door lends buffers, or its embedder has its own. */
type Kind = "NBD" | "with emulated array" | "block door" | "block door, own buffers" | "NBD, core beside";

interface World {
  readonly core: Core;
  readonly host: BenchHost;
  readonly array: EmulatedArray | null;
  /** The host does everything twice, so that its share is known. */
  readonly twice: boolean;
}

function makeHost(kind: Kind, core: Core, unit: number, load: Load): BenchHost {
  if (kind === "block door" || kind === "block door, own buffers") {
    return new BlockHost(core, unit, load, kind !== "block door");
  }
  return new RingHost(core, unit, load, kind !== "with emulated array");
}

function makeWorld(kind: Kind, load: Load, twice: boolean): World {
  const wasm = kind === "NBD, core beside" ? { wasm: readFileSync(BESIDE) } : {};
  const core = new Core({ seed: 1n, nowNs: 1_000_000_000n, ...wasm });
  const { exports } = core;
  const unit = exports.unitAdd();
  exports.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, 512n);
  exports.unitSet(unit, abi.UNIT_SET_BLOCKS, BigInt(UNIT_BYTES / 512));
  exports.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ADAPTIVE));
  const array =
    kind === "with emulated array"
      ? new EmulatedArray(
          { units: 1, unitBytes: UNIT_BYTES, paths: PATHS },
          { medium: (_, __, n) => new NativeMedium(n, { shared: null, name: "" }) },
        )
      : null;
  array?.attach(core.bytes, core.control);
  for (let path = 0; path < PATHS; path++) exports.pathAdd(unit, 1, path, path + 1, 1, 64);
  return { core, host: makeHost(kind, core, unit, load), array, twice };
}

/** Runs `ios` I/Os; returns ns per I/O. */
function run({ core, host, array, twice }: World, ios: number): number {
  const { exports } = core;
  const end = (host.answered + ios) | 0;
  const started = process.hrtime.bigint();
  while (((end - host.answered) | 0) > 0) {
    exports.run();
    // What is answered now was sent a turn ago.
    host.tick(TURN_NS);
    if (twice) {
      host.save();
      host.turn();
      host.rewind();
    }
    host.turn();
    array?.turn();
  }
  return Number(process.hrtime.bigint() - started) / ios;
}

/** Medians over all rounds, or the fastest round of each: the figure when nothing else runs. The host's share is subtracted. */
interface Figures {
  readonly median: number;
  readonly fastest: number;
  readonly host: number;
}

interface Measured {
  readonly figures: Map<Kind, Figures>;
  readonly embedded: Map<EmbeddedBuild, number[]>;
}

function measure(load: Load, kinds: readonly Kind[]): Measured {
  const embedded = new Map(EMBEDDED_BUILDS.map((build): [EmbeddedBuild, number[]] => [build, []]));
  const worlds = kinds.map((kind) => ({
    kind,
    once: makeWorld(kind, load, false),
    twice: makeWorld(kind, load, true),
    rounds: { once: [] as number[], twice: [] as number[] },
  }));
  for (const { once, twice } of worlds) for (const world of [once, twice]) run(world, WARM_IOS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const { once, twice, rounds } of worlds) {
      run(once, REFRESH_IOS);
      rounds.once.push(run(once, IOS));
      run(twice, REFRESH_IOS);
      rounds.twice.push(run(twice, IOS));
    }
    if (round % EMBEDDED_EVERY !== 0) continue;
    for (const [build, its] of embedded) its.push(...embeddedRounds(build, load, true, EMBEDDED_EVERY, IOS));
  }
  const figures = new Map(
    worlds.map(({ kind, rounds }) => {
      const fastest = Math.min(...rounds.once);
      // From the fastest rounds: a disturbed one must not shrink the core's share.
      const host = kind === "with emulated array" ? 0 : Math.max(0, Math.min(...rounds.twice) - fastest);
      return [kind, { median: median(rounds.once) - host, fastest: fastest - host, host }] as const;
    }),
  );
  return { figures, embedded };
}

/** The C builds beside V8. */
function embeddedRows(name: string, v8: Figures, embedded: Map<EmbeddedBuild, number[]>): Row[] {
  const common = { case: name, unit: "ns/IO", peer: `V8, ${EMBEDDED_PEER}` };
  return [...embedded].flatMap(([build, rounds]) => {
    const [middle, fastest] = [median(rounds), Math.min(...rounds)];
    return [
      { ...common, metric: build, value: middle, peerValue: v8.median, ratio: v8.median / middle },
      {
        ...common,
        metric: `${build}, fastest round`,
        value: fastest,
        peerValue: v8.fastest,
        ratio: v8.fastest / fastest,
      },
    ];
  });
}

/** Runs the suite. @param log called with a line of progress now and then */
export async function dispatch(log: (line: string) => void = () => {}): Promise<Row[]> {
  await buildEmbedded();
  const rows: Row[] = [];
  const kinds: readonly Kind[] = [
    "NBD",
    "with emulated array",
    "block door",
    "block door, own buffers",
    ...(BESIDE === "" ? [] : (["NBD, core beside"] as const)),
  ];
  for (const write of [false, true]) {
    for (const depth of [1, 16, 64]) {
      const name = `4 KiB random ${write ? "writes" : "reads"}, depth ${depth}`;
      const { figures, embedded } = measure({ write, depth, bytes: IO_BYTES, unitBytes: UNIT_BYTES }, kinds);
      const of = (kind: Kind): Figures => figures.get(kind) ?? { median: Number.NaN, fastest: Number.NaN, host: 0 };
      const core = of("NBD");
      const plain = { case: name, unit: "ns/IO", peer: null, peerValue: null, ratio: null };
      rows.push(
        {
          ...plain,
          metric: "core",
          value: core.median,
          peer: "mark",
          peerValue: MARK_NS,
          ratio: MARK_NS / core.median,
        },
        { ...plain, metric: "core, fastest round", value: core.fastest },
        { ...plain, metric: "host's side of the rings, taken off", value: core.host },
      );
      for (const kind of kinds.filter((other) => other !== "NBD" && other !== "with emulated array")) {
        for (const which of ["median", "fastest"] as const) {
          const value = of(kind)[which];
          const metric = which === "median" ? kind : `${kind}, fastest round`;
          rows.push({ ...plain, metric, value, peer: "NBD", peerValue: core[which], ratio: core[which] / value });
        }
      }
      rows.push(
        ...embeddedRows(name, of(EMBEDDED_PEER), embedded),
        { ...plain, metric: "with emulated array, no sockets", value: of("with emulated array").median },
        { ...plain, metric: "the same, fastest round", value: of("with emulated array").fastest },
      );
      const doors = [
        ...kinds.map((kind) => `${kind} ${of(kind).fastest.toFixed(0)}`),
        ...[...embedded].map(([build, rounds]) => `${build} ${Math.min(...rounds).toFixed(0)}`),
      ].join(", ");
      log(`${name}: ${core.median.toFixed(0)} ns; fastest rounds: ${doors}`);
    }
  }
  return rows;
}
