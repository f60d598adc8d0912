// The full image: Debian's kernel and libraries, Node without its symbols, the daemon and its commands, in a root that is never written; two
// slots for it and a small partition for what lasts.

import { spawnSync } from "node:child_process";
import {
  cpSync,
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { Cpio } from "./cpio.ts";
import { contentsOf } from "./debian.ts";
import { partitioned } from "./disk.ts";
import type { Kernel } from "./image-kernel.ts";
import { addModules, compressed, copyLicence, type Image } from "./small.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const here = join(import.meta.dirname, "full");
const FIRST_MODULES = ["virtio_pci", "virtio_blk", "virtio_scsi", "squashfs", "ext4", "sg", "nbd", "softdog"];
const FIRST_COMMANDS = ["sh", "mount", "insmod", "sleep", "cat", "rm", "sync", "reboot", "switch_root", "echo"];
/** Of the packages; what only a reader or a compiler wants stays out. */
const LEFT_OUT = [
  "**/*.{map,md,markdown,ts,mts,cts,yml,yaml}",
  "**/{test,tests,docs,examples,benchmark,benchmarks,.github}",
];
const SLOT_BYTES = 64 << 20;
const STATE_BYTES = 16 << 20;

export interface FullImage extends Image {
  /** The root, as an upgrade takes it. */
  readonly root: string;
  /** What a machine starts with: root in slot a, an empty slot b, an empty state partition. */
  readonly disk: string;
  /** The files of the root. */
  readonly stage: string;
}

function must(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, env, encoding: "utf8" });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? (stderr.trim() || stdout.trim())}`);
}

/** Node's file without symbols, and the libraries it asks for. */
function putNode(stage: string): void {
  const node = join(stage, "usr", "bin", "node");
  mkdirSync(dirname(node), { recursive: true });
  cpSync(process.execPath, node);
  must("strip", ["--strip-all", node]);
  for (const [, file = ""] of must("ldd", [node]).matchAll(/(\/\S+\.so\S*) \(0x/g)) {
    mkdirSync(join(stage, dirname(file)), { recursive: true });
    // The name is often a link to the file.
    cpSync(realpathSync(file), join(stage, file));
  }
  cpSync(
    join(root, "node_modules", "node", "node_modules", `node-linux-${process.arch}`, "LICENSE"),
    join(stage, "usr", "share", "licences", "node"),
  );
}

/** The package as npm installs it, without what does not run. */
function putPackage(stage: string, scratch: string): void {
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  must("npm", ["pack", "--silent", "--pack-destination", scratch]);
  const archive = readdirSync(scratch).find((name) => name.endsWith(".tgz")) ?? "";
  must("tar", ["xzf", join(scratch, archive), "-C", scratch]);
  const from = join(scratch, "package");
  const to = join(stage, "opt", "pathmanager");
  for (const name of ["dist", "node_modules", "package.json", "LICENSE", "host/cli/bin"]) {
    cpSync(join(from, name), join(to, name), { recursive: true });
  }
  for (const file of globSync(LEFT_OUT, { cwd: to })) rmSync(join(to, file), { recursive: true, force: true });
}

function putSystem(stage: string, busybox: string, version: string): void {
  for (const name of ["dev", "proc", "sys", "run", "tmp", "state", "root", "bin", "sbin", "etc/pathmanager"]) {
    mkdirSync(join(stage, name), { recursive: true });
  }
  cpSync(join(busybox, "bin", "busybox"), join(stage, "bin", "busybox"));
  const commands = must(join(stage, "bin", "busybox"), ["--list"])
    .trim()
    .split("\n");
  for (const name of commands) if (name !== "busybox") must("ln", ["-s", "busybox", join(stage, "bin", name)]);
  const put = (name: string, to: string): void => {
    cpSync(join(here, name), join(stage, to));
    chmodSync(join(stage, to), 0o755);
  };
  put("inittab", "etc/inittab");
  put("rc", "etc/rc");
  put("start-daemon", "etc/start-daemon");
  put("upgrade", "sbin/upgrade");
  put("pathmanager.toml", "etc/pathmanager/pathmanager.toml");
  const keeper = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O2", "-static", "-s"];
  must("musl-gcc", [...keeper, "-o", join(stage, "sbin", "keeper"), join(here, "keeper.c")]);
  writeFileSync(join(stage, "etc", "passwd"), "root::0:0:root:/run:/bin/sh\n");
  writeFileSync(join(stage, "etc", "group"), "root:x:0:\n");
  writeFileSync(join(stage, "etc", "image-version"), `${version}\n`);
  for (const name of ["pathctl", "pathpersist", "spscmd"]) {
    const file = join(stage, "bin", name);
    const options = "HOME=/run NODE_COMPILE_CACHE=/state/cache";
    writeFileSync(file, `#!/bin/sh\nexec env ${options} /usr/bin/node /opt/pathmanager/host/cli/bin/${name}.js "$@"\n`);
    chmodSync(file, 0o755);
  }
}

function initialOf(kernel: Kernel, busybox: string): Buffer {
  const archive = new Cpio();
  for (const name of ["dev", "proc", "sys", "run", "root", "state"]) archive.folder(name);
  archive.device("dev/console", 5, 1);
  archive.file("init", readFileSync(join(here, "first")), 0o755);
  archive.file("bin/busybox", readFileSync(join(busybox, "bin", "busybox")), 0o755);
  for (const name of FIRST_COMMANDS) archive.link(`bin/${name}`, "busybox");
  addModules(archive, kernel.modules(FIRST_MODULES));
  return compressed(archive.bytes());
}

/** The root as one file; its bytes depend on what is in it alone. */
function packRoot(stage: string, file: string): void {
  const fixed = ["-all-root", "-no-xattrs", "-mkfs-time", "0", "-all-time", "0", "-no-exports"];
  must("mksquashfs", [stage, file, "-noappend", "-quiet", "-no-progress", "-comp", "xz", "-b", "256K", ...fixed]);
}

/** @param folder where packages are kept */
export function fullImage(kernel: Kernel, folder: string, output: string): FullImage {
  const busybox = contentsOf("busybox-static", folder);
  const stage = join(output, "full", "root");
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(join(output, "licences"), { recursive: true });
  mkdirSync(join(stage, "usr", "share", "licences"), { recursive: true });
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  putSystem(stage, busybox, version);
  putNode(stage);
  putPackage(stage, join(output, "full", "package"));
  copyLicence(kernel.contents, kernel.package, output);
  copyLicence(busybox, "busybox-static", output);
  const image = {
    kernel: join(output, "vmlinuz"),
    initial: join(output, "full.cpio.zst"),
    root: join(output, "full.squashfs"),
    disk: join(output, "full.disk"),
    stage,
  };
  cpSync(kernel.image, image.kernel);
  writeFileSync(image.initial, initialOf(kernel, busybox));
  packRoot(stage, image.root);
  const state = join(output, "full", "state.ext4");
  if (existsSync(state)) rmSync(state);
  must("mke2fs", ["-q", "-t", "ext4", "-L", basename(state), state, `${STATE_BYTES >> 10}k`]);
  partitioned(image.disk, [
    { bytes: SLOT_BYTES, content: image.root },
    { bytes: SLOT_BYTES },
    { bytes: STATE_BYTES, content: state },
  ]);
  return image;
}
