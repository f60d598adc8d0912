// Preloaded into each Node of the virtual machine: takes a source's stripped copy (stripped.ts) where there is one.

import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const project = fileURLToPath(new URL("../..", import.meta.url));

registerHooks({
  load(url, context, next) {
    if (!url.startsWith("file:") || !url.endsWith(".ts")) return next(url, context);
    const file = fileURLToPath(url);
    if (!file.startsWith(project)) return next(url, context);
    try {
      const source = readFileSync(`${project}build/rig/stripped/${file.slice(project.length)}.js`, "utf8");
      return { format: "module", source, shortCircuit: true };
    } catch {
      return next(url, context);
    }
  },
});
