// Makes what is missing: dependencies, the core, the native addon. Runs on whatever Node started it (20 or later),
// because on a fresh clone the project's own Node is not there yet.
//
//   node host/build/ensure.mjs [--dependencies-only]
//
// What is there is recognised by a digest of its inputs, not by file times: a checkout gives every file the same age.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const stamps = join(root, "build", "stamps");

/** Every file under `path` (itself, when it is one), sorted, without build products. */
function filesUnder(path) {
  const absolute = join(root, path);
  if (!existsSync(absolute)) return [];
  if (statSync(absolute).isFile()) return [path];
  return readdirSync(absolute)
    .filter((name) => name !== "target" && name !== "node_modules" && !name.endsWith(".node"))
    .sort()
    .flatMap((name) => filesUnder(join(path, name)));
}

function digestOf(inputs) {
  const hash = createHash("sha256");
  for (const file of inputs.flatMap(filesUnder)) hash.update(file).update("\0").update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function run(command, args, what) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], env: process.env });
  if (result.error !== undefined) {
    console.error(`pathmanager: ${what} failed: cannot run ${command}: ${result.error.message}`);
    process.exit(1);
  }
  if (result.status !== 0) {
    console.error(`pathmanager: ${what} failed: ${command} ${args.join(" ")} ended with status ${result.status}`);
    process.exit(1);
  }
}

/** Runs `make` unless `outputs` exist and were made from the same inputs. */
function ensure({ name, inputs, outputs, make }) {
  const stamp = join(stamps, name);
  const digest = digestOf(inputs);
  const present = outputs.every((output) => existsSync(join(root, output)));
  if (present && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  console.error(`pathmanager: building ${name}`);
  make();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, digest);
}

// In an installed package everything is built but, perhaps, the addon for its platform.
if (!existsSync(join(root, "assembly"))) {
  run(process.execPath, [join(root, "host", "cli", "packaging", "addon.mjs")], "building the native addon");
  process.exit(0);
}

ensure({
  name: "dependencies",
  inputs: ["package-lock.json"],
  outputs: ["node_modules/.bin/node", "node_modules/.bin/asc"],
  // Not `npm ci`: it refuses the lock file where a registry does not carry the optional packages of other platforms.
  // This installs the locked versions too, and --no-save leaves the lock file as it is.
  make: () => run("npm", ["install", "--no-save", "--no-audit", "--no-fund"], "installing the dependencies"),
});

const bin = (name) => join(root, "node_modules", ".bin", name);

if (!process.argv.includes("--dependencies-only")) {
  ensure({
    name: "core",
    inputs: ["assembly", "asconfig.json", "package-lock.json", "host/build/inline.mjs"],
    outputs: ["build/core.wasm", "build/core.debug.wasm"],
    make: () => {
      for (const target of ["release", "debug"]) {
        run(bin("node"), [bin("asc"), "--config", "asconfig.json", "--target", target], `building the core (${target})`);
      }
      run(bin("node"), ["host/build/inline.mjs", "build/core.wasm"], "optimising the core");
    },
  });
  // What tests and benches run of the core's modules on their own; each file of bench/core is one module.
  const entries = filesUnder("bench/core").filter((file) => file.endsWith(".ts"));
  const moduleOf = (file) => file.replace(/^bench\/core\/(.*)\.ts$/, "build/bench/$1.wasm");
  ensure({
    name: "bench-core",
    inputs: ["assembly", "bench/core", "package-lock.json", "host/build/inline.mjs"],
    outputs: entries.map(moduleOf),
    make: () => {
      // A configuration of their own: with the core's, the whole core would come along, and be optimized as one.
      const options = ["--config", "bench/core/asconfig.json"];
      for (const file of entries) {
        run(bin("node"), [bin("asc"), file, "-o", moduleOf(file), ...options], `building ${file}`);
      }
      run(bin("node"), ["host/build/inline.mjs", ...entries.map(moduleOf)], "optimising the benches' modules");
    },
  });
  ensure({
    name: "native",
    inputs: ["host/native"],
    outputs: ["build/native/pathmanager.node"],
    make: () => run(bin("node"), ["host/build/native.mjs"], "building the native addon"),
  });
}
