// From Debian's package to a mounted file system, in as many steps as dm-multipath takes: the operator's guide says them, and they are
// typed here as they stand there, with a `y` where setup asks.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { run, type Outcome } from "../rig/lib/command.ts";
import { inside, startSystemd } from "../rig/lib/systemd.ts";
import { test } from "../rig/lib/test.ts";
import { startUdev } from "../rig/lib/udev.ts";
import { packageFile, PACKAGES_FOLDER, project } from "./build.ts";

const GUIDE = `${project}/docs/operators-guide.md`;
/** install, mpathconf --enable, mkfs, mount. */
const STEPS_OF_MULTIPATH = 4;
const FOLDER = `${project}/${PACKAGES_FOLDER}`;

/** The first commands of the guide. */
const steps = (): string[] =>
  /^```sh\n(apt install.*?)```$/ms.exec(readFileSync(GUIDE, "utf8"))?.[1]?.trim().split("\n") ?? [];

/** Types a line at a terminal, and an answer to whatever it asks. */
const typed = (line: string): Outcome =>
  inside("sh", "-c", 'cd "$1" && echo y | script --quiet --return --command "$2" /dev/null', "sh", FOLDER, line);

test("the guide's steps, and nothing else, lead from the package to a mounted file system", async () => {
  startUdev();
  await startSystemd();
  const lines = steps();
  assert.ok(lines.length > 1 && lines.length <= STEPS_OF_MULTIPATH, lines.join("; "));
  assert.ok(lines[0]?.endsWith(`./${basename(packageFile("deb", "own"))}`), "the package that was built");
  for (const line of lines) {
    const { status, stdout, stderr } = typed(line);
    console.log(`$ ${line}\n${stdout.replaceAll("\r", "")}`.trim());
    assert.equal(status, 0, `${line}: ${stdout}${stderr}`);
  }
  assert.match(inside("findmnt", "--noheadings", "--output", "SOURCE", "/mnt").stdout, /^\/dev\/(nbd|ublkb)\d+$/m);
  assert.match(run("/usr/bin/pathctl", "status"), /4 of 4 usable, 1 unit/);
  writeFileSync("/tmp/data", "x".repeat(1 << 20));
  assert.equal(inside("cp", "/tmp/data", "/mnt/data").status, 0);
  assert.equal(inside("umount", "/mnt").status, 0);
});
