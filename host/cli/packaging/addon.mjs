// `npm run build` in an installed package: builds the native addon when the package has no prebuilt one. It needs Rust and
// downloads the crates listed in Cargo.lock; it never runs by itself during installation.

import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../../build/run.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const output = join(root, "dist", "build", "native");

const target = join(root, "dist", "build", "cargo-target");
const args = ["build", "--release", "--locked", "--manifest-path", "host/native/Cargo.toml", "--target-dir", target];
await run("cargo", args, { cwd: root, what: "building the native addon", tool: "cargo" });
mkdirSync(output, { recursive: true });
copyFileSync(join(target, "release", "libpathmanager_native.so"), join(output, "pathmanager.node"));
console.error(`pathmanager: built ${join(output, "pathmanager.node")}`);
