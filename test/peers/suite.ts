// `npm run test:peers [-- PATTERN...]`: real NBD clients against the real daemon on the emulated array. Runs the cases whose
// names contain one of the patterns; all without a pattern. Prints "N passed, N failed"; exits with status 1 when a case
// failed, 2 when a peer is missing.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QUICK_PATROL } from "../quick-patrol.ts";
import { type DebianPackage, ensurePackages, missingSentence } from "../rig/packages.ts";
import type { Case, Context } from "./case.ts";
import { Daemon } from "./daemon.ts";
import { cases as allocation } from "./cases/allocation.ts";
import { cases as alertmanager } from "./cases/alertmanager.ts";
import { cases as commands } from "./cases/commands.ts";
import { cases as copying } from "./cases/copying.ts";
import { cases as differential } from "./cases/differential.ts";
import { cases as faults } from "./cases/faults.ts";
import { cases as fencing } from "./cases/fencing.ts";
import { cases as filters } from "./cases/filters.ts";
import { cases as fleet } from "./cases/fleet.ts";
import { cases as forbidden } from "./cases/forbidden.ts";
import { cases as iscsi } from "./cases/iscsi.ts";
import { cases as information } from "./cases/information.ts";
import { cases as misuse, nothingHeld } from "./cases/misuse.ts";
import { cases as packaging } from "./cases/packaging.ts";
import { cases as patterns } from "./cases/patterns.ts";
import { cases as prometheus } from "./cases/prometheus.ts";
import { cases as random } from "./cases/random.ts";
import { cases as receivers } from "./cases/real-receivers.ts";
import { cases as restart } from "./cases/restart.ts";
import { cases as shells } from "./cases/shells.ts";
import { cases as tls } from "./cases/tls.ts";

const PEERS: readonly DebianPackage[] = [
  { package: "libnbd-bin", program: "nbdinfo" },
  { package: "python3-libnbd", program: "nbdsh" },
  { package: "nbdkit", program: "nbdkit" },
  { package: "gnutls-bin", program: "certtool" },
  { package: "qemu-utils", program: "qemu-nbd" },
  { package: "fio", program: "fio" },
  { package: "libiscsi-bin", program: "iscsi-test-cu" },
  { package: "strace", program: "strace" },
  { package: "man-db", program: "man" },
  { package: "groff-base", program: "groff" },
  { package: "systemd", program: "systemd-analyze" },
  { package: "prometheus", program: "promtool" },
  { package: "prometheus-alertmanager", program: "amtool" },
  { package: "curl", program: "curl" },
  { package: "rsyslog", program: "rsyslogd" },
  { package: "rsyslog-gnutls", program: null },
  { package: "snmptrapd", program: "snmptrapd" },
  { package: "smitools", program: "smilint" },
  { package: "zsh", program: "zsh" },
  { package: "fish", program: "fish" },
  { package: "fence-agents", program: "fence_mpath" },
  { package: "libxml2-utils", program: "xmllint" },
];

/** A unit of 64 MiB over four paths and two controllers; two of them, so that one can stay unchanged. */
const CONFIGURATION = `
timeouts.no_path_ms = 20000
${QUICK_PATROL}marginal.enabled = false
[array]
units = 2
unit_mib = 64
paths = 4
controllers = 2
`;

const CASE_MS_MAX = 180_000;

const missing = ensurePackages(PEERS);
if (missing.length > 0) {
  console.error(missingSentence(missing, "test:peers"));
  process.exit(2);
}

const wanted = process.argv.slice(2);
const chosen = [
  ...information,
  ...commands,
  ...patterns,
  ...copying,
  ...allocation,
  ...filters,
  ...misuse,
  ...differential,
  ...faults,
  ...random,
  ...restart,
  ...shells,
  ...tls,
  ...forbidden,
  ...packaging,
  ...iscsi,
  ...prometheus,
  ...fencing,
  ...fleet,
  ...receivers,
  ...alertmanager,
].filter(({ name }) => wanted.length === 0 || wanted.some((pattern) => name.includes(pattern)));

/** One case, with a time limit; afterwards the daemon may hold nothing. */
async function attempt(one: Case, context: Context): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${CASE_MS_MAX} ms`)), CASE_MS_MAX);
  });
  try {
    await Promise.race([one.run(context), late]);
    await nothingHeld(context.daemon);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}

async function main(): Promise<number> {
  const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const folder = mkdtempSync(join(memory, "pm-peers-"));
  const daemon = new Daemon(join(folder, "daemon"), { configuration: CONFIGURATION });
  let passed = 0;
  let failed = 0;
  try {
    await daemon.start();
    for (const one of chosen) {
      const began = Date.now();
      const why = await attempt(one, { daemon, folder });
      const seconds = ((Date.now() - began) / 1000).toFixed(1);
      if (why === undefined) {
        passed += 1;
        console.log(`  ok    ${one.name} (${seconds} s)`);
        continue;
      }
      failed += 1;
      console.log(`  FAIL  ${one.name} (${seconds} s)\n        ${why.replaceAll("\n", "\n        ")}`);
      // What one case leaves behind must not fail the next one.
      await daemon.stop("SIGKILL");
      await daemon.start();
    }
    const stopMs = await daemon.stop();
    if (stopMs > 5000) {
      failed += 1;
      console.log(`  FAIL  the daemon stops within 5 s: it took ${stopMs} ms`);
    }
  } catch (error) {
    failed += 1;
    console.log(`  FAIL  the daemon: ${error instanceof Error ? error.message : String(error)}`);
    if (existsSync(daemon.log)) console.log(readFileSync(daemon.log, "utf8").slice(-4000));
  } finally {
    await daemon.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
