// Compiles the core, and the modules that tests and benches make of parts of it, from sources that are changed in memory.
// Within this process: the compiler is warm after the first time.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "assemblyscript/asc";

const root = join(import.meta.dirname, "..", "..");

/** What instrumented sources import: see `runtime.ts`. It exists in memory only, as if it lay beside the core. */
export const RUNTIME_FILE = "assembly/instrument.ts";

/** A module that tests load: where it lies, and what it is compiled from. */
export interface Module {
  readonly built: string;
  readonly entry: string;
  /** Its exported start function. */
  readonly start: string;
}

export const modules: readonly Module[] = [
  { built: "build/core.wasm", entry: "assembly/index.ts", start: "start" },
  { built: "build/bench/selection.wasm", entry: "bench/core/selection.ts", start: "prepare" },
  { built: "build/bench/statistics.wasm", entry: "bench/core/statistics.ts", start: "prepare" },
];

/** Where the compiler found something wrong. */
export interface Complaint {
  readonly message: string;
  readonly file: string;
  readonly start: number;
}

export type Compiled =
  { readonly wasm: Uint8Array; readonly complaints: null } | { readonly wasm: null; readonly complaints: Complaint[] };

interface Diagnostic {
  readonly message: string;
  readonly category: number;
  readonly range: { readonly start: number; readonly source: { readonly normalizedPath: string } | null } | null;
}

const CATEGORY_ERROR = 3;

/** The compiler keeps things between its steps: it does one thing at a time. */
let last: Promise<unknown> = Promise.resolve();

/**
 * @param changed sources that take the place of files, by their names (`assembly/...`)
 * @param optimize 0 compiles three times faster, 1 makes what runs faster
 */
export function compile(module: Module, changed: ReadonlyMap<string, string>, optimize: 0 | 1): Promise<Compiled> {
  const compiled = last.then(() => compileNow(module, changed, optimize));
  last = compiled.catch(() => undefined);
  return compiled;
}

async function compileNow(
  { entry, start }: Module,
  changed: ReadonlyMap<string, string>,
  optimize: 0 | 1,
): Promise<Compiled> {
  const complaints: Complaint[] = [];
  let wasm: Uint8Array | null = null;
  const silence = { write: () => undefined };
  const entries = changed.has(RUNTIME_FILE) ? [entry, RUNTIME_FILE] : [entry];
  const options =
    `--outFile core.wasm --runtime stub --exportStart ${start} --pedantic --initialMemory 4 --maximumMemory 65536 ` +
    `--enable simd --optimizeLevel ${optimize} --shrinkLevel 0 --config none`;
  const { error } = await main([...entries, ...options.split(" ")], {
    stdout: silence,
    stderr: silence,
    readFile: (name: string) => {
      const text = changed.get(name);
      if (text !== undefined) return text;
      const path = join(root, name);
      return existsSync(path) ? readFileSync(path, "utf8") : null;
    },
    writeFile: (_name: string, contents: Uint8Array | string) => {
      if (typeof contents !== "string") wasm = contents;
    },
    listFiles: () => [],
    reportDiagnostic: ({ message, category, range }: Diagnostic) => {
      if (category !== CATEGORY_ERROR) return;
      complaints.push({ message, file: range?.source?.normalizedPath ?? "", start: range?.start ?? 0 });
    },
  } as unknown as Parameters<typeof main>[1]);
  if (error === null && wasm !== null) return { wasm, complaints: null };
  if (complaints.length === 0) complaints.push({ message: String(error), file: "", start: 0 });
  return { wasm: null, complaints };
}
