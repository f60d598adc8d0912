// Builds the native addon into build/native/pathmanager.node, and its type definitions beside it.
//
//   node host/build/native.mjs [--types]      --types also writes host/native/addon.d.ts, which is committed
//
// On failure it ends with one sentence that says why.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cannotRun, fail, run, starts } from "./run.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const output = join(root, "build", "native");
mkdirSync(output, { recursive: true });

const cli = join(root, "node_modules", ".bin", "napi");
const args = ["build", "--release", "--no-js", "--cwd", root, "--manifest-path", "host/native/Cargo.toml"];
args.push("--config-path", "host/native/napi.json", "--output-dir", "build/native", "--dts", "addon.d.ts");
// Absolute, because rustc runs in another folder, and the type definitions are collected below this one.
args.push("--target-dir", join(root, "build", "cargo-target"), "--", "--locked");

const what = "building the native addon";
const error = starts("cargo");
if (error !== null) fail(what, cannotRun("cargo", error));
await run(process.execPath, [cli, ...args], { cwd: root, what, tool: "cargo" });

// In the project's format, so that the committed copy passes the formatter and can be compared byte by byte.
const prettier = await import("prettier");
const types = join(output, "addon.d.ts");
const options = await prettier.resolveConfig(join(root, "package.json"));
const generated = readFileSync(types, "utf8").replace("/* eslint-disable */\n", "");
writeFileSync(types, await prettier.format(generated, { ...options, parser: "typescript" }));
if (process.argv.includes("--types")) copyFileSync(types, join(root, "host", "native", "addon.d.ts"));
