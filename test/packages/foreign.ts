// The packages for arm64, made on x86_64: their programs run under qemu-user, with Debian's libraries for that machine.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPackages } from "./build.ts";

const LIBRARIES = "/usr/aarch64-linux-gnu";
const ADDON =
  "const m = { exports: {} }; process.dlopen(m, process.argv[1]); console.log(process.arch, typeof m.exports.Ring);";

function run(program: string, ...args: readonly string[]): string {
  const done = spawnSync(program, args, { encoding: "utf8" });
  assert.equal(done.status, 0, `${program} ${args.join(" ")}: ${done.error?.message ?? done.stderr + done.stdout}`);
  return done.stdout;
}

const emulated = (...args: readonly string[]): string => run("qemu-aarch64-static", "-L", LIBRARIES, ...args);

/** @returns whether all is as it should be; what is not is printed */
export function arm64(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-arm64-"));
  try {
    const packages = join(folder, "packages");
    buildPackages(packages, "--quick", "--arm64");
    const names = readdirSync(packages).toSorted();
    assert.match(
      names.join(" "),
      /^pathmanager-[\d.]+-1\.aarch64\.rpm pathmanager_[\d.]+_arm64\.deb pathmanager_[\d.]+_arm64\.oci\.tar$/,
    );
    const [rpm = "", deb = ""] = names.map((name) => join(packages, name));
    assert.equal(run("rpm", "--query", "--package", "--queryformat", "%{ARCH}", rpm), "aarch64");
    assert.equal(run("dpkg-deb", "--field", deb, "Architecture").trim(), "arm64");
    const tree = join(folder, "tree");
    run("dpkg-deb", "--extract", deb, tree);
    const home = join(tree, "usr/lib/pathmanager");
    const node = join(home, "bin/node");
    const prebuilt = join(home, "dist/host/native/prebuilt");
    assert.deepEqual(readdirSync(prebuilt), ["pathmanager.linux-arm64-gnu.node"]);
    assert.equal(
      emulated(node, "-e", ADDON, join(prebuilt, "pathmanager.linux-arm64-gnu.node")).trim(),
      "arm64 function",
    );
    assert.match(emulated(node, join(home, "host/cli/bin/pathctl.js"), "--version"), /^\S*\d+\.\d+\.\d+$/m);
    assert.equal(
      run("qemu-aarch64-static", join(tree, "usr/lib/udev/pathmanager_id"), "--list", "--sysfs", folder),
      "",
    );
    console.log("ok - packages for arm64: Node, the addon, pathctl and udev's helper run under emulation");
    return true;
  } catch (thrown) {
    console.error(thrown);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
