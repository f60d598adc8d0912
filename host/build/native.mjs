// Builds the native addon into build/native/pathmanager.node, and its type definitions beside it.
//
//   node host/build/native.mjs [--types]      --types also writes host/native/addon.d.ts, which is committed
//
// Runs on Node 20 or later: on a fresh clone the project's own Node may not be there yet.

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const output = join(root, "build", "native");
mkdirSync(output, { recursive: true });

const cli = join(root, "node_modules", ".bin", "napi");
const args = ["build", "--release", "--no-js", "--cwd", root, "--manifest-path", "host/native/Cargo.toml"];
args.push("--config-path", "host/native/napi.json", "--output-dir", "build/native", "--dts", "addon.d.ts");
// Absolute: rustc runs in another folder, and the type definitions are collected beneath.
args.push("--target-dir", join(root, "build", "cargo-target"), "--", "--locked");

const result = spawnSync(process.execPath, [cli, ...args], { stdio: ["ignore", "inherit", "inherit"] });
if (result.error !== undefined || result.status !== 0) {
  console.error("pathmanager: building the native addon failed; it needs Rust 1.88 or later (https://rustup.rs)");
  process.exit(1);
}

// In the house's format, so that the committed copy passes the formatter and can be compared byte by byte.
const prettier = await import("prettier");
const types = join(output, "addon.d.ts");
const options = await prettier.resolveConfig(join(root, "package.json"));
const generated = readFileSync(types, "utf8").replace("/* eslint-disable */\n", "");
writeFileSync(types, await prettier.format(generated, { ...options, parser: "typescript" }));
if (process.argv.includes("--types")) copyFileSync(types, join(root, "host", "native", "addon.d.ts"));
