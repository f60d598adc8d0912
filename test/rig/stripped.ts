// The sources without their types, for the virtual machine: Node strips them by a program in WebAssembly, whose compilation takes ten
// seconds there.

import { globSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join } from "node:path";

/** Where a source's stripped copy lies below the project's folder; `stripped-hook.mjs` knows it, too. */
const FOLDER = join("build", "rig", "stripped");

const changedMs = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Strips what has changed since the last time. */
export function ensureStripped(project: string): void {
  const sources = globSync(["host/**/*.ts", "test/rig/**/*.ts", "test/*.ts"], { cwd: project });
  for (const source of sources) {
    if (source.endsWith(".d.ts")) continue;
    const from = join(project, source);
    const to = join(project, FOLDER, `${source}.js`);
    if (changedMs(to) > changedMs(from)) continue;
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, stripTypeScriptTypes(readFileSync(from, "utf8")));
  }
}
