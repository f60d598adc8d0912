// npm run test:packages: builds the packages twice, which must give the same bytes, and installs Debian's in a guest of the rig.

import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { runMachine } from "../rig/machine.ts";
import { ensurePackages, missingSentence, TEST_PACKAGES, type DebianPackage } from "../rig/packages.ts";

const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const TIME_LIMIT_S = 600;
const PACKAGES: readonly DebianPackage[] = [
  ...TEST_PACKAGES,
  { package: "dpkg", program: "dpkg-deb" },
  { package: "rpm", program: "rpmbuild" },
  { package: "binutils", program: "strip" },
];

/** Builds them, and returns the digest of each by its name. */
function build(folder: string): Map<string, string> {
  const args = ["host/cli/packaging/system-package.ts", folder];
  const { status } = spawnSync(process.execPath, args, { cwd: project, stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`building the packages ended with status ${status}`);
  const digest = (name: string): string =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
  return new Map(readdirSync(folder).map((name) => [name, digest(name)]));
}

async function main(): Promise<number> {
  const missing = ensurePackages(PACKAGES);
  if (missing.length > 0) {
    console.error(missingSentence(missing, "packages"));
    return 2;
  }
  const built = join(project, "build", "packages");
  rmSync(built, { recursive: true, force: true });
  const first = build(built);
  const again = mkdtempSync(join(tmpdir(), "pathmanager-packages-"));
  try {
    const second = build(again);
    const differ = [...first].filter(([name, digest]) => second.get(name) !== digest).map(([name]) => name);
    const isSame = first.size === 2 && differ.length === 0;
    console.log(`${isSame ? "ok" : "not ok"} - two builds give the same bytes ${differ.join(" ")}`.trim());
    const result = await runMachine({
      project,
      array: "lio",
      units: 1,
      paths: 4,
      unitMib: 64,
      memoryMib: 1536,
      timeLimitS: TIME_LIMIT_S,
      command: ["node", "test/rig/guest.ts", "test/packages/installed.ts"],
      stdout: process.stdout,
      stderr: process.stderr,
    });
    const isGood = result.kind === "exited" && result.status === 0;
    if (!isGood) console.error(`the guest: ${JSON.stringify(result)}`);
    return isSame && isGood ? 0 : 1;
  } finally {
    rmSync(again, { recursive: true, force: true });
  }
}

process.exit(await main());
