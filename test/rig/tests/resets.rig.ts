// A device that stays silent may not even answer a reset; then the ioctl does not return, and no signal ends the process that waits for it. The
// daemon ends all the same, and the next one serves.

import assert from "node:assert/strict";
import { until } from "../../until.ts";
import { attempt, type Outcome, run, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio-mapped", paths: 4, timeLimitS: 240 };

const DEVICE = "/dev/nbd0";
const SILENT = 3;
const CONFIGURATION = 'devices = "all"\npolicy = "static"\ntimeouts.orphan_reset_ms = 2000\n';

const array = new LioArray();
const isResetting = (): boolean => attempt("pgrep", ["-f", "^@pathmanager-reset"]).status === 0;
const read = (): string => run("dd", `if=${DEVICE}`, "of=/dev/null", "bs=4096", "count=1", "iflag=direct");
/** The second one waits for what the silent path has of the first. */
const writeTwice = (): Promise<Outcome>[] =>
  [1, 2].map(() => start("dd", "if=/dev/zero", `of=${DEVICE}`, "bs=4096", "count=1", "oflag=direct", "conv=notrunc"));

test("a reset that does not return keeps no daemon from ending, and no other one from serving", async () => {
  afterwards(() => array.answerPath(SILENT, true));
  afterwards(() => console.log(Daemon.log().trimEnd()));
  array.setAlua("B", "optimized");
  const first = await Daemon.start(CONFIGURATION);
  mustPathctl("attach", "#0", DEVICE);
  read();
  array.answerPath(SILENT, false);
  const writes = writeTwice();
  await until("the silent path is being reset", isResetting, 120_000);
  const { status } = await first.stop();
  assert.equal(status, 0);
  assert.ok(isResetting(), "it has not waited for it");
  const second = await Daemon.start(CONFIGURATION);
  read();
  assert.ok(isResetting(), "neither has this one");
  array.answerPath(SILENT, true);
  await until("the reset has returned", () => !isResetting(), 60_000);
  for (const write of writes) assert.equal((await write).status, 0);
  assert.equal((await second.stop()).status, 0);
});
