// `npm run bench -- device`: block devices over the same four scsi_debug paths, in a virtual machine whose clock counts instructions: ours by
// ublk and by nbd, dm-multipath's, and one path alone as the limit; and ours over the emulated array, where nothing but the way into the
// daemon is measured. See docs/ublk.md for what the figures mean.
//
// BENCH_ROUNDS=N measures each so often, one after the other, and takes the medians. Default: once, which takes some minutes.

import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { runMachine } from "../test/rig/machine.ts";
import { type DebianPackage, ensurePackages, missingSentence, VIRTUAL_PACKAGES } from "../test/rig/packages.ts";
import { median, rounded, type Row } from "./report.ts";

const PACKAGES: readonly DebianPackage[] = [
  ...VIRTUAL_PACKAGES,
  { package: "fio", program: "fio" },
  { package: "dmsetup", program: "dmsetup" },
];
/** Of one round. */
const TIME_LIMIT_S = 4 * 3600;
/** Of the guest's clock, while it has something to do. */
const NS_PER_INSTRUCTION = 4;

const Result = z.object({
  name: z.string(),
  rw: z.string(),
  depth: z.number(),
  iops: z.number(),
  p99Us: z.number(),
  serverNs: z.number(),
});
type Result = z.infer<typeof Result>;

/** Ours, and what each is compared to. */
const PAIRS: readonly (readonly [ours: string, peers: readonly string[]])[] = [
  [
    "ublk",
    ["nbd", "one path", "dm service-time, rq", "dm service-time, bio", "dm round-robin, rq", "dm round-robin, bio"],
  ],
  ["ublk, emulated", ["nbd, emulated", "ublk, emulated, user copy"]],
];

/** @throws if it is no number of rounds */
function roundsOf(text = "1"): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1) return rounds;
  throw new Error(`BENCH_ROUNDS is "${text}"; give a number of rounds, 1 or more`);
}

class Lines extends Writable {
  text = "";
  readonly #log: (line: string) => void;
  constructor(log: (line: string) => void) {
    super();
    this.#log = log;
  }
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    this.#log(chunk.toString().trimEnd());
    done();
  }
}

interface Figure {
  readonly metric: string;
  readonly unit: string;
  readonly of: (result: Result) => number;
  readonly isMoreBetter: boolean;
}

const FIGURES: readonly Figure[] = [
  { metric: "IOPS", unit: "1/s", of: ({ iops }) => iops, isMoreBetter: true },
  { metric: "p99", unit: "us", of: ({ p99Us }) => p99Us, isMoreBetter: false },
  {
    metric: "instructions per I/O",
    unit: "",
    of: ({ iops }) => 1e9 / iops / NS_PER_INSTRUCTION,
    isMoreBetter: false,
  },
  {
    metric: "reactor's instructions per I/O",
    unit: "",
    of: ({ serverNs }) => serverNs / NS_PER_INSTRUCTION,
    isMoreBetter: false,
  },
];

function rowsOf(results: readonly Result[], ours: string, peer: string): Row[] {
  const loads = results.filter(({ name }) => name === ours);
  const cases = new Map(loads.map((one) => [`${one.rw}, depth ${one.depth}`, one]));
  return [...cases].flatMap(([text, { rw, depth }]) => {
    const all = (name: string): Result[] =>
      results.filter((one) => one.name === name && one.rw === rw && one.depth === depth);
    const [mine, theirs] = [all(ours), all(peer)];
    return FIGURES.flatMap(({ metric, unit, of, isMoreBetter }) => {
      const [value, peerValue] = [median(mine.map(of)), median(theirs.map(of))];
      // The kernel's devices have no reactor.
      if (theirs.length === 0 || peerValue === 0) return [];
      const ratio = rounded(isMoreBetter ? value / peerValue : peerValue / value);
      const row = { metric, unit, value: rounded(value), peer, peerValue: rounded(peerValue), ratio };
      return [{ case: `${ours}: 4 KiB ${text}`, ...row }];
    });
  });
}

/**
 * Runs the suite.
 *
 * @param log called with a line of progress now and then
 * @throws if a package is missing or the guest does not come to its end
 */
export async function device(log: (line: string) => void = () => {}): Promise<Row[]> {
  const rounds = roundsOf(process.env["BENCH_ROUNDS"]);
  const missing = ensurePackages(PACKAGES);
  if (missing.length > 0) throw new Error(missingSentence(missing));
  const stdout = new Lines(log);
  const result = await runMachine({
    kernel: "ublk",
    project: fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, ""),
    array: "scsi_debug",
    units: 1,
    paths: 4,
    unitMib: 64,
    memoryMib: 1024,
    timeLimitS: TIME_LIMIT_S * rounds,
    command: ["node", "test/rig/device-guest.ts", "--rounds", String(rounds)],
    stdout,
    stderr: new Lines(log),
  });
  if (result.kind !== "exited" || result.status !== 0) throw new Error(`the guest: ${JSON.stringify(result)}`);
  const results = [...stdout.text.matchAll(/^RESULT (.*)$/gm)].map(([, text = ""]) => Result.parse(JSON.parse(text)));
  return PAIRS.flatMap(([ours, peers]) => peers.flatMap((peer) => rowsOf(results, ours, peer)));
}
