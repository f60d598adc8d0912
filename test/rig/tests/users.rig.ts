// Who may do what, with the users and groups of a real system: everyone may look, the group may change.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { run, type Outcome } from "../lib/command.ts";
import { Daemon, getlun, pathctl } from "../lib/pathmanager.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 4, memoryMib: 1024, timeLimitS: 240 };

const NOBODY = 65_534;

/** Runs a program as another user, with no group but those named. */
function as(uid: number, groups: string, program: string, ...args: readonly string[]): Outcome {
  const who = [
    "--reuid",
    String(uid),
    "--regid",
    String(NOBODY),
    groups === "" ? "--clear-groups" : `--groups=${groups}`,
  ];
  const command = [...who, "node", `host/cli/bin/${program}.js`, ...args];
  const { status, stdout, stderr } = spawnSync("setpriv", command, { encoding: "utf8" });
  return { status: status ?? -1, stdout, stderr };
}

let daemon: Daemon;
let number = "";

test("everyone may look: nobody sees the units, the events, the status", async () => {
  run("groupadd", "--force", "--system", "pathmanager");
  daemon = await Daemon.start('devices = "all"\n');
  assert.equal(run("stat", "--format=%G %a", "/run/pathmanager/api.sock").trim(), "pathmanager 660");
  assert.equal(run("stat", "--format=%a", "/run/pathmanager/api-read.sock").trim(), "666");
  for (const args of [["show"], ["events"], ["show", "arrays"], ["config", "show"]]) {
    const { status, stdout, stderr } = as(NOBODY, "", "pathctl", ...args);
    assert.equal(status, 0, `${args.join(" ")}: ${stderr}`);
    assert.notEqual(stdout, "");
  }
  const { status, stdout } = as(NOBODY, "", "spscmd", "-getlun");
  assert.equal(status, 0);
  assert.equal(stdout, getlun());
  number = /PathNumber=(\S+)/.exec(stdout)?.[1] ?? "";
});

test("nobody may change anything, and hears why", () => {
  const before = getlun();
  const { status, stderr } = as(NOBODY, "", "pathctl", "path", "disable", number);
  assert.equal(status, 1);
  assert.match(stderr, /^pathctl: .*user 65534 may look, not change; .*a member of the group pathmanager[^\n]*\n$/);
  const other = as(NOBODY, "", "spscmd", "-notavail", number);
  assert.equal(other.status, 1);
  assert.match(other.stderr, /user 65534 may look, not change/);
  assert.equal(getlun(), before);
});

test("a member of the group may, and the event log says who it was", () => {
  const group = run("getent", "group", "pathmanager").split(":")[2] ?? "";
  const uid = 4711;
  const { status, stderr } = as(uid, group, "pathctl", "path", "disable", number);
  assert.equal(status, 0, stderr);
  assert.match(getlun(), /^ @/m);
  assert.equal(as(0, "", "pathctl", "path", "enable", number).status, 0);
  const told = pathctl("events", "--by", String(uid)).stdout;
  assert.match(told, /275 {2}Effectiveness was changed: .*enabled false, by uid 4711/);
  assert.doesNotMatch(told, /enabled true/);
  assert.match(pathctl("events", "--by", "root").stdout, /enabled true, by uid 0/);
  assert.match(run("cat", "/var/log/pathmanager/spsevent.log"), /275 info Effectiveness was changed.*by uid 4711/);
});

test("without the socket for readers only the group may look", async () => {
  await daemon.stop();
  daemon = await Daemon.start('devices = "all"\nsockets.everyone_reads = false\n');
  assert.equal(existsSync("/run/pathmanager/api-read.sock"), false);
  const { status, stderr } = as(NOBODY, "", "pathctl", "show");
  assert.equal(status, 1);
  assert.match(stderr, /no permission to use \/run\/pathmanager\/api\.sock/);
  await daemon.stop();
});
