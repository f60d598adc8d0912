// `npm run build` in an installed package: builds the native addon where no prebuilt one came along. It needs Rust, and
// fetches the crates that Cargo.lock names; nothing of this happens by itself at install.

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const output = join(root, "dist", "build", "native");

const target = join(root, "dist", "build", "cargo-target");
const args = ["build", "--release", "--locked", "--manifest-path", "host/native/Cargo.toml", "--target-dir", target];
const result = spawnSync("cargo", args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
if (result.error !== undefined || result.status !== 0) {
  console.error(
    "pathmanager: building the native addon failed; it needs Rust 1.88 or later (https://rustup.rs) and a linker",
  );
  process.exit(1);
}
mkdirSync(output, { recursive: true });
copyFileSync(join(target, "release", "libpathmanager_native.so"), join(output, "pathmanager.node"));
console.error(`pathmanager: built ${join(output, "pathmanager.node")}`);
