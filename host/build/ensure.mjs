// Installs and builds what is missing: dependencies, the core, the native addon. Runs on whatever Node started it (20 or later),
// because on a fresh clone the project's own Node is not there yet.
//
//   node host/build/ensure.mjs [--dependencies-only | --firmware | --for TEST...]
//
// --firmware: also the small core of the embedding kit; --for: only what these test files need
//
// Whether a product is up to date is decided by a digest of its inputs, not by file times: a checkout gives every file the same age.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, run as runIn } from "./run.mjs";

const NODE_MAJOR_MIN = 20;
if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
  const { node } = process.versions;
  fail("building", `Node ${node} is too old; install Node ${NODE_MAJOR_MIN} or later (https://nodejs.org/)`);
}

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

const run = (command, args, what, tool) => runIn(command, args, { cwd: root, what, tool });

/** Runs `make` unless `outputs` exist and were made from the same inputs. */
async function ensure({ name, inputs, outputs, make, hint }) {
  const stamp = join(stamps, name);
  const digest = digestOf(inputs);
  const isMissing = (output) => !existsSync(join(root, output));
  if (!outputs.some(isMissing) && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  console.error(`pathmanager: building ${name}`);
  await make();
  const missing = outputs.find(isMissing);
  if (missing !== undefined) fail(`building ${name}`, `it made no ${missing}${hint === undefined ? "" : `; ${hint}`}`);
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, digest);
}

// In an installed package everything is built but, perhaps, the addon for its platform.
if (!existsSync(join(root, "assembly"))) {
  await run(process.execPath, [join(root, "host/cli/packaging/addon.mjs")], "building the native addon", null);
  process.exit(0);
}

await ensure({
  name: "dependencies",
  inputs: ["package-lock.json"],
  outputs: ["node_modules/.bin/node", "node_modules/.bin/asc"],
  hint: "npm did not run the script of the package `node`: allow scripts (npm config delete ignore-scripts)",
  // Without npm's warnings: they concern the Node that runs npm, not the project's own, which is installed here. And with shorter
  // retries: npm would be silent for minutes when no registry answers.
  make: () => {
    const options = ["--loglevel=error", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"];
    return run("npm", ["ci", "--no-audit", "--no-fund", ...options], "installing the dependencies", "npm");
  },
});

const bin = (name) => join(root, "node_modules", ".bin", name);

const CORE_INPUTS = ["assembly", "asconfig.json", "package-lock.json", "host/build/inline.mjs"];

/** The build products, each with what it is built from and how. */
const BUILDS = {
  core: {
    inputs: CORE_INPUTS,
    outputs: ["build/core.wasm"],
    make: async () => {
      await compile("release");
      await run(bin("node"), ["host/build/inline.mjs", "build/core.wasm"], "optimising the core");
    },
  },
  // The same core optimised for size, for firmware, where a C compiler follows (host/embedding).
  "core-small": {
    inputs: CORE_INPUTS,
    outputs: ["build/core.small.wasm"],
    make: async () => {
      const [file, text] = ["build/core.small.wasm", "build/core.small.wat"];
      await compile("release", ["-o", file, "--textFile", text]);
      await run(bin("node"), ["host/build/inline.mjs", "--small", file, file], "optimising the core for firmware");
    },
  },
  "core-debug": {
    inputs: ["assembly", "asconfig.json", "package-lock.json"],
    outputs: ["build/core.debug.wasm"],
    make: () => compile("debug"),
  },
  // Parts of the core that tests and benches run on their own; each file of bench/core is one module.
  "bench-core": {
    inputs: ["assembly", "bench/core", "package-lock.json", "host/build/inline.mjs"],
    outputs: benchEntries().map(moduleOf),
    make: async () => {
      // With the core's configuration the whole core would be compiled in and optimised as one.
      const options = ["--config", "bench/core/asconfig.json", "--debug"];
      for (const file of benchEntries()) {
        await run(bin("node"), [bin("asc"), file, "-o", moduleOf(file), ...options], `building ${file}`, "asc");
      }
      await run(bin("node"), ["host/build/inline.mjs", ...benchEntries().map(moduleOf)], "optimising the benches' modules");
    },
  },
  // The pages for a browser. The simulator has the core in it.
  pages: {
    inputs: ["host/page", "host/build/page.mjs", "host/array", "host/liaison", "host/reactor", "host/abi.ts", "host/cli/text.ts", ...CORE_INPUTS],
    outputs: ["build/page/page.html", "build/page/simulator.html"],
    make: () => run(bin("node"), ["host/build/page.mjs"], "building the pages"),
  },
  // What udev runs for each disk: in an initramfs there is no C library, so it brings its own.
  "udev-helper": {
    inputs: ["host/udev"],
    outputs: ["build/udev/pathmanager_id"],
    make: () => run(bin("node"), ["host/build/udev.mjs"], "building udev's helper", null),
  },
  native: {
    inputs: ["host/native"],
    outputs: ["build/native/pathmanager.node"],
    make: () => run(bin("node"), ["host/build/native.mjs"], "building the native addon", null),
  },
};

function compile(target, options = []) {
  // With names: they tell the optimiser what is called most.
  const args = [bin("asc"), "--config", "asconfig.json", "--target", target, "--debug", ...options];
  return run(bin("node"), args, `building the core (${target})`, "asc");
}

function benchEntries() {
  return filesUnder("bench/core").filter((file) => file.endsWith(".ts"));
}

function moduleOf(file) {
  return file.replace(/^bench\/core\/(.*)\.ts$/, "build/bench/$1.wasm");
}

/** The builds that the arguments ask for. */
async function wanted([option, ...tests]) {
  if (option === "--dependencies-only") return [];
  if (option === "--firmware") return Object.keys(BUILDS);
  const usual = Object.keys(BUILDS).filter((name) => name !== "core-small");
  if (option !== "--for") return usual;
  const { needsOfTests } = await import("./needs.mjs");
  return needsOfTests(root, tests) ?? usual;
}

const names = await wanted(process.argv.slice(2));
// The compiler of the core uses one processor, that of the addon all.
const ofCargo = ["udev-helper", "native"].filter((name) => names.includes(name));
const afterCore = ["pages"].filter((name) => names.includes(name));
const ofCore = names.filter((name) => !ofCargo.includes(name) && !afterCore.includes(name));
await Promise.all(ofCore.map((name) => ensure({ name, ...BUILDS[name] })));
for (const name of afterCore) await ensure({ name, ...BUILDS[name] });
for (const name of ofCargo) await ensure({ name, ...BUILDS[name] });
