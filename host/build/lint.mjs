// Runs every formatter (check only) and linter, all of them even if one complains, and exits with status 1 if any did. Files that have not
// changed since they passed are not checked again, where the tool supports that (build/lint).
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const bin = (name) => join(root, "node_modules", ".bin", name);
const kept = (name) => join("build", "lint", name);
const manifest = ["--manifest-path", "host/native/Cargo.toml"];
const crate = ["--manifest-path", "host/embedding/rust/Cargo.toml"];
const helper = ["--manifest-path", "host/udev/Cargo.toml"];
const cache = ["--cache", "--cache-strategy", "content", "--cache-location", kept("prettier")];
const steps = [
  ["tsc", bin("tsc"), ["--project", "tsconfig.json", "--incremental", "--tsBuildInfoFile", kept("tsc.json")]],
  // Files for a browser have its types.
  ["tsc of the pages", bin("tsc"), ["--project", "host/page", "--incremental", "--tsBuildInfoFile", "../../build/lint/tsc-pages.json"]],
  ["prettier", bin("prettier"), ["--check", ".", ...cache]],
  ["clippy", "cargo", ["clippy", ...manifest, "--all-targets", "--locked", "--", "-D", "warnings"]],
  ["clippy of the embedding kit", "cargo", ["clippy", ...crate, "--all-targets", "--locked", "--", "-D", "warnings"]],
  ["clippy of udev's helper", "cargo", ["clippy", ...helper, "--all-targets", "--locked", "--", "-D", "warnings"]],
  ["oxlint", bin("oxlint"), ["--deny-warnings"]],
  ["knip", bin("knip"), []],
  ["exports of the core", bin("node"), ["host/build/exports.ts"]],
  ["rooms", bin("node"), ["host/build/rooms.ts"]],
  ["a request's life", bin("node"), ["host/build/request-life.ts"]],
  ["ABI views", bin("node"), ["host/build/abi.ts", "--check"]],
  ["cargo fmt", "cargo", ["fmt", ...manifest, "--check"]],
  ["cargo fmt of the embedding kit", "cargo", ["fmt", ...crate, "--check"]],
  ["cargo fmt of udev's helper", "cargo", ["fmt", ...helper, "--check"]],
];

/** Runs a step; its output is printed when it has ended, so that the output of concurrent steps is not mixed. */
async function isGood([name, command, args]) {
  const begin = performance.now();
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const error = await new Promise((resolve) => {
    child.once("error", (thrown) => resolve(thrown.message));
    child.once("close", (status) => resolve(status === 0 ? null : `ended with status ${status}`));
  });
  console.log(`lint: ${name} (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
  if (error !== null) console.error(`${output}lint: ${name}: ${error}`);
  return error === null;
}

mkdirSync(join(root, "build", "lint"), { recursive: true });
const left = [...steps];
const failed = [];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let step = left.shift(); step !== undefined; step = left.shift()) if (!(await isGood(step))) failed.push(step[0]);
  }),
);
if (failed.length > 0) {
  console.error(`lint: ${failed.join(", ")} complained`);
  process.exit(1);
}
