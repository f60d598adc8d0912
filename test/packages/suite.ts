// npm run test:packages [-- quick|systemd|steps|arm64|boot [CASE]]: without a word all of them.
//
//   quick    builds the packages, installs them in roots of their own with the real dpkg and rpm, upgrades and removes them; runs the image; in the gate
//   systemd  builds them twice, which must give the same bytes; Debian's in a guest of the rig, under systemd and verified load
//   steps    types what the operator's guide says between the package and a mounted file system, and nothing else; in a guest under systemd
//   arm64    builds those for arm64, cross-compiled, whose programs run under qemu-user
//   boot     a machine of Debian's packages boots from a unit, by the initramfs that its own initramfs-tools makes, and goes off under load; a
//            second word runs the cases with it in their names

import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { runMachine } from "../rig/machine.ts";
import { ensurePackages, missingSentence, TEST_PACKAGES, type DebianPackage } from "../rig/packages.ts";
import { boots } from "./boot.ts";
import { buildPackages, NEWER, PACKAGES_FOLDER, project } from "./build.ts";
import { arm64 } from "./foreign.ts";

const TIME_LIMIT_S = 900;
const BUILD: readonly DebianPackage[] = [
  { package: "dpkg", program: "dpkg-deb" },
  { package: "rpm", program: "rpmbuild" },
  { package: "binutils", program: "strip" },
];
const CONTAINER: readonly DebianPackage[] = [
  { package: "skopeo", program: "skopeo" },
  { package: "umoci", program: "umoci" },
  { package: "crun", program: "crun" },
];
const ARM64: readonly DebianPackage[] = [
  { package: "gcc-aarch64-linux-gnu", program: "aarch64-linux-gnu-gcc" },
  // Which Node needs.
  { package: "libstdc++6-arm64-cross", program: "aarch64-linux-gnu-gcc" },
  { package: "qemu-user-static", program: "qemu-aarch64-static" },
];
const built = join(project, PACKAGES_FOLDER);

/** The digest of each file in a folder, by its name. */
function digests(folder: string): Map<string, string> {
  const digest = (name: string): string =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
  return new Map(readdirSync(folder).map((name) => [name, digest(name)]));
}

const passes = (file: string): boolean =>
  spawnSync(process.execPath, [`test/packages/${file}.ts`], { cwd: project, stdio: "inherit" }).status === 0;

function quick(): Promise<boolean> {
  buildPackages(built, "--quick", "--also", NEWER);
  return Promise.resolve(["quick", "container"].every(passes));
}

async function inGuest(file: string): Promise<boolean> {
  const result = await runMachine({
    project,
    array: "lio",
    units: 1,
    paths: 4,
    unitMib: 64,
    memoryMib: 2048,
    timeLimitS: TIME_LIMIT_S,
    command: ["node", "test/rig/guest.ts", file],
    stdout: process.stdout,
    stderr: process.stderr,
  });
  const isGood = result.kind === "exited" && result.status === 0;
  if (!isGood) console.error(`the guest: ${JSON.stringify(result)}`);
  return isGood;
}

async function systemd(): Promise<boolean> {
  const again = mkdtempSync(join(tmpdir(), "pathmanager-packages-"));
  try {
    buildPackages(built);
    buildPackages(again);
    const [first, second] = [digests(built), digests(again)];
    const differ = [...first].filter(([name, digest]) => second.get(name) !== digest).map(([name]) => name);
    const isSame = first.size === 3 && differ.length === 0;
    console.log(`${isSame ? "ok" : "not ok"} - two builds give the same bytes ${differ.join(" ")}`.trim());
    buildPackages(built, "--quick", "--also", NEWER);
    return (await inGuest("test/packages/installed.ts")) && isSame;
  } finally {
    rmSync(again, { recursive: true, force: true });
  }
}

async function steps(): Promise<boolean> {
  buildPackages(built, "--quick");
  return inGuest("test/packages/steps.ts");
}

async function boot(): Promise<boolean> {
  buildPackages(built, "--quick");
  return boots(process.argv[3]);
}

const PARTS: Readonly<
  Record<string, { readonly packages: readonly DebianPackage[]; readonly run: () => Promise<boolean> }>
> = {
  quick: { packages: [...BUILD, ...CONTAINER], run: quick },
  systemd: { packages: [...BUILD, ...TEST_PACKAGES], run: systemd },
  steps: { packages: [...BUILD, ...TEST_PACKAGES], run: steps },
  arm64: { packages: [...BUILD, ...ARM64], run: () => Promise.resolve(arm64()) },
  boot: { packages: [...BUILD, ...TEST_PACKAGES, { package: "mmdebstrap", program: "mmdebstrap" }], run: boot },
};

async function main(): Promise<number> {
  const [, , wanted] = process.argv;
  const parts = Object.entries(PARTS).filter(([name]) => wanted === undefined || name === wanted);
  if (parts.length === 0) {
    console.error(`test:packages: no part ${wanted}; there are ${Object.keys(PARTS).join(", ")}`);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    console.error("test:packages: installing packages needs root; run it as root");
    return 2;
  }
  const missing = ensurePackages(parts.flatMap(([, { packages }]) => packages));
  if (missing.length > 0) {
    console.error(missingSentence(missing, "packages"));
    return 2;
  }
  let isGood = true;
  for (const [name, part] of parts) {
    const isPartGood = await part.run();
    if (!isPartGood) console.log(`not ok - ${name}`);
    isGood &&= isPartGood;
  }
  return isGood ? 0 : 1;
}

process.exit(await main());
