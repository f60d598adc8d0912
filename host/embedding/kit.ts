// Puts the sources of the kit together: the core as C, the host library, licences, a Makefile. A folder that gcc and make
// build, without Node, Rust or a network.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
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

/**
 * @param wasm the core to be put in: the small one, except in tests
 * @throws Error when the tool refuses the core
 */
export function assembleKit(folder: string, wasm = join(root, "build", "core.small.wasm")): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "licences"), { recursive: true });
  cpSync(join(root, "host", "embedding", "c"), folder, { recursive: true });
  cpSync(join(root, "host", "embedding", "rust"), join(folder, "rust"), { recursive: true, filter: isSource });
  cpSync(join(root, "assembly", "pathmanager_core.h"), join(folder, "pathmanager_core.h"));
  cpSync(join(root, "docs", "embedding.md"), join(folder, "README.md"));
  cpSync(wasm, join(folder, "core.wasm"));
  wasmToC(folder, "core_generated");
  const exports = readExports();
  writeFileSync(join(folder, "core_exports.c"), exportsSource(exports));
  writeFileSync(join(folder, "replay_exports.h"), replaySource(exports));
  const licences = [
    [join(root, "LICENSE"), "pathmanager-Apache-2.0"],
    [WASM2C_LICENCE, "wasm2c-Apache-2.0"],
  ] as const;
  for (const [from, name] of licences) cpSync(from, join(folder, "licences", name));
  writeFileSync(join(folder, "VERSION"), `${basename(kitName())}\n`);
}
