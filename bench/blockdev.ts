// `npm run bench -- blockdev`: a client's view. fio's nbd engine against this export and two other NBD servers, in turn
// within one run, so that the machine's other work affects all of them. See docs/nbd.md for what not to conclude.

import { randomFillSync } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DebianPackage, ensurePackages, missingSentence } from "../test/rig/packages.ts";
import { run } from "../test/peers/run.ts";
import { median, type Row } from "./report.ts";
import { nbdkit, type NbdPeer, pathmanager, qemuNbd } from "./nbd-servers.ts";

const PROGRAMS: readonly DebianPackage[] = [
  { package: "fio", program: "fio" },
  { package: "nbdkit", program: "nbdkit" },
  { package: "qemu-utils", program: "qemu-nbd" },
  { package: "libnbd-bin", program: "nbdcopy" },
];

const BYTES = 256 << 20;
const ROUNDS = 5;
const SECONDS = 1.5;

interface Load {
  readonly case: string;
  readonly args: readonly string[];
  /** What is compared. */
  readonly metric: "IOPS" | "throughput";
}

const random = (depth: number): Load => ({
  case: `4 KiB random reads, depth ${depth}`,
  args: ["--rw=randread", "--bs=4k", `--iodepth=${depth}`],
  metric: "IOPS",
});

const LOADS: readonly Load[] = [
  random(1),
  random(16),
  random(64),
  {
    case: "128 KiB sequential reads, depth 16",
    args: ["--rw=read", "--bs=128k", "--iodepth=16"],
    metric: "throughput",
  },
];

interface Measured {
  readonly iops: number;
  readonly mibPerSecond: number;
  readonly p99Us: number;
}

interface FioReport {
  readonly jobs: readonly {
    readonly error: number;
    readonly read: {
      readonly iops: number;
      readonly bw_bytes: number;
      readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
    };
  }[];
}

async function measure(peer: NbdPeer, load: Load): Promise<Measured> {
  const common = ["--ioengine=nbd", `--uri=${peer.uri}`, `--size=${BYTES}`, "--randrepeat=0", "--norandommap"];
  const time = ["--time_based", "--ramp_time=0.3", `--runtime=${SECONDS}`];
  const { stdout } = await run("fio", ["--name=bench", ...common, ...time, ...load.args, "--output-format=json"]);
  const report: FioReport = JSON.parse(stdout.slice(stdout.indexOf("{")));
  const [job] = report.jobs;
  if (job === undefined || job.error !== 0) throw new Error(`${peer.name}: fio reports error ${job?.error}`);
  return {
    iops: job.read.iops,
    mibPerSecond: job.read.bw_bytes / (1 << 20),
    p99Us: (job.read.clat_ns.percentile?.["99.000000"] ?? 0) / 1000,
  };
}

const rounded = (value: number): number => Number(value.toPrecision(4));

/** Ours against each peer; ratio above 1: ours is faster (IOPS, throughput) or answers sooner (p99). */
function rowsOf(load: Load, results: ReadonlyMap<string, readonly Measured[]>): Row[] {
  const of = (name: string, pick: (measured: Measured) => number): number =>
    median((results.get(name) ?? []).map(pick));
  const peers = [...results.keys()].filter((name) => name !== "pathmanager");
  const pick = load.metric === "IOPS" ? (m: Measured) => m.iops : (m: Measured) => m.mibPerSecond;
  return peers.flatMap((peer) => {
    const [value, peerValue] = [of("pathmanager", pick), of(peer, pick)];
    const [p99, peerP99] = [of("pathmanager", (m) => m.p99Us), of(peer, (m) => m.p99Us)];
    const unit = load.metric === "IOPS" ? "1/s" : "MiB/s";
    return [
      {
        case: load.case,
        metric: load.metric,
        unit,
        value: rounded(value),
        peer,
        peerValue: rounded(peerValue),
        ratio: rounded(value / peerValue),
      },
      {
        case: load.case,
        metric: "p99",
        unit: "us",
        value: rounded(p99),
        peer,
        peerValue: rounded(peerP99),
        ratio: rounded(peerP99 / p99),
      },
    ];
  });
}

/**
 * Runs the suite.
 *
 * @param log called with a line of progress now and then
 * @throws if a program is missing or a server or fio fails
 */
export async function blockdev(log: (line: string) => void = () => {}): Promise<Row[]> {
  const missing = ensurePackages(PROGRAMS);
  if (missing.length > 0) throw new Error(missingSentence(missing));
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "pm-bench-"));
  const peers: NbdPeer[] = [];
  try {
    for (const start of [pathmanager, nbdkit, qemuNbd]) peers.push(await start(folder, BYTES));
    // The same bytes everywhere: unwritten data is cheaper to read, and not equally so for each.
    const image = join(folder, "image.raw");
    writeFileSync(image, randomFillSync(Buffer.alloc(BYTES)));
    for (const peer of peers) await run("nbdcopy", [image, peer.uri]);
    rmSync(image);
    const rows: Row[] = [];
    for (const load of LOADS) {
      const results = new Map<string, Measured[]>(peers.map((peer) => [peer.name, []]));
      for (let round = 0; round < ROUNDS; round++) {
        for (const peer of peers) results.get(peer.name)?.push(await measure(peer, load));
      }
      rows.push(...rowsOf(load, results));
      log(`${load.case}: done`);
    }
    return rows;
  } finally {
    for (const peer of peers) await peer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
