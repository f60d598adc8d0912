// Finds names in the core that nobody uses: exports of a file in assembly/ that no other file imports (knip does not read
// AssemblyScript), and constants of the ABI and defaults that neither the core nor any host uses.
//
//   node host/build/exports.ts            names them; exits with status 1 if there are any

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const ABI = "assembly/abi.ts";
const DEFAULTS = "assembly/defaults.ts";
/** Exports of these are the module's own. */
const ENTRIES = new Set(["assembly/index.ts", ...globSync("bench/core/**/*.ts", { cwd: root })]);
/** Generated from the ABI: being named there is no use. */
const VIEWS = new Set([ABI, "host/abi.ts", "host/native/src/abi.rs", "assembly/pathmanager_core.h"]);

const EXPORT = /^export (?:declare )?(?:abstract )?(?:function|class|const|let|type|interface|enum) (\w+)/gm;
const IMPORT = /^(?:import|export)\s*\{([^}]*)\}\s*from\s*"[^"]+"/gm;
const WHOLE = /^import \* as (\w+) from/gm;

const texts = (pattern: string): Map<string, string> =>
  new Map(
    globSync(pattern, { cwd: root, exclude: ["host/native/target/**"] }).map((file) => [
      file,
      readFileSync(join(root, file), "utf8"),
    ]),
  );

const core = new Map([...texts("assembly/**/*.ts"), ...texts("bench/core/**/*.ts")]);
const hosts = new Map([...texts("{host,test,bench}/**/*.ts"), ...texts("host/native/src/**/*.rs")]);

const exportsOf = (text: string): string[] => [...text.matchAll(EXPORT)].map((match) => match[1] ?? "");

/** Every name that a file of the core imports, or uses from a module that it imports as a whole. */
function importedBy(text: string): string[] {
  const single = [...text.matchAll(IMPORT)].flatMap((match) => (match[1] ?? "").split(","));
  const wholes = [...text.matchAll(WHOLE)].map((match) => match[1] ?? "");
  const members = wholes.flatMap((name) => [...text.matchAll(new RegExp(`\\b${name}\\.(\\w+)`, "g"))]);
  return [...single.map((part) => part.trim().split(/\s+as\s+/)[0] ?? ""), ...members.map((match) => match[1] ?? "")];
}

const imported = new Set([...core.values()].flatMap(importedBy));

const words = new Set(
  [...hosts, ...core].filter(([file]) => !VIEWS.has(file)).flatMap(([, text]) => text.match(/\b[A-Z][A-Z0-9_]+\b/g) ?? []),
);

const lines = [...core].flatMap(([file, text]) => {
  if (ENTRIES.has(file)) return [];
  const names = exportsOf(text);
  if (file === ABI) return names.filter((name) => !words.has(name)).map((name) => `${file}: nobody uses ${name}`);
  return names.filter((name) => !imported.has(name)).map((name) => `${file}: nobody imports ${name}`);
});
if (!core.has(DEFAULTS)) lines.push(`${DEFAULTS} is missing`);
for (const line of lines.toSorted()) console.error(`exports: ${line}`);
process.exitCode = lines.length === 0 ? 0 : 1;
