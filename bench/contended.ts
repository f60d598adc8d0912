// `npm run bench -- contended`: the daemon as it ships, where clients want every processor for themselves: as many busy clients as
// processors, and one client beside a program that computes on each. nbdkit's memory plugin at niceness 0, and at the daemon's,
// in turn within one run.
//
// BENCH_PROCESS="nice=-10 nice=0,slice_us=200" measures the daemon with each of these settings of [process] instead.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { randomFillSync } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type DebianPackage, ensurePackages, missingSentence } from "../test/rig/packages.ts";
import { run } from "../test/peers/run.ts";
import { fio, type Measured } from "./fio.ts";
import { nbdkit, type NbdPeer, pathmanager } from "./nbd-servers.ts";
import { median, rounded, type Row } from "./report.ts";

const PROGRAMS: readonly DebianPackage[] = [
  { package: "fio", program: "fio" },
  { package: "nbdkit", program: "nbdkit" },
  { package: "libnbd-bin", program: "nbdcopy" },
];

const MIB = 128;
const BYTES = MIB << 20;
const ROUNDS = 5;
const CPUS = availableParallelism();

interface Load {
  readonly case: string;
  readonly clients: number;
  readonly depth: number;
  /** Programs that do nothing but compute, one for each processor. */
  readonly isHogged: boolean;
}

const busy = (clients: number, depth: number): Load => ({
  case: `${clients} clients x ${depth} requests`,
  clients,
  depth,
  isHogged: false,
});

const LOADS: readonly Load[] = [
  busy(1, 1),
  busy(CPUS, 16),
  busy(2 * CPUS, 32),
  { case: "1 client, a program that computes per CPU", clients: 1, depth: 1, isHogged: true },
];

async function shipped(settings: string): Promise<NbdPeer> {
  const lines = settings === "" ? "" : `[process]\n${settings.split(",").join("\n")}`;
  const { name, ...rest } = await pathmanager(MIB, lines);
  return { ...rest, name: `${name} ${settings}`.trim() };
}

/** Programs that compute, one on each processor, as long as `work` takes. */
async function besideHogs<T>(count: number, work: () => Promise<T>): Promise<T> {
  const hogs: ChildProcess[] = Array.from({ length: count }, () =>
    spawn(process.execPath, ["-e", "for (;;) ;"], { stdio: "ignore" }),
  );
  try {
    return await work();
  } finally {
    for (const hog of hogs) {
      const gone = once(hog, "exit");
      hog.kill("SIGKILL");
      await gone;
    }
  }
}

function measure(server: NbdPeer, load: Load): Promise<Measured> {
  const args = ["--rw=randread", "--bs=4k", `--iodepth=${load.depth}`, `--numjobs=${load.clients}`];
  return besideHogs(load.isHogged ? CPUS : 0, () => fio(server.uri, BYTES, args));
}

type Results = ReadonlyMap<string, readonly Measured[]>;

function rowsOf(load: Load, results: Results, name: string, peer: string): Row[] {
  const of = (server: string, pick: (one: Measured) => number): number => median((results.get(server) ?? []).map(pick));
  const [iops, peerIops] = [of(name, (m) => m.iops), of(peer, (m) => m.iops)];
  const [p99, peerP99] = [of(name, (m) => m.p99Us), of(peer, (m) => m.p99Us)];
  const row = { case: `${name}: ${load.case}`, peer };
  return [
    {
      ...row,
      metric: "IOPS",
      unit: "1/s",
      value: rounded(iops),
      peerValue: rounded(peerIops),
      ratio: rounded(iops / peerIops),
    },
    {
      ...row,
      metric: "p99",
      unit: "us",
      value: rounded(p99),
      peerValue: rounded(peerP99),
      ratio: rounded(peerP99 / p99),
    },
  ];
}

/** Where a peer has to wait behind programs that compute, one that goes before them is the fairer comparison. */
const FIRST = -10;

/**
 * Runs the suite.
 *
 * @param log called with a line of progress now and then
 * @throws if a program is missing or a server or fio fails
 */
export async function contended(log: (line: string) => void = () => {}): Promise<Row[]> {
  const missing = ensurePackages(PROGRAMS);
  if (missing.length > 0) throw new Error(missingSentence(missing));
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "pm-bench-"));
  const [ours, peers]: [NbdPeer[], NbdPeer[]] = [[], []];
  try {
    for (const settings of (process.env["BENCH_PROCESS"] ?? "").split(" ")) ours.push(await shipped(settings));
    for (const nice of [0, FIRST]) peers.push(await nbdkit(folder, BYTES, nice));
    const servers = [...ours, ...peers];
    const image = join(folder, "image.raw");
    writeFileSync(image, randomFillSync(Buffer.alloc(BYTES)));
    for (const server of servers) await run("nbdcopy", [image, server.uri]);
    rmSync(image);
    const rows: Row[] = [];
    for (const load of LOADS) {
      const results = new Map<string, Measured[]>(servers.map(({ name }) => [name, []]));
      for (let round = 0; round < ROUNDS; round++) {
        for (const server of servers) {
          results.get(server.name)?.push(await measure(server, load));
        }
      }
      for (const { name } of ours) for (const peer of peers) rows.push(...rowsOf(load, results, name, peer.name));
      log(`${load.case}: done`);
    }
    return rows;
  } finally {
    for (const server of [...ours, ...peers]) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
