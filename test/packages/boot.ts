// A machine of Debian's packages boots from a unit: its tree is made by mmdebstrap, our package installed in it, its initramfs made by its own
// initramfs-tools with the package's hook. It runs in user-mode-linux, over an array that its initramfs makes out of two disks.

import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { ensureModules, ensureWrapper } from "../rig/kernel.ts";
import { findProgram } from "../rig/packages.ts";
import { until } from "../until.ts";
import { packageFile, project } from "./build.ts";

const PACKAGES = [
  "systemd-sysv",
  "udev",
  "kmod",
  "initramfs-tools",
  "dracut-core",
  "e2fsprogs",
  "dmsetup",
  "libstdc++6",
  "zstd",
];
const UUID = "f7c4f4a2-3a68-4a37-9a3c-0f6f8ad4c8f1";
const CONFIGURATION = `devices = "all"
attach = true
[[units]]
identity = "naa.6001405000000000000000000000500a"
name = "root"
[[units]]
identity = "naa.6001405000000000000000000000500b"
name = "data"
`;
/** As a daemon that ran before has left it: by it udev knows the paths, so that nothing is mounted over one of them. */
const TABLE = ["a\troot", "b\tdata"]
  .map((unit) => `naa.6001405000000000000000000000500${unit}\tLIO-ORG\tIBLOCK\t\n`)
  .join("");
/** What the test brings into the tree: from, to, mode. */
const FILES = [
  ["array-hook", "etc/initramfs-tools/hooks/array", 0o755],
  ["array", "etc/initramfs-tools/scripts/init-premount/array", 0o755],
  ["mounted", "etc/initramfs-tools/scripts/init-bottom/mounted", 0o755],
  ["array.rules", "etc/udev/rules.d/00-array.rules", 0o644],
  ["array.service", "etc/systemd/system/array.service", 0o644],
  ["check.service", "etc/systemd/system/check.service", 0o644],
  ["load.service", "etc/systemd/system/load.service", 0o644],
  ["check", "usr/local/sbin/check", 0o755],
] as const;
/** A machine that hangs takes longer, however busy this one is. */
const BOOT_MS_MAX = 600_000;
/** What waits for something that does not come, systemd kills after 90 s. The mark, 15 s, is for a quiet machine: see what is printed. */
const POWER_OFF_MS_MAX = 60_000;
/** What a dead path may cost more than a healthy one. */
const DEAD_S_MAX = 5;

function run(program: string, ...args: readonly string[]): string {
  const done = spawnSync(program, args, { encoding: "utf8", env: { ...process.env, LC_ALL: "C" }, maxBuffer: 2 ** 26 });
  if (done.status !== 0)
    throw new Error(`${program} ${args.join(" ")}: ${done.error?.message ?? done.stderr + done.stdout}`);
  return done.stdout;
}

const chroot = (tree: string, ...command: readonly string[]): string =>
  run("unshare", "--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"', tree, ...command);

/** The tree with our package, as an administrator sets it up to boot from a unit. */
function makeTree(tree: string): void {
  const options = ["--mode=root", "--variant=essential", "--dpkgopt=force-unsafe-io", "--quiet"];
  run("mmdebstrap", ...options, `--include=${PACKAGES.join(",")}`, "bookworm", tree);
  cpSync(packageFile("deb", "own"), join(tree, "package.deb"));
  chroot(tree, "dpkg", "--force-unsafe-io", "--install", "/package.deb");
  rmSync(join(tree, "package.deb"));
  const put = (file: string, text: string): void => {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), text);
  };
  put("etc/pathmanager/pathmanager.toml", CONFIGURATION);
  put("etc/pathmanager/units", TABLE);
  put("etc/default/pathmanager", "INITRAMFS=yes\n");
  put("etc/fstab", `/dev/root / auto defaults 0 1\nUUID=${UUID} /srv/data ext4 defaults 0 2\n`);
  mkdirSync(join(tree, "srv/data"));
  for (const [from, to, mode] of FILES) {
    put(to, readFileSync(join(project, "test/packages/boot", from), "utf8"));
    run("chmod", mode.toString(8), join(tree, to));
  }
  chroot(tree, "systemctl", "enable", "pathmanagerd", "array", "check", "load");
  // The kernel comes without a package of this tree's.
  const modules = ensureModules();
  cpSync(modules, join(tree, "usr/lib/modules", basename(modules)), { recursive: true });
  put(`boot/config-${basename(modules)}`, "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n");
  put("etc/initramfs-tools/conf.d/array", "MODULES=list\nCOMPRESS=gzip\n");
}

interface Files {
  readonly folder: string;
  readonly initial: string;
  readonly root: string;
  readonly data: string;
}

function makeFiles(folder: string): Files {
  const tree = join(folder, "tree");
  makeTree(tree);
  const release = basename(ensureModules());
  chroot(tree, "mkinitramfs", "-o", "/initrd", release);
  const files = { folder, initial: join(folder, "initrd"), root: join(folder, "root"), data: join(folder, "data") };
  run("mv", join(tree, "initrd"), files.initial);
  dracutCarriesTheSame(tree, release);
  run("mke2fs", "-q", "-t", "ext4", "-d", tree, files.root, "1400M");
  run("mke2fs", "-q", "-t", "ext4", "-U", UUID, files.data, "64M");
  rmSync(tree, { recursive: true });
  return files;
}

/** dracut's module puts the same tree into its image, and calls it before udev sees the disks. */
function dracutCarriesTheSame(tree: string, release: string): void {
  chroot(
    tree,
    "dracut",
    "--quiet",
    "--no-hostonly",
    "--modules",
    "base udev-rules pathmanager",
    "--no-compress",
    "--no-early-microcode",
    "/dracut",
    release,
  );
  const names = new Set(chroot(tree, "sh", "-c", "cpio --list --quiet </dracut").split("\n"));
  for (const name of [
    "pathmanager-boot/usr/lib/pathmanager/bin/node",
    "pathmanager-boot/usr/lib/pathmanager/dist/build/core.wasm",
    "pathmanager-boot/etc/pathmanager/pathmanager.toml",
    "usr/lib/udev/pathmanager_id",
    "usr/lib/udev/rules.d/59-pathmanager.rules",
  ]) {
    assert.ok(names.has(name), `dracut's image has no ${name}`);
  }
  assert.ok(
    [...names].some((name) => /hooks\/pre-trigger\/.*pathmanager-start\.sh$/.test(name)),
    "dracut starts it",
  );
  rmSync(join(tree, "dracut"));
}

interface Boot {
  readonly console: string;
  /** From the array's being there to the root's being mounted. */
  readonly mountedS: number;
}

/** A machine on copies of the disks. */
class Booted implements AsyncDisposable {
  readonly #log: string;
  readonly #machine: ChildProcess;
  readonly #disks: readonly string[];

  constructor({ folder, initial, root, data }: Files, name: string, words: readonly string[]) {
    this.#disks = [join(folder, "disk-a"), join(folder, "disk-b")];
    const [rootDisk = "", dataDisk = ""] = this.#disks;
    run("cp", "--sparse=always", root, rootDisk);
    run("cp", "--sparse=always", data, dataDisk);
    this.#log = join(folder, `${name}.log`);
    const output = openSync(this.#log, "w");
    const disks = [`initrd=${initial}`, `ubda=${rootDisk}`, `ubdb=${dataDisk}`, "rw"];
    const serial = ["con=null", "con0=null,fd:1", "panic=600", `uml_dir=${folder}`];
    const env = { PATH: process.env["PATH"], HOME: folder, LD_PRELOAD: ensureWrapper(project), TMPDIR: folder };
    const program = findProgram("linux.uml") ?? "linux.uml";
    const options = { detached: true, stdio: ["ignore", output, output], env } satisfies SpawnOptions;
    this.#machine = spawn(program, ["mem=1536M", ...disks, ...serial, ...words], options);
    closeSync(output);
  }

  get console(): string {
    return readFileSync(this.#log, "utf8");
  }

  async #says(what: string, mark: string): Promise<void> {
    const isOver = (): boolean => this.#machine.exitCode !== null || this.console.includes("emergency mode");
    await until(what, () => isOver() || this.console.includes(mark), BOOT_MS_MAX);
    assert.ok(this.console.includes(mark), `${what}, it does not:\n${this.console.split("\n").slice(-60).join("\n")}`);
  }

  async mounts(): Promise<Boot> {
    await this.#says("the machine mounts its root", "root is mounted at");
    const second = (pattern: RegExp): number => Number(pattern.exec(this.console)?.[1] ?? Number.NaN);
    const mountedS = second(/root is mounted at ([\d.]+) s/) - second(/disks at ([\d.]+) s/);
    return { console: this.console, mountedS };
  }

  /** @returns how long the machine takes to power off */
  async powersOff(): Promise<number> {
    await this.#says("the machine powers off", "check: powers off");
    const began = performance.now();
    await until("the machine is off", () => this.#machine.exitCode !== null, BOOT_MS_MAX);
    const took = performance.now() - began;
    for (const disk of this.#disks) run("e2fsck", "-fn", disk);
    return took;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid, exitCode } = this.#machine;
    if (pid === undefined || exitCode !== null) return;
    const ended = new Promise((resolve) => this.#machine.once("exit", resolve));
    process.kill(-pid, "SIGKILL");
    await ended;
  }
}

function isWhole(text: string, root: RegExp, powerOffMs: number): void {
  assert.match(text, root);
  assert.match(text, /check: \/srv\/data is \/dev\/nbd\d+ of pathmanager naa\.6001405000000000000000000000500b/);
  assert.match(text, /check: failed: *$/m, "no unit of systemd's has failed");
  assert.doesNotMatch(text, /check: an error/);
  assert.ok(powerOffMs < POWER_OFF_MS_MAX, `powering off took ${Math.round(powerOffMs)} ms`);
}

const FROM_UNIT = /check: \/ is \/dev\/nbd\d+ of pathmanager naa\.6001405000000000000000000000500a/;
const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** The root on a unit: with all its paths, with one that is offline, with one that is silent. */
async function rootOnUnit(files: Files): Promise<void> {
  const seconds: Record<string, number> = {};
  for (const dead of ["none", "offline", "silent"]) {
    await using machine = new Booted(files, dead, ["root=/dev/pathmanager/root", `dead=${dead}`]);
    const { mountedS } = await machine.mounts();
    seconds[dead] = mountedS;
    console.log(`ok - root on a unit, dead path: ${dead}: mounted ${mountedS.toFixed(1)} s after its disks were there`);
    if (dead !== "offline") continue;
    const powerOffMs = await machine.powersOff();
    isWhole(machine.console, FROM_UNIT, powerOffMs);
    console.log(`ok - root on a unit, degraded: off in ${inSeconds(powerOffMs)} under I/O, file systems whole`);
  }
  const { none = 0, ...others } = seconds;
  for (const [dead, taken] of Object.entries(others)) {
    assert.ok(taken - none < DEAD_S_MAX, `a path that is ${dead} costs ${(taken - none).toFixed(1)} s at boot`);
  }
}

async function mountedByUuid(files: Files): Promise<void> {
  await using machine = new Booted(files, "late", ["root=/dev/ubda", "array=late", "nopathmanager"]);
  const powerOffMs = await machine.powersOff();
  isWhole(machine.console, /check: \/ is \/dev\/ubda/, powerOffMs);
  console.log(`ok - mounted from fstab by its UUID, without options; off in ${inSeconds(powerOffMs)} under I/O`);
}

/** @returns whether all is as it should be; what is not is printed */
export async function boots(): Promise<boolean> {
  // In memory: what the machine flushes waits for no disk.
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "pathmanager-boot-"));
  try {
    const files = makeFiles(folder);
    const mib = Math.round(statSync(files.initial).size / 2 ** 20);
    console.log(`ok - a tree of Debian's packages with ours, its initramfs (${mib} MiB), and dracut's`);
    await rootOnUnit(files);
    await mountedByUuid(files);
    return true;
  } catch (thrown) {
    console.error(thrown);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
