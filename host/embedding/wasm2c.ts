// Turns the core into C with wasm2c, which comes along from npm (`wabt` in package.json; package-lock.json has its digest), and
// takes out of the text what the core does not use. It is needed to make the kit, never to build from it.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.resolve("wabt/package.json")));

/** The licence of the tool, and so of what it writes into every text: macros and helpers. */
export const WASM2C_LICENCE = join(folder, "LICENSE");

/**
 * Makes NAME.c and NAME.h of core.wasm in the folder.
 * @throws Error when the tool refuses the core
 */
export function wasmToC(where: string, name: string): void {
  // Named without folders: the tool writes the names into the text.
  const args = [join(folder, "bin", "wasm2c"), "core.wasm", "-n", "core", "-o", `${name}.c`];
  const made = spawnSync(process.execPath, args, { cwd: where, encoding: "utf8" });
  if (made.status !== 0) throw new Error(`wasm2c cannot turn ${where}/core.wasm into C: ${made.stderr.trim()}`);
  const path = join(where, `${name}.c`);
  writeFileSync(path, withOurMemory(withoutUnused(readFileSync(path, "utf8"))));
}

const SIMDE = "#include <simde/wasm/simd128.h>";

/** What a line defines that only WebAssembly's vectors need. */
const helper = (line: string): string | undefined => /^DEFINE_SIMD_\w+\((\w+), /.exec(line)?.[1];

/**
 * The text with our own header of vectors, and without the helpers for vectors that nothing calls: they would want all of
 * WebAssembly's operations, of which the core uses twenty.
 */
function withoutUnused(text: string): string {
  if (!text.includes(SIMDE)) throw new Error(`wasm2c writes another text than it did: "${SIMDE}" is not in it`);
  const lines = text.replace(SIMDE, '#include "core_simd.h"').split("\n");
  const called = new Set<string>();
  for (const line of lines) {
    if (helper(line) !== undefined) continue;
    for (const [, name = ""] of line.matchAll(/\b(\w+?)(?:_default32|_unchecked)?\(/g)) called.add(name);
  }
  return lines
    .filter((line) => {
      const name = helper(line);
      return name === undefined || called.has(name);
    })
    .join("\n");
}

const MEMORY = /^#if WABT_BIG_ENDIAN\n#define MEM_ADDR\(.*\n#else\n#define MEM_ADDR\(.*\n#endif$/m;
const FORCED_READ = /^#define (?:SIMD_)?FORCE_READ(?:_INT|_FLOAT)?\(var\).*\n/gm;

/** The text with our own way to the core's memory: core_memory.h. */
function withOurMemory(text: string): string {
  if (!MEMORY.test(text) || !FORCED_READ.test(text))
    throw new Error("wasm2c writes another text than it did: no MEM_ADDR");
  return text.replace(MEMORY, '#include "core_memory.h"').replace(FORCED_READ, "");
}
