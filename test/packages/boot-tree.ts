// The tree of Debian's packages that the machine boots from, with ours installed in it, and the files that the machine starts with.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ensureModules } from "../rig/kernel.ts";
import { packageFile, project } from "./build.ts";

const PACKAGES = [
  "systemd-sysv",
  "udev",
  "kmod",
  "initramfs-tools",
  "dracut-core",
  "e2fsprogs",
  "dmsetup",
  "lvm2",
  "libstdc++6",
  "zstd",
];
const UUID = "f7c4f4a2-3a68-4a37-9a3c-0f6f8ad4c8f1";
const SWAP_UUID = "0b6c1d2e-55f0-4c6a-8d37-9a52f1c07e44";
/** Without options. */
const FSTAB = `/dev/root / auto defaults 0 1
UUID=${UUID} /srv/data ext4 defaults 0 2
/srv/data/bound /srv/bound none bind 0 0
UUID=${SWAP_UUID} none swap defaults 0 0
`;
const CONFIGURATION = `devices = "all"
attach = true
[[units]]
identity = "naa.6001405000000000000000000000500a"
name = "root"
[[units]]
identity = "naa.6001405000000000000000000000500b"
name = "data"
[[units]]
identity = "naa.6001405000000000000000000000500c"
name = "swap"
[[units]]
identity = "naa.6001405000000000000000000000500d"
name = "volume"
`;
/** As a daemon that ran before has left it: by it udev knows the paths, so that nothing is mounted over one of them. */
const TABLE = ["a\troot", "b\tdata", "c\tswap", "d\tvolume"]
  .map((unit) => `naa.6001405000000000000000000000500${unit}\tLIO-ORG\tIBLOCK\t\n`)
  .join("");
/** Nor is the inside of the array LVM's business. */
const LVM = 'devices {\n\tglobal_filter = [ "r|^/dev/mapper/path|", "r|^/dev/dm-|", "r|^/dev/ubd|" ]\n}\n';
/** What the test brings into the tree: from, to, mode. */
const FILES = [
  ["array-hook", "etc/initramfs-tools/hooks/array", 0o755],
  ["array", "etc/initramfs-tools/scripts/init-premount/array", 0o755],
  ["mounted", "etc/initramfs-tools/scripts/init-bottom/mounted", 0o755],
  ["dracut-module", "usr/lib/dracut/modules.d/90array/module-setup.sh", 0o755],
  ["dracut-array", "usr/lib/dracut/modules.d/90array/array.sh", 0o755],
  ["dracut-mounted", "usr/lib/dracut/modules.d/90array/mounted.sh", 0o755],
  ["array.rules", "etc/udev/rules.d/00-array.rules", 0o644],
  ["array.service", "etc/systemd/system/array.service", 0o644],
  ["check.service", "etc/systemd/system/check.service", 0o644],
  ["load.service", "etc/systemd/system/load.service", 0o644],
  ["check", "usr/local/sbin/check", 0o755],
] as const;
export function run(program: string, ...args: readonly string[]): string {
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
  put("etc/fstab", FSTAB);
  put("etc/lvm/lvmlocal.conf", LVM);
  for (const point of ["srv/data", "srv/bound"]) mkdirSync(join(tree, point));
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

/** Who makes the initramfs. */
export const MAKERS = ["initramfs-tools", "dracut"] as const;
export type Maker = (typeof MAKERS)[number];

export interface Files {
  readonly folder: string;
  readonly initials: Readonly<Record<Maker, string>>;
  readonly root: string;
  readonly data: string;
  readonly swap: string;
  /** Empty: a machine makes a volume group on it. */
  readonly volume: string;
}

export function makeFiles(folder: string): Files {
  const tree = join(folder, "tree");
  makeTree(tree);
  const release = basename(ensureModules());
  chroot(tree, "mkinitramfs", "-o", "/initrd", release);
  const initials = { "initramfs-tools": join(folder, "initrd"), dracut: join(folder, "dracut") };
  run("mv", join(tree, "initrd"), initials["initramfs-tools"]);
  chroot(tree, "dracut", "--quiet", "--no-hostonly", "--no-early-microcode", "--no-compress", "/dracut", release);
  dracutCarriesTheSame(tree);
  run("mv", join(tree, "dracut"), initials.dracut);
  const [root = "", data = "", swap = "", volume = ""] = ["root", "data", "swap", "volume"].map((name) =>
    join(folder, name),
  );
  run("mke2fs", "-q", "-t", "ext4", "-d", tree, root, "1400M");
  rmSync(tree, { recursive: true });
  mkdirSync(join(tree, "bound"), { recursive: true });
  run("mke2fs", "-q", "-t", "ext4", "-U", UUID, "-d", tree, data, "64M");
  rmSync(tree, { recursive: true });
  for (const disk of [swap, volume]) {
    writeFileSync(disk, "");
    run("truncate", "--size=64M", disk);
  }
  run("mkswap", "--quiet", "--uuid", SWAP_UUID, swap);
  return { folder, initials, root, data, swap, volume };
}

/** dracut's module puts the same tree into its image, and calls it before udev sees the disks. */
function dracutCarriesTheSame(tree: string): void {
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
}
