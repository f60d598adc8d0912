// The kernel of the virtual machine: Debian's newest for clouds, which has ublk, virtiofs and ext4 built in or as modules. Fetched by its name
// into build/, with lists of packages of its own: nothing of this machine's is touched.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "./packages.ts";

const SUITE = "trixie-backports";
const KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** Debian 12's qemu-system-common has it here, outside of PATH. */
const FILE_SERVERS = ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"];

export interface UblkKernel {
  /** What a boot loader starts. */
  readonly image: string;
  /** The folder of its modules, with an index for modprobe. */
  readonly modules: string;
  /** Serves the host's tree to the guest. */
  readonly fileServer: string;
}

function must(what: string, command: string, args: readonly string[], cwd: string, env = process.env): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
  });
  if (status === 0) return stdout;
  throw new Error(`rig: ${what}: ${error?.message ?? stderr.trim().split("\n").at(-1) ?? "failed"}`);
}

/** An apt that knows the suite alone, in a folder of its own. */
function ownApt(folder: string): NodeJS.ProcessEnv {
  for (const name of ["lists/partial", "cache/archives/partial", "etc", "state"])
    mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, "status"), "");
  writeFileSync(
    join(folder, "etc", "sources.list"),
    `deb [signed-by=${KEYS}] http://deb.debian.org/debian ${SUITE} main\n`,
  );
  const configuration = join(folder, "apt.conf");
  const lines = [
    ["Dir", folder],
    ["Dir::State", "state"],
    ["Dir::State::Lists", "lists"],
    ["Dir::State::status", join(folder, "status")],
    ["Dir::Cache", "cache"],
    ["Dir::Etc", "etc"],
    ["Dir::Etc::sourceparts", "none"],
    ["Acquire::Languages", "none"],
    ["APT::Sandbox::User", "root"],
  ].map(([name, value]) => `${name} "${value}";\n`);
  writeFileSync(configuration, lines.join(""));
  return { ...process.env, APT_CONFIG: configuration };
}

/** The packages with the kernel and its modules: `linux-image-cloud-amd64` only names them. */
function packagesOf(apt: NodeJS.ProcessEnv, folder: string): string[] {
  const needs = (name: string): string[] =>
    [...must(`looking for ${name}`, "apt-cache", ["depends", name], folder, apt).matchAll(/Depends: (\S+)$/gm)].map(
      ([, one = ""]) => one,
    );
  const image = needs("linux-image-cloud-amd64").find((name) => /^linux-image-\d/.test(name));
  if (image === undefined) throw new Error(`rig: ${SUITE} has no kernel for clouds`);
  return [image, ...needs(image).filter((name) => /^linux-(binary|modules)-\d/.test(name))];
}

/** Fetches and unpacks it. */
function make(folder: string): void {
  const scratch = `${folder}.${process.pid}`;
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  const apt = ownApt(join(scratch, "apt"));
  must(`fetching the lists of ${SUITE}`, "apt-get", ["-q", "update"], scratch, apt);
  for (const name of packagesOf(apt, scratch))
    must(`fetching ${name}`, "apt-get", ["-q", "download", name], scratch, apt);
  for (const file of readdirSync(scratch).filter((name) => name.endsWith(".deb"))) {
    must(`unpacking ${file}`, "dpkg-deb", ["-x", file, "."], scratch);
    rmSync(join(scratch, file));
  }
  rmSync(join(scratch, "apt"), { recursive: true });
  const release = readdirSync(join(scratch, "usr", "lib", "modules"))[0] ?? "";
  const depmod = findProgram("depmod") ?? "depmod";
  must("indexing the modules", depmod, ["-b", join(scratch, "usr"), release], scratch);
  // Two rigs that start at once: the second to end throws its own away.
  if (existsSync(folder)) rmSync(scratch, { recursive: true });
  else renameSync(scratch, folder);
}

/** The kernel, fetched if it is not there yet. */
export function ensureUblkKernel(project: string): UblkKernel {
  const fileServer = FILE_SERVERS.find((file) => existsSync(file));
  if (fileServer === undefined)
    throw new Error(`rig: no virtiofsd (install it: sudo apt-get install qemu-system-common)`);
  const folder = join(project, "build", "rig", "ublk-kernel");
  if (!existsSync(folder)) make(folder);
  const above = join(folder, "usr", "lib", "modules");
  const release = readdirSync(above)[0] ?? "";
  const modules = join(above, release);
  return { image: join(modules, "vmlinuz"), modules, fileServer };
}
