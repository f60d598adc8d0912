// While a path is ours, nobody uses the kernel's own disk device of it; when it is not, it is free at once.

import assert from "node:assert/strict";
import { until } from "../../until.ts";
import { attempt, run } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, getlun } from "../lib/pathmanager.ts";
import { deleteDevice } from "../lib/scsi.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 2, timeLimitS: 150, isEssential: true };

const CONFIGURATION = 'devices = "all"\npolicy = "static"\n';
const FOLDER = "/mnt/claims";
const array = new LioArray();

const mount = (device: string) => attempt("mount", [device, FOLDER]);
const isShown = (pathNumber: string): boolean => getlun().includes(`PathNumber=${pathNumber}\n`);

async function start(): Promise<Daemon> {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  return daemon;
}

test("the disk device of a path cannot be mounted, formatted or mapped while the path is ours, and can be afterwards", async () => {
  const { sd } = array.disk(0, 0);
  run("mkdir", "-p", FOLDER);
  run("mkfs.ext4", "-q", sd);
  const daemon = await start();
  assert.notEqual(mount(sd).status, 0);
  assert.match(attempt("mkfs.ext4", ["-q", "-F", sd]).stderr, /in use/);
  assert.equal((await daemon.stop()).status, 0);
  assert.equal(mount(sd).status, 0);
  run("umount", FOLDER);
});

test("a device that is deleted goes at once, comes back, and is held again", async () => {
  await start();
  const { sd, pathNumber } = array.disk(1, 1);
  deleteDevice(pathNumber);
  await until("the path is removed", () => !isShown(pathNumber));
  // The array shows the unit on this path anew. The name is free for it, because nobody holds the old device.
  array.remap(1, 1, 1);
  await until("the path is back", () => isShown(pathNumber));
  assert.equal(array.disk(1, 1).sd, sd);
  await until("it is held", () => mount(sd).stderr.includes("busy"));
});
