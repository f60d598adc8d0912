// Builds udev's helper (host/udev) into build/udev/pathmanager_id: one static program, so that it runs in any initramfs.

import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cannotRun, fail, run, starts } from "./run.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const output = join(root, "build", "udev");

const what = "building udev's helper";
const error = starts("cargo");
if (error !== null) fail(what, cannotRun("cargo", error));
process.env.RUSTFLAGS = "-C target-feature=+crt-static";
const target = join(root, "build", "cargo-udev");
const args = ["build", "--release", "--locked", "--manifest-path", "host/udev/Cargo.toml", "--target-dir", target];
await run("cargo", args, { cwd: root, what, tool: "cargo" });
mkdirSync(output, { recursive: true });
copyFileSync(join(target, "release", "pathmanager_id"), join(output, "pathmanager_id"));
