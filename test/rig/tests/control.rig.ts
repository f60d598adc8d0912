// Control is killed and replaced while a file of the kernel's nbd device is written and verified over real sg devices: the kernel
// keeps its connection, the disk devices of the paths stay ours, and the next control knows them all.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { until } from "../../until.ts";
import { attempt } from "../lib/command.ts";
import { verifiedLoad } from "../lib/fio.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, getlun, mustPathctl, pathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 4, memoryMib: 1536, timeLimitS: 240 };

const DEVICE = "/dev/nbd0";
const LOAD_S = 40;

const array = new LioArray();

function controlOf({ pid }: Daemon): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0] ?? 0);
}

/** A control other than `before` serves. */
async function successor(daemon: Daemon, before: number): Promise<void> {
  await until(
    "another control serves",
    () => {
      const now = controlOf(daemon);
      return now !== 0 && now !== before && pathctl("show").status === 0;
    },
    60_000,
  );
}

test("control is killed and replaced under verified load on a kernel device; a path fails meanwhile", async () => {
  const daemon = await Daemon.start('devices = "all"\n');
  afterwards(async () => void (await daemon.stop()));
  afterwards(() => console.log(Daemon.log().trimEnd()));
  mustPathctl("attach", "#0", DEVICE);
  const { sd = "" } = array.devices(0)[0] ?? {};
  assert.notEqual(sd, "");
  const load = verifiedLoad(DEVICE, LOAD_S);

  let before = controlOf(daemon);
  process.kill(before, "SIGKILL");
  // While nobody else is there, the disk device of a path is still ours, and a path fails.
  assert.match(attempt("mkfs.ext4", ["-q", "-F", sd]).stderr, /in use/);
  array.setPath(1, false);
  await successor(daemon, before);
  await until("the failed path is shown", () => /^ X/m.test(getlun()), 60_000);
  array.setPath(1, true);
  assert.match(attempt("mkfs.ext4", ["-q", "-F", sd]).stderr, /in use/);
  assert.match(mustPathctl("show"), /\/dev\/nbd0/);

  before = controlOf(daemon);
  process.kill(daemon.pid, "SIGUSR2");
  await successor(daemon, before);
  assert.equal(getlun().match(/PathNumber=/g)?.length, 4);

  const { status, errors, complaint } = await load;
  assert.equal(status, 0, complaint);
  assert.equal(errors, 0);
  const log = readFileSync("/var/log/pathmanager/spsevent.log", "utf8");
  assert.equal(log.match(/ 666 error /g)?.length, 1, log);
  assert.equal(log.match(/ 667 info /g)?.length, 2, log);
  assert.doesNotMatch(log, / 632 /, "its own commands are not taken for those of an earlier daemon");
  mustPathctl("detach", DEVICE);
});
