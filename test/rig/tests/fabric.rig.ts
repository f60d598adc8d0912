// Paths named as an administrator knows them, checked, and new devices found by a command: on the kernel's own devices.

import assert from "node:assert/strict";
import { run } from "../lib/command.ts";
import { Daemon, getlun, mustPathctl, pathctl } from "../lib/pathmanager.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 4, memoryMib: 1024, timeLimitS: 240 };

interface View {
  readonly number: string;
  readonly device: string;
  readonly blockDevice: string;
}

let daemon: Daemon;
let paths: readonly View[] = [];

test("a path is named by its number, its disk or its sg device", async () => {
  daemon = await Daemon.start('devices = "all"\n');
  ({ paths } = JSON.parse(mustPathctl("show", "paths", "--json")) as { paths: View[] });
  const [first, second] = paths;
  assert.ok(first !== undefined && second !== undefined);
  assert.match(mustPathctl("path", "disable", first.blockDevice), new RegExp(`^path ${first.number} of #0: standby`));
  assert.match(mustPathctl("path", "enable", first.device), new RegExp(`^path ${first.number} of #0: `));
  assert.match(mustPathctl("path", "disable", `/dev/${second.blockDevice}`), new RegExp(`^path ${second.number} `));
  mustPathctl("path", "enable", second.number);
});

test("a check says that a path answers, and that it is dead; nothing changes by it", () => {
  const { number } = paths[0] ?? { number: "" };
  assert.match(mustPathctl("path", "check", number), /^path \S+ of #0: answers in [^,]+, leads to naa\.\S+\n/);
  run("array", "path", "0", "offline");
  const dead = pathctl("path", "check", number);
  assert.equal(dead.status, 1, dead.stdout + dead.stderr);
  run("array", "path", "0", "online");
});

test("a new unit is found by rescan, and its paths are named", () => {
  const host = paths[0]?.number.split(":")[0] ?? "";
  run("array", "unit", "add", "1");
  const report = mustPathctl("rescan");
  assert.match(report, new RegExp(`^host ${host}: scanned$`, "m"));
  assert.match(report, /^8 paths$/m);
  assert.match(getlun(), /LogicalUnit #1/);
  assert.match(mustPathctl("rescan", host), new RegExp(`^host ${host}: scanned\n8 paths\n$`));
  const wrong = pathctl("rescan", "4711");
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /^pathctl: there is no SCSI host 4711; /);
});

test("four paths over four hosts and two controllers have no single point of failure", async () => {
  assert.match(mustPathctl("show", "arrays"), /^ {2}initiator +host\d+ /m);
  const { stdout } = pathctl("doctor");
  assert.doesNotMatch(stdout, /cabling:/);
  await daemon.stop();
});
