// The rig's kernel: Debian's linux.uml, its modules, and the preloaded wrapper that it needs on newer processors.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "./packages.ts";

/** Another folder is for tests of the rig itself, whose kernel is a script. */
const MODULES = process.env["RIG_MODULES_FOLDER"] ?? "/usr/lib/uml/modules";

/** The wrapper around ptrace (uml-xstate.c), compiled into build/ if it is missing or its source has changed. */
export function ensureWrapper(project: string): string {
  const source = join(project, "test", "rig", "uml-xstate.c");
  const folder = join(project, "build", "rig");
  const library = join(folder, "uml-xstate.so");
  const stamp = join(folder, "uml-xstate.digest");
  const digest = createHash("sha256").update(readFileSync(source)).digest("hex");
  if (existsSync(library) && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return library;
  mkdirSync(folder, { recursive: true });
  // Two rigs that start at once must not load a partly written library: it is written under another name, then moved.
  const made = `${library}.${process.pid}`;
  const compiler = findProgram("cc") ?? "cc";
  const result = spawnSync(compiler, ["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", made, source], {
    encoding: "utf8",
  });
  if (result.status !== 0) throw new Error(`rig: cannot compile ${source}: ${result.stderr}`);
  renameSync(made, library);
  writeFileSync(stamp, digest);
  return library;
}

/** The folder of the kernel's modules, with an index for modprobe. */
export function ensureModules(): string {
  const versions = existsSync(MODULES) ? readdirSync(MODULES) : [];
  const version = versions.toSorted().at(-1);
  if (version === undefined)
    throw new Error(`rig: no kernel modules in ${MODULES} (install the package user-mode-linux again)`);
  const folder = join(MODULES, version);
  if (!existsSync(join(folder, "modules.dep.bin"))) {
    throw new Error(`rig: ${folder} has no index (make it: sudo depmod -b ${MODULES} ${version}, see docs/rig.md)`);
  }
  return folder;
}
