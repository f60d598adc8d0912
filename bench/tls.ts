// `npm run bench -- tls`: what TLS costs. 64 KiB reads by nbdcopy over TCP, in plaintext and over TLS, in turn within one run;
// nbdkit's memory plugin in the same way, because the client's own ciphers are part of each figure.

import { randomBytes, randomFillSync } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TlsTerminator } from "../host/export/tls/terminator.ts";
import { type DebianPackage, ensurePackages, missingSentence } from "../test/rig/packages.ts";
import { run } from "../test/peers/run.ts";
import { nbdkitTcp, pathmanagerTcp, type TcpPeer } from "./nbd-servers.ts";
import { median, rounded, type Row } from "./report.ts";

const PROGRAMS: readonly DebianPackage[] = [
  { package: "nbdkit", program: "nbdkit" },
  { package: "libnbd-bin", program: "nbdcopy" },
];

const BYTES = 512 << 20;
const ROUNDS = 5;

interface Load {
  readonly case: string;
  readonly args: readonly string[];
}

const LOADS: readonly Load[] = [
  { case: "64 KiB reads, one connection, 16 under way", args: ["--connections=1", "--requests=16"] },
  { case: "64 KiB reads, four connections, 16 under way on each", args: ["--connections=4", "--requests=16"] },
];

/** MiB a second of one pass over the whole unit. */
async function measure(uri: string, load: Load): Promise<number> {
  const began = performance.now();
  await run("nbdcopy", ["--request-size=65536", ...load.args, uri, "null:"]);
  return BYTES / (1 << 20) / ((performance.now() - began) / 1000);
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
      const figures = pairs.map(() => ({ plain: [] as number[], secure: [] as number[] }));
      for (let round = 0; round < ROUNDS; round++) {
        for (const [index, pair] of pairs.entries()) {
          figures[index]?.plain.push(await measure(pair.plain, load));
          figures[index]?.secure.push(await measure(pair.secure, load));
        }
      }
      for (const [index, { server }] of pairs.entries()) {
        const [secure, plain] = [median(figures[index]?.secure ?? []), median(figures[index]?.plain ?? [])];
        rows.push({
          case: `${load.case}: ${server.name} over TLS`,
          metric: "throughput",
          unit: "MiB/s",
          value: rounded(secure),
          peer: `${server.name} in the clear`,
          peerValue: rounded(plain),
          ratio: rounded(secure / plain),
        });
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
