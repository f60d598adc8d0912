// `npm run bench -- blockdev`: a client's view. fio's nbd engine against the daemon as it ships and two other NBD servers, in turn
// within one run, so that the machine's other work affects all of them. See docs/nbd.md for what not to conclude.

import { randomFillSync } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DebianPackage, ensurePackages, missingSentence } from "../test/rig/packages.ts";
import { run } from "../test/peers/run.ts";
import { processorSeconds } from "./cpu-time.ts";
import { fio, type Measured } from "./fio.ts";
import { median, rounded, type Row } from "./report.ts";
import { nbdkit, type NbdPeer, pathmanager, qemuNbd } from "./nbd-servers.ts";

const PROGRAMS: readonly DebianPackage[] = [
  { package: "fio", program: "fio" },
  { package: "nbdkit", program: "nbdkit" },
  { package: "qemu-utils", program: "qemu-nbd" },
  { package: "libnbd-bin", program: "nbdcopy" },
];

const MIB = 256;
const BYTES = MIB << 20;
const ROUNDS = 5;

interface Load {
  readonly case: string;
  readonly args: readonly string[];
  /** What is compared. */
  readonly metric: "IOPS" | "throughput";
}

const random = (name: string, depth: number, ...args: readonly string[]): Load => ({
  case: name,
  args: ["--rw=randread", "--bs=4k", `--iodepth=${depth}`, ...args],
  metric: "IOPS",
});

const LOADS: readonly Load[] = [
  ...[1, 16, 64].map((depth) => random(`4 KiB random reads, depth ${depth}`, depth)),
  ...[2, 4].map((n) => random(`4 KiB random reads, ${n} connections, depth 16 on each`, 16, `--numjobs=${n}`)),
  random("4 KiB, 70 % random reads and 30 % writes, depth 16", 16, "--rw=randrw", "--rwmixread=70"),
  random("64 KiB random reads, depth 16", 16, "--bs=64k"),
  {
    case: "128 KiB sequential reads, depth 16",
    args: ["--rw=read", "--bs=128k", "--iodepth=16"],
    metric: "throughput",
  },
];

/** One run, and the processor time that the server needed for each request, in microseconds. */
type Run = Measured & { readonly cpuUs: number };

async function measure(peer: NbdPeer, load: Load): Promise<Run> {
  const before = processorSeconds(peer.pid);
  const measured = await fio(peer.uri, BYTES, load.args);
  return { ...measured, cpuUs: ((processorSeconds(peer.pid) - before) * 1e6) / measured.requests };
}

/** Ours against each peer; ratio above 1: ours is faster (IOPS, throughput), answers sooner (p99), or needs less (CPU). */
function rowsOf(load: Load, results: ReadonlyMap<string, readonly Run[]>): Row[] {
  const of = (name: string, pick: (one: Run) => number): number => median((results.get(name) ?? []).map(pick));
  const isIops = load.metric === "IOPS";
  const speed = (one: Run): number => (isIops ? one.iops : one.mibPerSecond);
  return [...results.keys()]
    .filter((name) => name !== "pathmanager")
    .flatMap((peer) => {
      const row = (metric: string, unit: string, pick: (one: Run) => number, isMoreBetter: boolean): Row => {
        const [value, peerValue] = [of("pathmanager", pick), of(peer, pick)];
        const ratio = rounded(isMoreBetter ? value / peerValue : peerValue / value);
        return { case: load.case, metric, unit, value: rounded(value), peer, peerValue: rounded(peerValue), ratio };
      };
      return [
        row(load.metric, isIops ? "1/s" : "MiB/s", speed, true),
        row("p99", "us", (one) => one.p99Us, false),
        row("server's CPU per request", "us", (one) => one.cpuUs, false),
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
    peers.push(await pathmanager(MIB), await nbdkit(folder, BYTES), await qemuNbd(folder, BYTES));
    // The same bytes everywhere: unwritten data is cheaper to read, and not equally so for each.
    const image = join(folder, "image.raw");
    writeFileSync(image, randomFillSync(Buffer.alloc(BYTES)));
    for (const peer of peers) await run("nbdcopy", [image, peer.uri]);
    rmSync(image);
    const rows: Row[] = [];
    for (const load of LOADS) {
      const results = new Map<string, Run[]>(peers.map((peer) => [peer.name, []]));
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
