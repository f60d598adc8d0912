// `npm run bench -- tls`: what TLS costs. 64 KiB reads by nbdcopy over TCP, in plaintext and over TLS, in turn within one run, the fastest
// pass of each; nbdkit's memory plugin in the same way, because the client's own ciphers are part of each figure. Processor time per
// GiB says what the machine could reach at most.

import { randomBytes, randomFillSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TlsTerminator } from "../host/export/tls/terminator.ts";
import { type DebianPackage, ensurePackages, missingSentence } from "../test/rig/packages.ts";
import { run } from "../test/peers/run.ts";
import { nbdkitTcp, pathmanagerTcp, type TcpPeer } from "./nbd-servers.ts";
import { rounded, type Row } from "./report.ts";

const PROGRAMS: readonly DebianPackage[] = [
  { package: "nbdkit", program: "nbdkit" },
  { package: "libnbd-bin", program: "nbdcopy" },
];

const BYTES = 256 << 20;
const ROUNDS = 8;

interface Load {
  readonly case: string;
  readonly args: readonly string[];
}

const LOADS: readonly Load[] = [
  { case: "64 KiB reads, one connection, 16 under way", args: ["--connections=1", "--requests=16"] },
  { case: "64 KiB reads, four connections, 16 under way on each", args: ["--connections=4", "--requests=16"] },
];

/** One pass over the whole unit. */
interface Pass {
  /** MiB a second. */
  readonly speed: number;
  /** Processor time that a GiB took of this process, which is the server if that is ours, and of the client; seconds. */
  readonly server: number;
  readonly client: number;
}

/** Of proc_pid_stat(5): processor time of children that have ended, in ticks; its fields after the name. */
const CHILDREN = { from: 13, to: 15, ticksPerSecond: 100 } as const;

function childrenSeconds(): number {
  const text = readFileSync("/proc/self/stat", "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(CHILDREN.from, CHILDREN.to).reduce((sum, field) => sum + Number(field), 0);
  return ticks / CHILDREN.ticksPerSecond;
}

const GIB_IN_UNIT = BYTES / 2 ** 30;

async function measure(uri: string, load: Load): Promise<Pass> {
  const [began, own, others] = [performance.now(), process.cpuUsage(), childrenSeconds()];
  await run("nbdcopy", ["--request-size=65536", ...load.args, uri, "null:"]);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(own);
  return {
    speed: BYTES / 2 ** 20 / seconds,
    server: (user + system) / 1e6 / GIB_IN_UNIT,
    client: (childrenSeconds() - others) / GIB_IN_UNIT,
  };
}

const fastest = (passes: readonly Pass[]): number => Math.max(...passes.map(({ speed }) => speed));
const least = (passes: readonly Pass[], whose: "server" | "client"): number =>
  Math.min(...passes.map((pass) => pass[whose]));

/** What a GiB costs our server and its client: where every processor is busy, the sum of both limits the speed. */
function costs(load: Load, plain: readonly Pass[], secure: readonly Pass[]): Row[] {
  const sum = (passes: readonly Pass[]): number => least(passes, "server") + least(passes, "client");
  const row = (what: string, over: number, clear: number): Row => ({
    case: `${load.case}: ${what} over TLS`,
    metric: "processor time",
    unit: "s/GiB",
    value: rounded(over),
    peer: "in the clear",
    peerValue: rounded(clear),
    ratio: rounded(clear / over),
  });
  return [
    row("pathmanager", least(secure, "server"), least(plain, "server")),
    row("its client", least(secure, "client"), least(plain, "client")),
    row("both", sum(secure), sum(plain)),
  ];
}

/** Plaintext and TLS of one server: the ratio is the share of its speed that remains. */
interface Pair {
  readonly server: TcpPeer;
  readonly plain: string;
  readonly secure: string;
}

/**
 * Runs the suite.
 *
 * @param log called with a line of progress now and then
 * @throws if a program is missing or a server or nbdcopy fails
 */
export async function tls(log: (line: string) => void = () => {}): Promise<Row[]> {
  const missing = ensurePackages(PROGRAMS);
  if (missing.length > 0) throw new Error(missingSentence(missing));
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "pm-bench-"));
  const keys = join(folder, "keys.psk");
  const key = randomBytes(32);
  writeFileSync(keys, `bench:${key.toString("hex")}\n`);
  const terminator = new TlsTerminator({ psk: new Map([["bench", key]]) }, (error) => log(error.message));
  const pairs: Pair[] = [];
  try {
    for (const start of [() => pathmanagerTcp(BYTES, terminator), () => nbdkitTcp(folder, BYTES, keys)]) {
      const server = await start();
      const at = `localhost:${server.port}/${server.export}`;
      pairs.push({ server, plain: `nbd://${at}`, secure: `nbds://bench@${at}?tls-psk-file=${keys}` });
    }
    const image = join(folder, "image.raw");
    writeFileSync(image, randomFillSync(Buffer.alloc(BYTES)));
    for (const { plain } of pairs) await run("nbdcopy", [image, plain]);
    rmSync(image);
    const rows: Row[] = [];
    for (const load of LOADS) {
      const figures = pairs.map(() => ({ plain: [] as Pass[], secure: [] as Pass[] }));
      for (let round = 0; round < ROUNDS; round++) {
        for (const [index, pair] of pairs.entries()) {
          figures[index]?.plain.push(await measure(pair.plain, load));
          figures[index]?.secure.push(await measure(pair.secure, load));
        }
      }
      for (const [index, { server }] of pairs.entries()) {
        const { plain: plainPasses = [], secure: securePasses = [] } = figures[index] ?? {};
        const [secure, plain] = [fastest(securePasses), fastest(plainPasses)];
        rows.push({
          case: `${load.case}: ${server.name} over TLS`,
          metric: "throughput",
          unit: "MiB/s",
          value: rounded(secure),
          peer: `${server.name} in the clear`,
          peerValue: rounded(plain),
          ratio: rounded(secure / plain),
        });
        // The server is in this process.
        if (index === 0) rows.push(...costs(load, plainPasses, securePasses));
      }
      log(`${load.case}: done`);
    }
    return rows;
  } finally {
    for (const { server } of pairs) await server.stop();
    await terminator.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
