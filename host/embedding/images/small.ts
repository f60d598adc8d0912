// The small image: Debian's kernel, busybox and the C host in one initial file system.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";
import type { Kit } from "../build.ts";
import { Cpio } from "./cpio.ts";
import { contentsOf } from "./debian.ts";
import type { Kernel } from "./image-kernel.ts";

const here = join(import.meta.dirname, "small");
/** SCSI disks of a virtual machine, SCSI commands for programs, a watchdog that needs no hardware. */
const MODULES = ["virtio_pci", "virtio_scsi", "sg", "softdog"];
const COMMANDS = ["sh", "mount", "insmod", "poweroff", "reboot", "sleep", "cat", "ls", "dmesg"];

export interface Image {
  readonly kernel: string;
  readonly initial: string;
}

function make(args: readonly string[]): void {
  const { status } = spawnSync("make", args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`make ${args.join(" ")} failed`);
}

/** The kit as a library; not again when it is of the same sources. */
function buildLibrary(kit: Kit, build: string): void {
  const stamp = join(build, "kit");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === kit.sha256) return;
  const target = join(build, "libpathmanager.a");
  make(["-s", "-C", kit.folder, `BUILD=${build}`, "CC=musl-gcc", "LDFLAGS=-static", target]);
  writeFileSync(stamp, kit.sha256);
}

/** The program of the image, static: it needs nothing but the kernel. */
export function buildAppliance(kit: Kit, build: string): string {
  const file = join(build, "appliance");
  mkdirSync(build, { recursive: true });
  buildLibrary(kit, build);
  const library = [join(build, "libpathmanager.a"), "-lm"];
  const args = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O2", "-static", "-s", `-I${kit.folder}`];
  const source = join(here, "appliance.c");
  const { status, stderr } = spawnSync("musl-gcc", [...args, "-o", file, source, ...library], { encoding: "utf8" });
  if (status !== 0) throw new Error(`compiling ${source} failed:\n${stderr}`);
  return file;
}

/** @param folder where packages are kept */
export function smallImage(kit: Kit, kernel: Kernel, folder: string, output: string): Image {
  mkdirSync(join(output, "licences"), { recursive: true });
  const busybox = contentsOf("busybox-static", folder);
  const archive = new Cpio();
  for (const name of ["dev", "proc", "sys", "run", "tmp"]) archive.folder(name);
  // What the kernel gives the first program as its input and output.
  archive.device("dev/console", 5, 1);
  archive.file("init", readFileSync(join(here, "init")), 0o755);
  archive.file("bin/busybox", readFileSync(join(busybox, "bin", "busybox")), 0o755);
  for (const name of COMMANDS) archive.link(`bin/${name}`, "busybox");
  archive.file("bin/appliance", readFileSync(buildAppliance(kit, join(output, "small"))), 0o755);
  addModules(archive, kernel.modules(MODULES));
  const image = { kernel: join(output, "vmlinuz"), initial: join(output, "small.cpio.zst") };
  cpSync(kernel.image, image.kernel);
  writeFileSync(image.initial, compressed(archive.bytes()));
  copyLicence(kernel.contents, kernel.package, output);
  copyLicence(busybox, "busybox-static", output);
  return image;
}

/** Modules with the order in which they are loaded. */
export function addModules(archive: Cpio, modules: readonly string[]): void {
  for (const file of modules) archive.file(`modules/${basename(file)}`, readFileSync(file));
  archive.file("modules/order", Buffer.from(`${modules.map((file) => basename(file)).join("\n")}\n`));
}

export function copyLicence(contents: string, name: string, output: string): void {
  cpSync(join(contents, "usr", "share", "doc", name, "copyright"), join(output, "licences", name));
}

export function compressed(bytes: Buffer): Buffer {
  const params = { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_checksumFlag]: 1 };
  return zstdCompressSync(bytes, { params, pledgedSrcSize: bytes.length });
}
