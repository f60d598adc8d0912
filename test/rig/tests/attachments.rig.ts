// A unit as a block device of the kernel stays one: over an outage in which the driver gives up connections, and over a
// start of the daemon at which no path is there.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { attempt, type Outcome, run, start } from "../lib/command.ts";
import { readText, writeText } from "../lib/files.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl, statusText } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 4, timeLimitS: 150 };

const CONFIGURATION = `
devices = "all"
marginal.enabled = false
timeouts.no_path_ms = 60000
timeouts.io_ms = 120000
${QUICK_PATROL}`;
/** After so long the driver gives a connection with an unanswered request up; by itself it waits for 30 s. */
const DRIVER_GIVES_UP_MS = 2000;

const array = new LioArray();

function setAll(online: boolean): void {
  for (const name of ["A", "B"] as const) array.setController(name, online);
}

function write(device: string, block: number): Promise<Outcome> {
  writeFileSync("/tmp/block", Buffer.alloc(4096, 1));
  return start("dd", "if=/tmp/block", `of=${device}`, "bs=4096", `seek=${block}`, "oflag=direct", "conv=notrunc");
}

test("several connections: an outage longer than the driver waits leaves the device as it was", async () => {
  afterwards(() => console.log(Daemon.log().trimEnd()));
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  run("node", "host/cli/bin/pathctl.js", "attach", "#0", "/dev/nbd0", "--connections", "2");
  writeText("/sys/block/nbd0/queue/io_timeout", DRIVER_GIVES_UP_MS);
  assert.equal((await write("/dev/nbd0", 0)).status, 0);
  afterwards(() => setAll(true));
  setAll(false);
  const writes = Array.from({ length: 8 }, (_, block) => write("/dev/nbd0", block));
  await setTimeout(6 * DRIVER_GIVES_UP_MS);
  assert.match(run("dmesg"), /nbd0: Connection timed out/, "the driver has given connections up");
  setAll(true);
  for (const outcome of await Promise.all(writes)) assert.equal(outcome.status, 0, outcome.stderr);
  assert.equal((await write("/dev/nbd0", 9)).status, 0);
  mustPathctl("detach", "#0");
});

test("a start without any path: the device is served as soon as there is one", async () => {
  afterwards(() => console.log(Daemon.log().trimEnd()));
  const first = await Daemon.start(CONFIGURATION);
  mustPathctl("attach", "#0", "/dev/nbd1");
  assert.equal((await write("/dev/nbd1", 0)).status, 0);
  assert.match(mustPathctl("show"), /nbd1/);
  await first.kill();
  setAll(false);
  afterwards(() => setAll(true));
  const second = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await second.stop()));
  assert.doesNotMatch(mustPathctl("show"), /nbd1/, "what is not served is not shown as attached");
  const waiting = write("/dev/nbd1", 1);
  await setTimeout(2000);
  setAll(true);
  // The daemon looks at devices that did not answer every 30 s.
  assert.equal((await waiting).status, 0);
  await until("it is shown as attached", () => mustPathctl("show").includes("/dev/nbd1"));
  assert.equal(Number(readText("/sys/block/nbd1/size")) > 0, true);
  mustPathctl("detach", "#0");
  assert.equal(attempt("test", ["-e", "/sys/block/nbd1/pid"]).status, 1);
});

test("a state folder that is read-only keeps neither the daemon from starting nor the device from being served", async () => {
  afterwards(() => console.log(Daemon.log().trimEnd()));
  const state = "/var/lib/pathmanager";
  const first = await Daemon.start(CONFIGURATION);
  mustPathctl("attach", "#0", "/dev/nbd2");
  assert.equal((await write("/dev/nbd2", 0)).status, 0);
  // Killed, so that its journal holds what the file does not have yet.
  await first.kill();
  run("mount", "--bind", state, state);
  afterwards(() => void attempt("umount", [state]));
  run("mount", "-o", "remount,bind,ro", state);
  const second = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await second.stop()));
  assert.equal((await write("/dev/nbd2", 1)).status, 0, "the device goes on");
  assert.match(statusText(), /state\.sqlite cannot be written, nothing can be set: .*EROFS/);
  const refused = attempt("node", ["host/cli/bin/pathctl.js", "unit", "rename", "#0", "other"]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /cannot write the state/);
  run("mount", "-o", "remount,bind,rw", state);
  await until("it can be written again", () => mustPathctl("events").includes(" 644 "));
  mustPathctl("unit", "rename", "#0", "other");
  mustPathctl("detach", "other");
});
