// What has to be built for given test files: found in the text of the files they import, directly or indirectly. Runs on Node 20 or
// later, before anything is installed.

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

/** Names in a file's text, and what has to be built before that file can be loaded. */
const NEEDS = [
  [/core\.debug\.wasm/, "core-debug"],
  [/\bcore\.wasm/, "core"],
  [/build\/bench\b/, "bench-core"],
  [/pathmanager\.node/, "native"],
  [/build\/page\/\w+\.html/, "pages"],
  [/pathmanager_id/, "udev-helper"],
];
/** A program that a test starts may load any of these: its names do not show which. */
const STARTS = /"node:child_process"/;
const OF_PROGRAMS = ["core", "native"];

/** Any text that looks like the name of a source file; the variable parts of a template match anything. */
const NAMED = /["'`]([^"'`\n]*\.(?:ts|mjs|js))["'`]/g;

const isFile = (path) => existsSync(path) && statSync(path).isFile();

/** The files that a name may mean, to a file in `folder`. */
function filesOf(name, folder) {
  if (!name.includes("${")) return isFile(join(folder, name)) ? [normalize(join(folder, name))] : [];
  const parent = join(folder, dirname(name));
  if (parent.includes("${") || !existsSync(parent)) return [];
  const [before, after] = [name.slice(0, name.indexOf("${")), name.slice(name.lastIndexOf("}") + 1)];
  const start = before.slice(before.lastIndexOf("/") + 1);
  const names = readdirSync(parent).filter((file) => file.startsWith(start) && file.endsWith(after));
  return names.map((file) => normalize(join(parent, file)));
}

/** Everything that `file` may load according to the names in it, itself included; paths from `root`. */
export function closureOf(root, file) {
  const seen = new Set();
  const left = [normalize(join(root, file))];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    if (seen.has(at) || at.includes("node_modules") || !at.startsWith(root)) continue;
    seen.add(at);
    const names = [...readFileSync(at, "utf8").matchAll(NAMED)].map((match) => match[1] ?? "");
    left.push(...names.flatMap((name) => [...filesOf(name, dirname(at)), ...filesOf(name, root)]));
  }
  return [...seen].map((path) => relative(root, path));
}

/** Names of what has to be built before these files can be loaded. */
export function needsOf(root, files) {
  const needs = new Set();
  for (const file of files) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [pattern, name] of NEEDS) if (pattern.test(text)) needs.add(name);
    if (file.startsWith("test/") && STARTS.test(text)) for (const name of OF_PROGRAMS) needs.add(name);
  }
  return [...needs];
}

/**
 * What `npm test -- ARGS` needs.
 * @returns null if no file is named: everything
 */
export function needsOfTests(root, args) {
  const files = args.filter((arg) => arg.endsWith(".test.ts") && isFile(join(root, arg)));
  if (files.length === 0 || args.some((arg) => !arg.startsWith("-") && arg.endsWith(".ts") && !files.includes(arg))) return null;
  return needsOf(root, [...new Set(files.flatMap((file) => closureOf(root, file)))]);
}
