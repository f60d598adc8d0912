// Puts the sources of the kit together: the core as C, the host library, licences, a Makefile. A folder that gcc and make
// build, without Node, Rust or a network.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { readExports } from "../build/core-exports.ts";
import { exportsSource, replaySource } from "./glue.ts";
import { WASM2C_LICENCE, wasmToC } from "./wasm2c.ts";

const root = join(import.meta.dirname, "..", "..");

/** The name the tarball unpacks to. */
export function kitName(): string {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  return `pathmanager-embedded-${version}`;
}

/** Not what cargo built in the checkout. */
const isSource = (from: string): boolean => basename(from) !== "target";

/** Makes `folder` what `from` is. What is the same already stays as it is, with its time, so that make does not compile it again. */
function refresh(folder: string, from: string): void {
  mkdirSync(folder, { recursive: true });
  const wanted = readdirSync(from, { recursive: true, withFileTypes: true });
  const names = new Set(wanted.map((entry) => relative(from, join(entry.parentPath, entry.name))));
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!names.has(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  for (const entry of wanted) {
    const name = relative(from, join(entry.parentPath, entry.name));
    const to = join(folder, name);
    if (entry.isDirectory()) mkdirSync(to, { recursive: true });
    else if (!existsSync(to) || !readFileSync(to).equals(readFileSync(join(from, name)))) cpSync(join(from, name), to);
  }
}

/** @throws Error when wasm2c refuses the core */
export function assembleKit(folder: string): void {
  // Of this process alone: two suites may make the kit at once.
  const made = `${folder}.${process.pid}`;
  rmSync(made, { recursive: true, force: true });
  mkdirSync(join(made, "licences"), { recursive: true });
  cpSync(join(root, "host", "embedding", "c"), made, { recursive: true });
  cpSync(join(root, "host", "embedding", "rust"), join(made, "rust"), { recursive: true, filter: isSource });
  cpSync(join(root, "assembly", "pathmanager_core.h"), join(made, "pathmanager_core.h"));
  cpSync(join(root, "docs", "embedding.md"), join(made, "README.md"));
  cpSync(join(root, "build", "core.small.wasm"), join(made, "core.wasm"));
  wasmToC(made, "core_generated");
  const exports = readExports();
  writeFileSync(join(made, "core_exports.c"), exportsSource(exports));
  writeFileSync(join(made, "replay_exports.h"), replaySource(exports));
  const licences = [
    [join(root, "LICENSE"), "pathmanager-Apache-2.0"],
    [WASM2C_LICENCE, "wasm2c-Apache-2.0"],
  ] as const;
  for (const [from, name] of licences) cpSync(from, join(made, "licences", name));
  writeFileSync(join(made, "VERSION"), `${basename(kitName())}\n`);
  refresh(folder, made);
  rmSync(made, { recursive: true });
}
