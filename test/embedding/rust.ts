// The Rust crate of the kit, as a firmware maker has it: from the tarball, without a registry of crates.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** @param kit the unpacked tarball */
export function testCrate(kit: string): void {
  const args = ["test", "--quiet", "--offline", "--locked"];
  const { status, stdout, stderr, error } = spawnSync("cargo", args, { cwd: join(kit, "rust"), encoding: "utf8" });
  assert.equal(status, 0, `cargo ${args.join(" ")}: ${error?.message ?? ""}${stdout}${stderr}`);
  const ran = [...stdout.matchAll(/test result: ok\. (\d+) passed; 0 failed; 0 ignored/g)].map(([, count]) =>
    Number(count),
  );
  assert.ok(ran.reduce((all, count) => all + count, 0) >= 6, stdout);
}
