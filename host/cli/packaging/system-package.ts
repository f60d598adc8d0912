// npm run package [-- FOLDER]: makes the packages for this machine's architecture in FOLDER (build/packages): pathmanager_V_ARCH.deb and
// pathmanager-V-1.ARCH.rpm, and the image for containers pathmanager_V_ARCH.oci.tar. The same sources give the same bytes: every time in them
// is that of the last commit.
// --arm64 makes those for arm64 (on x86_64 see cross.ts). For tests:
// --quick leaves them large, --also V makes another pair of the same files that calls itself version V.

import {
  chmodSync,
  copyFileSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { crossBuild } from "./cross.ts";
import { makeImage } from "./image.ts";
import { makeTree, output, version as ownVersion } from "./system-tree.ts";

const SCRIPTS = fileURLToPath(new URL("system", import.meta.url));
const CONFIGURATION = "/etc/pathmanager/pathmanager.toml";
/** Whether the initramfs carries the daemon. */
const DEFAULTS = "/etc/default/pathmanager";
const SUMMARY = "multipath for SCSI: several paths to a logical unit become one block device";
const DESCRIPTION = "Balances I/O over the paths to a disk array, and hides the failure of any of them.";
const STAYS =
  'echo "pathmanager: /etc/pathmanager (configuration), /var/lib/pathmanager (settings, events) and /var/log/pathmanager stay"';

/** A folder may be a place where something is mounted: it is emptied then, and stays. */
const LEFT = 'echo "pathmanager: a folder could not be removed, see above" >&2';

/** Names of this machine's architecture. */
const ARCHITECTURES: Readonly<Record<string, { readonly deb: "amd64" | "arm64"; readonly rpm: string }>> = {
  x64: { deb: "amd64", rpm: "x86_64" },
  arm64: { deb: "arm64", rpm: "aarch64" },
};

const script = (name: string): string => readFileSync(join(SCRIPTS, `${name}.sh`), "utf8");

/** The time of the last commit, in seconds; where there is no repository, that of the sources' latest version does not matter. */
function sourceTime(): number {
  try {
    return Number(output("git", ["log", "-1", "--format=%ct"]));
  } catch {
    return 0;
  }
}

/** Gives everything below a folder one time. */
function setTimes(path: string, seconds: number): void {
  const isFolder = lstatSync(path).isDirectory();
  if (isFolder) for (const name of readdirSync(path)) setTimes(join(path, name), seconds);
  if (isFolder) chmodSync(path, 0o755);
  lutimesSync(path, seconds, seconds);
}

/** The newest version of the C library that a file of the package asks for. */
function libcVersion(files: readonly string[]): string {
  const asked = files.flatMap((file) => readFileSync(file, "latin1").match(/GLIBC_2\.\d+/g) ?? []);
  return `2.${Math.max(...asked.map((name) => Number(name.slice("GLIBC_2.".length))))}`;
}

interface Built {
  /** The files of the package. */
  readonly tree: string;
  readonly folder: string;
  readonly seconds: number;
  readonly libc: string;
  readonly version: string;
  readonly effort: Effort;
}

/** How much work goes into making the files small. Tests that only install them need none. */
interface Effort {
  readonly deb: readonly string[];
  readonly rpm: string;
  readonly isSmallImage: boolean;
}
const SMALL: Effort = { deb: ["-Zxz", "-z1"], rpm: "w1.xzdio", isSmallImage: true };
const QUICK: Effort = { deb: ["-Znone"], rpm: "w1.zstdio", isSmallImage: false };

/** Debian's scripts: what is done once, at the end of a removal or an upgrade, is told apart by the first argument. */
function debianScripts(): Record<string, string> {
  const shell = "#!/bin/sh\nset -e\n";
  const restart =
    "  if systemctl is-active --quiet pathmanagerd.service; then systemctl restart pathmanagerd.service; fi\n";
  return {
    postinst:
      `${shell}[ "$1" = configure ] || exit 0\n${script("after-install")}` +
      `if [ -d /run/systemd/system ]; then\n${restart}  [ -n "$2" ] || systemctl enable pathmanagerd.service\nfi\n`,
    prerm: `${shell}[ "$1" = remove ] || exit 0\n${script("before-removal")}`,
    postrm:
      `${shell}case "$1" in\nremove | purge) ;;\n*) exit 0 ;;\nesac\n${script("after-removal")}` +
      `if [ "$1" = purge ]; then\n  rm -rf /etc/pathmanager /var/lib/pathmanager /var/log/pathmanager /var/cache/pathmanager || ${LEFT}\nelse\n  ${STAYS}\nfi\n`,
  };
}

function makeDeb({ tree, folder, seconds, libc, version, effort }: Built, architecture: string): string {
  const control = join(tree, "DEBIAN");
  mkdirSync(control);
  writeFileSync(join(control, "conffiles"), `${CONFIGURATION}\n${DEFAULTS}\n`);
  const fields = {
    Package: "pathmanager",
    Version: version,
    Architecture: architecture,
    Maintainer: "PathManager developers <pathmanager@localhost>",
    Section: "admin",
    Priority: "optional",
    Depends: `libc6 (>= ${libc}), libstdc++6, libgcc-s1, systemd, udev, kmod`,
    Suggests: "lvm2, nbd-client, python3, fence-agents, pacemaker",
    Description: `${SUMMARY}\n ${DESCRIPTION}`,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  writeFileSync(join(control, "control"), lines.join(""));
  for (const [name, text] of Object.entries(debianScripts())) {
    writeFileSync(join(control, name), text);
    chmodSync(join(control, name), 0o755);
  }
  setTimes(tree, seconds);
  const file = join(folder, `pathmanager_${version}_${architecture}.deb`);
  // One thread: the bytes of several depend on their number.
  output("dpkg-deb", ["--root-owner-group", ...effort.deb, "--threads-max=1", "--build", tree, file]);
  rmSync(control, { recursive: true });
  return file;
}

function specification({ tree, libc, version, effort }: Built): string {
  const upgrade =
    'if [ "$1" -gt 1 ]; then systemctl try-restart pathmanagerd.service || :; else systemctl enable pathmanagerd.service || :; fi';
  return `Name: pathmanager
Version: ${version}
Release: 1
Summary: ${SUMMARY}
License: Apache-2.0
Requires: glibc >= ${libc}, libstdc++, libgcc, systemd, systemd-udev, kmod
AutoReqProv: no
%define _build_id_links none
%define __os_install_post %{nil}
%define _binary_payload ${effort.rpm}
%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define _buildhost localhost
%description
${DESCRIPTION}
%install
cp -a ${tree}/. %{buildroot}/
%post
${script("after-install")}${upgrade}
%preun
[ "$1" = 0 ] || exit 0
${script("before-removal")}
%postun
[ "$1" = 0 ] || exit 0
${script("after-removal")}${STAYS}
%files
%config(noreplace) ${CONFIGURATION}
%config(noreplace) ${DEFAULTS}
/usr/lib/pathmanager
${listed(tree)
  .filter((file) => !file.startsWith("/usr/lib/pathmanager/") && ![CONFIGURATION, DEFAULTS].includes(file))
  .join("\n")}
`;
}

/** Every file of the tree, from its root. */
function listed(tree: string, below = ""): string[] {
  return readdirSync(join(tree, below), { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${below}/${entry.name}`;
      return entry.isDirectory() ? listed(tree, path) : [path];
    });
}

function makeRpm(built: Built, architecture: string): string {
  const work = mkdtempSync(join(tmpdir(), "pathmanager-rpm-"));
  try {
    setTimes(built.tree, built.seconds);
    const file = join(work, "pathmanager.spec");
    writeFileSync(file, specification(built));
    process.env["SOURCE_DATE_EPOCH"] = String(built.seconds);
    output("rpmbuild", ["-bb", "--quiet", "--target", architecture, "--define", `_topdir ${work}`, file]);
    const name = `pathmanager-${built.version}-1.${architecture}.rpm`;
    copyFileSync(join(work, "RPMS", architecture, name), join(built.folder, name));
    return join(built.folder, name);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const said = (file: string): void => console.log(`${file} (${(statSync(file).size / 2 ** 20).toFixed(1)} MiB)`);

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      also: { type: "string" },
      arm64: { type: "boolean", default: false },
    },
  });
  const folder = resolve(positionals[0] ?? "build/packages");
  const isForeign = values.arm64 && process.arch !== "arm64";
  const architecture = ARCHITECTURES[values.arm64 ? "arm64" : process.arch];
  if (architecture === undefined) throw new Error(`there is no package for ${process.arch}`);
  mkdirSync(folder, { recursive: true });
  const tree = mkdtempSync(join(tmpdir(), "pathmanager-tree-"));
  const seconds = sourceTime();
  process.env["SOURCE_DATE_EPOCH"] = String(seconds);
  try {
    makeTree(tree, isForeign ? crossBuild() : undefined);
    const files = listed(tree).map((file) => join(tree, file));
    const libc = libcVersion(files.filter((file) => file.endsWith(".node") || file.endsWith("/bin/node")));
    const effort = values.quick ? QUICK : SMALL;
    for (const version of [ownVersion, values.also].filter((one) => one !== undefined)) {
      const built = { tree, folder, seconds, libc, version, effort };
      said(makeDeb(built, architecture.deb));
      said(makeRpm(built, architecture.rpm));
    }
    const isSmall = effort.isSmallImage;
    const image = { tree, architecture: architecture.deb, isForeign, seconds, version: ownVersion, isSmall };
    said(makeImage(image, folder));
    const node = join(tree, "usr/lib/pathmanager/bin/node");
    console.log(`its own Node is ${(statSync(node).size / 2 ** 20).toFixed(1)} MiB of what it installs`);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

main();
