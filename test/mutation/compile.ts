// Compiles the core with one mistake in it, within this process: the compiler is warm after the first time.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "assemblyscript/asc";

const root = join(import.meta.dirname, "..", "..");

const ARGUMENTS = (
  "assembly/index.ts --outFile core.wasm --runtime stub --exportStart start --pedantic " +
  "--initialMemory 1 --maximumMemory 65536 --enable simd --optimizeLevel 1"
).split(" ");

/**
 * @param file the source to replace (`assembly/...`), and what takes its place
 * @returns the module, or null when the mistake is none that compiles
 */
export async function compileCore(file: string, text: string): Promise<Uint8Array | null> {
  let module: Uint8Array | null = null;
  const silence = { write: () => undefined };
  const { error } = await main(ARGUMENTS, {
    stdout: silence,
    stderr: silence,
    readFile: (name: string) => {
      if (name === file) return text;
      const path = join(root, name);
      return existsSync(path) ? readFileSync(path, "utf8") : null;
    },
    writeFile: (_name: string, contents: Uint8Array | string) => {
      if (typeof contents !== "string") module = contents;
    },
    listFiles: () => [],
  } as unknown as Parameters<typeof main>[1]);
  return error === null ? module : null;
}
