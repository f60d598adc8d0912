// npm run test:embedding:bare
//
// The guide's first steps, as they are printed, from the tarball in a bare Debian tree: what debootstrap calls minimal, with gcc and make, without
// Node, Rust or a network. Needs root, debootstrap and a mirror of Debian; so it is run before a release only.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { buildSources } from "../../host/embedding/build.ts";
import { installPackages } from "../../host/embedding/packages.ts";

const root = join(import.meta.dirname, "..", "..");
const PACKAGES = ["gcc", "libc6-dev", "make"];

/** The commands of the first block of shell in the guide. */
function firstSteps(): string {
  const block = /^```sh\n(.*?)^```/ms.exec(readFileSync(join(root, "docs", "embedding.md"), "utf8"))?.[1];
  return block ?? assert.fail("docs/embedding.md shows no first steps");
}

function run(command: string, args: readonly string[], stdout: "pipe" | "ignore" = "pipe"): string {
  const done = spawnSync(command, args, {
    encoding: "utf8",
    stdio: ["ignore", stdout, "inherit"],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  assert.equal(done.status, 0, `${command} ${args.join(" ")}: ${done.error?.message ?? ""}${done.stdout ?? ""}`);
  return done.stdout ?? "";
}

if (process.getuid?.() !== 0) {
  console.error("test:embedding:bare: making a Debian tree needs root; run it as root");
  process.exit(2);
}
installPackages([{ package: "debootstrap", program: "debootstrap" }]);
const scratch = mkdtempSync(join(tmpdir(), "pathmanager-bare-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
const tree = join(scratch, "tree");
run("debootstrap", ["--variant=minbase", `--include=${PACKAGES.join(",")}`, "bookworm", tree], "ignore");
const { archive } = buildSources(join(scratch, "kit"));
mkdirSync(join(tree, "kit"));
cpSync(archive, join(tree, "kit", basename(archive)));
for (const program of ["node", "cargo", "python3", "curl"]) {
  assert.notEqual(
    spawnSync("chroot", [tree, "/bin/sh", "-c", `command -v ${program}`]).status,
    0,
    `${program} is there`,
  );
}
const said = run("unshare", ["--net", "chroot", tree, "/bin/sh", "-ec", `cd /kit\n${firstSteps()}`]);
process.stdout.write(said);
assert.match(said, /^\d+ promises, 0 broken$/m);
assert.match(said, /, 0 wrong or failed; 2 paths failed, 2 came back/);
console.log("the guide's first steps do what it says");
