// Runs every formatter (checking only) and linter, all of them even when one complains, and ends with status 1 if any did.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const bin = (name) => join(root, "node_modules", ".bin", name);
const manifest = ["--manifest-path", "host/native/Cargo.toml"];
const steps = [
  ["prettier", bin("prettier"), ["--check", "."]],
  ["oxlint", bin("oxlint"), ["--deny-warnings"]],
  ["tsc", bin("tsc"), ["--project", "tsconfig.json"]],
  ["rooms", bin("node"), ["host/build/rooms.ts"]],
  ["ABI views", bin("node"), ["host/build/abi.ts", "--check"]],
  ["cargo fmt", "cargo", ["fmt", ...manifest, "--check"]],
  ["clippy", "cargo", ["clippy", ...manifest, "--all-targets", "--locked", "--", "-D", "warnings"]],
];

const failed = steps.filter(([name, command, args]) => {
  console.log(`lint: ${name}`);
  return spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] }).status !== 0;
});
if (failed.length > 0) {
  console.error(`lint: ${failed.map(([name]) => name).join(", ")} complained`);
  process.exit(1);
}
