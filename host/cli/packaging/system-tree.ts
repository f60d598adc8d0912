// The files of an installation, as Debian's and rpm's packages have them: one folder with the program and its own Node, and what the
// host's services look for in places of their own.

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Foreign } from "./cross.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
const PACKAGING = "host/cli/packaging";
const SYSTEM = `${PACKAGING}/system`;
/** What cluster software calls. */
const CLUSTER = `${PACKAGING}/cluster`;
/** The folder with everything that is the program's alone. */
export const HOME = "usr/lib/pathmanager";

/** Files of the repository, and where the host looks for them. */
const PLACES: Readonly<Record<string, string>> = {
  [`${PACKAGING}/pathmanagerd.service`]: "usr/lib/systemd/system/pathmanagerd.service",
  [`${PACKAGING}/pathmanager-give-up.service`]: "usr/lib/systemd/system/pathmanager-give-up.service",
  [`${PACKAGING}/pathmanager.catalog`]: "usr/lib/systemd/catalog/pathmanager.catalog",
  [`${SYSTEM}/59-pathmanager.rules`]: "usr/lib/udev/rules.d/59-pathmanager.rules",
  [`${SYSTEM}/sysusers.conf`]: "usr/lib/sysusers.d/pathmanager.conf",
  [`${SYSTEM}/tmpfiles.conf`]: "usr/lib/tmpfiles.d/pathmanager.conf",
  [`${SYSTEM}/modules-load.conf`]: "usr/lib/modules-load.d/pathmanager.conf",
  [`${SYSTEM}/pathmanager.toml`]: "etc/pathmanager/pathmanager.toml",
  [`${SYSTEM}/default`]: "etc/default/pathmanager",
  [`${SYSTEM}/boot/pathmanager-settings.service`]: "usr/lib/systemd/system/pathmanager-settings.service",
  [`${SYSTEM}/boot/pathmanager-settings.path`]: "usr/lib/systemd/system/pathmanager-settings.path",
  [`${SYSTEM}/boot/pathmanager-settings-save.service`]: "usr/lib/systemd/system/pathmanager-settings-save.service",
  [`${SYSTEM}/pathmanager-volumes.service`]: "usr/lib/systemd/system/pathmanager-volumes.service",
  [`${SYSTEM}/pathmanager-silent.service`]: "usr/lib/systemd/system/pathmanager-silent.service",
  [`${SYSTEM}/boot/enter`]: `${HOME}/boot/enter`,
  [`${SYSTEM}/boot/keep`]: `${HOME}/boot/keep`,
  [`${CLUSTER}/pathmanager_api.py`]: `${HOME}/cluster/pathmanager_api.py`,
  LICENSE: "usr/share/doc/pathmanager/copyright",
  "CHANGELOG.md": "usr/share/doc/pathmanager/CHANGELOG.md",
};

/** The same, of programs: what makes an initramfs from which a system boots from a unit. */
const PROGRAMS: Readonly<Record<string, string>> = {
  [`${SYSTEM}/generator`]: "usr/lib/systemd/system-generators/pathmanager-generator",
  [`${SYSTEM}/boot/wanted`]: `${HOME}/boot/wanted`,
  [`${SYSTEM}/boot/make-tree`]: `${HOME}/boot/make-tree`,
  [`${SYSTEM}/last-flush`]: "usr/lib/systemd/system-shutdown/pathmanager",
  [`${SYSTEM}/volumes`]: `${HOME}/volumes`,
  [`${SYSTEM}/silent`]: `${HOME}/silent`,
  [`${SYSTEM}/boot/settings`]: `${HOME}/boot/settings`,
  [`${SYSTEM}/boot/start`]: `${HOME}/boot/start`,
  [`${SYSTEM}/boot/initramfs-hook`]: "usr/share/initramfs-tools/hooks/pathmanager",
  [`${SYSTEM}/boot/initramfs-start`]: "usr/share/initramfs-tools/scripts/local-top/pathmanager",
  [`${SYSTEM}/boot/dracut-module`]: "usr/lib/dracut/modules.d/91pathmanager/module-setup.sh",
  [`${SYSTEM}/boot/dracut-start`]: "usr/lib/dracut/modules.d/91pathmanager/pathmanager-start.sh",
  "build/udev/pathmanager_id": "usr/lib/udev/pathmanager_id",
  [`${CLUSTER}/fence_pathmanager`]: "usr/sbin/fence_pathmanager",
  [`${CLUSTER}/Unit`]: "usr/lib/ocf/resource.d/pathmanager/Unit",
};

/** Units of systemd's that are always enabled: they only do something where the root is on a unit. */
const STATIC = ["pathmanager-settings.service", "pathmanager-settings.path"] as const;

/** Options of V8 for the daemon, as host/cli/bin/pathmanagerd.js has them. */
const DAEMON_OPTIONS = "--optimize-for-size --max-semi-space-size=4 --max-old-space-size=1024";
export const COMMANDS = [
  { name: "pathctl", folder: "usr/bin", options: "" },
  { name: "spscmd", folder: "usr/bin", options: "" },
  { name: "pathpersist", folder: "usr/sbin", options: "" },
  { name: "pathmanagerd", folder: "usr/sbin", options: `${DAEMON_OPTIONS} ` },
] as const;

const COMPLETIONS = {
  bash: ["pathctl", "pathpersist", "spscmd"].map((name) => `usr/share/bash-completion/completions/${name}`),
  zsh: ["usr/share/zsh/vendor-completions/_pathctl"],
  fish: ["usr/share/fish/vendor_completions.d/pathctl.fish"],
} as const;

/** Runs a program that must succeed; returns its standard output. */
export function output(program: string, args: readonly string[], cwd = root): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8", maxBuffer: 2 ** 26 });
  if (error !== undefined) throw new Error(`cannot run ${program}: ${error.message}`, { cause: error });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with status ${status}: ${stderr}${stdout}`);
  return stdout;
}

export const version = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;

function write(tree: string, file: string, text: string | Uint8Array, mode = 0o644): void {
  const path = join(tree, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
}

/** The program as npm packs it, with the packages it needs. */
function unpackProgram(tree: string): void {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-pack-"));
  try {
    output("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder]);
    const [name = ""] = readdirSync(folder);
    mkdirSync(join(tree, HOME), { recursive: true });
    output("tar", ["-xzf", join(folder, name), "--strip-components=1", "-C", join(tree, HOME)]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  // What only an npm installation needs.
  for (const name of ["docs", "host/build", "host/native", "host/cli/packaging", "CHANGELOG.md", "README.md"]) {
    rmSync(join(tree, HOME, name), { recursive: true, force: true });
  }
  prune(join(tree, HOME, "node_modules"));
}

/** What only developers need of the packages: types, maps, sources, documents. */
function prune(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !path.endsWith("/zod/src")) prune(path);
    else if (entry.isDirectory() || /\.(d\.[cm]?ts|map|md|markdown)$/.test(entry.name))
      rmSync(path, { recursive: true });
  }
}

/** Its own Node, without what only a debugger needs. */
function addNode(tree: string, foreign: Foreign | undefined): void {
  const node = join(tree, HOME, "bin/node");
  mkdirSync(dirname(node), { recursive: true });
  if (foreign !== undefined) {
    write(tree, `${HOME}/bin/node`, readFileSync(foreign.node), 0o755);
    return;
  }
  copyFileSync(join(root, "node_modules/node/bin/node"), node);
  output("strip", ["--strip-all", node]);
  chmodSync(node, 0o755);
}

function addManuals(tree: string): void {
  for (const name of readdirSync(join(root, "docs/man"))) {
    const section = name.slice(name.lastIndexOf(".") + 1);
    const text = readFileSync(join(root, "docs/man", name));
    write(tree, `usr/share/man/man${section}/${name}.gz`, gzipSync(text, { level: 9 }));
  }
}

/** Another architecture's files instead of this one's. */
function putForeign(tree: string, { addon, helper }: Foreign): void {
  const folder = join(tree, HOME, "dist/host/native/prebuilt");
  rmSync(folder, { recursive: true });
  write(tree, `${HOME}/dist/host/native/prebuilt/pathmanager.linux-arm64-gnu.node`, readFileSync(addon));
  write(tree, "usr/lib/udev/pathmanager_id", readFileSync(helper), 0o755);
}

/**
 * Makes the whole tree in an empty folder. What is built must be there: the core, the addon, udev's helper.
 * @param foreign for another architecture than this machine's
 */
export function makeTree(tree: string, foreign?: Foreign): void {
  output(process.execPath, [`${PACKAGING}/package.mjs`]);
  unpackProgram(tree);
  addNode(tree, foreign);
  for (const [from, to] of Object.entries(PLACES)) write(tree, to, readFileSync(join(root, from)));
  for (const [from, to] of Object.entries(PROGRAMS)) write(tree, to, readFileSync(join(root, from)), 0o755);
  for (const name of STATIC) {
    const wants = join(tree, "usr/lib/systemd/system/sysinit.target.wants");
    mkdirSync(wants, { recursive: true });
    symlinkSync(`../${name}`, join(wants, name));
  }
  for (const { name, folder, options } of COMMANDS) {
    const call = `exec /${HOME}/bin/node ${options}/${HOME}/host/cli/bin/${name}.js "$@"`;
    write(tree, `${folder}/${name}`, `#!/bin/sh\n${call}\n`, 0o755);
  }
  if (foreign !== undefined) putForeign(tree, foreign);
  addManuals(tree);
  for (const [shell, files] of Object.entries(COMPLETIONS)) {
    const text = output(process.execPath, ["host/cli/bin/pathctl.js", "completion", shell]);
    for (const file of files) write(tree, file, text);
  }
  cpSync(join(root, "docs"), join(tree, "usr/share/doc/pathmanager/docs"), {
    recursive: true,
    filter: (from) => !from.endsWith("/man"),
  });
}
