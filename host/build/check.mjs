// `npm run check`: what to run before a commit. Lint with types, then the unit tests that load a changed file: one that differs from where the
// branch left `main`, or is not committed yet.
//
//   npm run check [-- --all]      --all: every unit test

import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { closureOf, needsOf } from "./needs.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const bin = (name) => join(root, "node_modules", ".bin", name);

function git(...args) {
  const { status, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.split("\n").filter((line) => line !== "") : [];
}

function changedFiles() {
  const base = git("merge-base", "HEAD", "main")[0] ?? "HEAD";
  return [...git("diff", "--name-only", base), ...git("ls-files", "--others", "--exclude-standard")];
}

/** Build products that a changed file goes into, for files that are built before they are loaded. */
const BUILT_OF = { "assembly/": ["core", "core-debug", "bench-core"], "bench/core/": ["bench-core"], "host/native/": ["native"] };

/** The unit tests that load one of these files, or something built from one. */
function testsOf(changed) {
  const parts = new Set(
    Object.entries(BUILT_OF).flatMap(([folder, names]) => (changed.some((file) => file.startsWith(folder)) ? names : [])),
  );
  const files = new Set(changed);
  return globSync("test/unit/**/*.test.ts", { cwd: root }).filter((test) => {
    const closure = closureOf(root, test);
    return closure.some((file) => files.has(file)) || needsOf(root, closure).some((name) => parts.has(name));
  });
}

function step(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

step(bin("node"), ["host/build/lint.mjs"]);
const tests = process.argv.includes("--all") ? [] : testsOf(changedFiles()).toSorted();
if (tests.length === 0 && !process.argv.includes("--all")) console.log("check: no unit test loads what has changed");
else {
  console.log(`check: ${tests.length === 0 ? "every" : tests.length} unit test file${tests.length === 1 ? "" : "s"}`);
  step(bin("node"), ["host/build/ensure.mjs", ...(tests.length === 0 ? [] : ["--for", ...tests])]);
  step(bin("ava"), tests);
}
