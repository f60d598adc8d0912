// Debian's package as an administrator uses it, with the real dpkg and systemd: install, one edited line, start, mount; upgrade under
// load; remove.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { attempt, run, start, type Outcome } from "../rig/lib/command.ts";
import { inside, insideBeside, journal, processesOf, startSystemd, systemctl } from "../rig/lib/systemd.ts";
import { test } from "../rig/lib/test.ts";
import { packageFile } from "./build.ts";

const SERVICE = "pathmanagerd.service";
const FILE = "/etc/pathmanager/pathmanager.toml";
const DEVICE = "/dev/nbd0";
const FOLDER = "/mnt/unit";
/** Without this, each of some thousand files is written through, which only takes time in the guest's memory. */
const QUICK = "--force-unsafe-io";

function must({ status, stdout, stderr }: Outcome): string {
  assert.equal(status, 0, `${stderr}${stdout}\n${journal(SERVICE)}`);
  return stdout;
}

const pathctl = (...args: readonly string[]): string => run("/usr/bin/pathctl", ...args);

test("installed, one line edited, started: it serves, with a Node of its own", async () => {
  await startSystemd();
  must(inside("dpkg", QUICK, "--install", packageFile("deb", "own")));
  assert.match(run("getent", "group", "pathmanager"), /^pathmanager:/);
  const before = readFileSync(FILE, "utf8");
  const after = before.replace("devices = []", 'devices = "all"');
  assert.notEqual(after, before);
  writeFileSync(FILE, after);
  must(systemctl("start", SERVICE));
  assert.match(pathctl("status"), /4 of 4 usable, 1 unit/);
  const [pid = 0] = processesOf(SERVICE);
  assert.equal(run("readlink", `/proc/${pid}/exe`).trim(), "/usr/lib/pathmanager/bin/node");
  assert.equal(systemctl("is-enabled", SERVICE).stdout.trim(), "enabled");
  assert.match(run("cat", "/etc/pathmanager/units"), /^naa\./m);
});

test("a file system on it, and a newer package put in under verified load: no error", async () => {
  pathctl("attach", "0", DEVICE);
  run("mkfs.ext4", "-q", DEVICE);
  mkdirSync(FOLDER, { recursive: true });
  run("mount", DEVICE, FOLDER);
  const load = ["--name=load", `--filename=${FOLDER}/data`, "--size=8M", "--rw=randwrite", "--bs=4k", "--direct=1"];
  const upgrade = { isOver: false };
  const fio = (async (): Promise<Outcome> => {
    for (;;) {
      const { isOver } = upgrade;
      const last = await start("fio", ...load, "--ioengine=psync", "--verify=crc32c", "--verify_fatal=1");
      if (last.status !== 0 || isOver) return last;
    }
  })();
  const [before] = processesOf(SERVICE);
  must(await insideBeside("dpkg", QUICK, "--install", packageFile("deb", "newer")));
  assert.notEqual(processesOf(SERVICE)[0], before, "the new daemon runs");
  assert.match(readFileSync(FILE, "utf8"), /devices = "all"/, "what was edited stays");
  upgrade.isOver = true;
  const { status, stdout, stderr } = await fio;
  assert.equal(status, 0, stdout + stderr);
});

test("it is not removed while a device is in use; then it goes, leaves the data, and says so", () => {
  const refused = inside("dpkg", "--remove", "pathmanager");
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /\/dev\/nbd0 is still attached/);
  run("umount", FOLDER);
  pathctl("detach", "0");
  const said = must(inside("dpkg", "--remove", "pathmanager"));
  assert.match(said, /\/var\/lib\/pathmanager \(settings, events\).* stay/);
  assert.equal(existsSync(FILE), true);
  assert.equal(existsSync("/var/lib/pathmanager/state.sqlite"), true);
  assert.equal(existsSync("/etc/pathmanager/units"), false, "the paths are disks again");
  assert.equal(existsSync("/usr/bin/pathctl"), false);
  assert.notEqual(systemctl("is-active", SERVICE).stdout.trim(), "active");
  must(inside("dpkg", "--purge", "pathmanager"));
  assert.equal(existsSync(FILE), false);
  assert.equal(attempt("pgrep", ["-f", "/usr/lib/pathmanager/bin/node"]).status, 1);
});
