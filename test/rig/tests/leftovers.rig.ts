// A daemon is killed while a silent path has a write of it. The kernel ends no command when a descriptor is closed: that
// write is carried out whenever the path answers, and must not replace what the next daemon has acknowledged.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { until } from "../../until.ts";
import { type Outcome, run, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, getlun, mustPathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio-mapped", paths: 4, timeLimitS: 150, isEssential: true };

const DEVICE = "/dev/nbd0";
const BYTES = 4096;
/** The path in use; its write is the one that is late. */
const SILENT = 3;
const CONFIGURATION = 'devices = "all"\npolicy = "static"\n';

const array = new LioArray();

/** Writes the first block, full of one byte. */
function write(byte: number): Promise<Outcome> {
  const file = `/tmp/block-${byte}`;
  writeFileSync(file, Buffer.alloc(BYTES, byte));
  return start("dd", `if=${file}`, `of=${DEVICE}`, `bs=${BYTES}`, "count=1", "oflag=direct", "conv=notrunc");
}

/** The first byte of the unit as a path shows it. */
function byteOn(path: number): string {
  const device = array.devices(0).find(({ host }) => host === array.path(path).host);
  assert.ok(device !== undefined);
  return run("sh", "-c", `sg_dd if=${device.sg} bs=512 count=1 2>/dev/null | od -An -tx1 -N1`).trim();
}

test("what a killed daemon left on a silent path does not replace what the next one has acknowledged", async () => {
  afterwards(() => array.answerPath(SILENT, true));
  afterwards(() => console.log(Daemon.log().trimEnd()));
  array.setAlua("B", "optimized");
  const first = await Daemon.start(CONFIGURATION);
  mustPathctl("attach", "#0", DEVICE);
  assert.match(getlun(), new RegExp(`^>.*PathNumber=${array.path(SILENT).host}:`, "m"));
  // The kernel reads a new device for partitions when it is first opened; that shall not be what finds the path silent.
  assert.equal((await write(0x00)).status, 0);
  array.answerPath(SILENT, false);
  // The silent path has it, and another one has carried it out.
  assert.equal((await write(0x11)).status, 0);
  await first.kill();
  await Daemon.start(CONFIGURATION);
  // It finds the path silent by a read of another block, so that the next write does not line up behind the first.
  run("dd", `if=${DEVICE}`, "of=/dev/null", `bs=${BYTES}`, "skip=64", "count=1", "iflag=direct");

  const second = write(0x22);
  let isAnswered = false;
  void second.then(() => (isAnswered = true));
  await setTimeout(4000);
  array.answerPath(SILENT, true);
  await until("the second write is answered", () => isAnswered, 60_000);
  assert.equal((await second).status, 0);
  await until("nothing is under way any more", () => !/ act: /.test(run("cat", "/proc/scsi/sg/debug")));
  for (const path of array.paths()) assert.equal(byteOn(path.number), "22", `path ${path.number}`);
  // It was not luck.
  const events = mustPathctl("events");
  assert.match(events, /Commands of an earlier daemon are still in flight/);
  assert.match(events, /Commands of an earlier daemon have ended/);
});

test("a daemon that left nothing holds nothing up", async () => {
  assert.equal((await write(0x33)).status, 0);
  assert.equal(byteOn(0), "33");
  assert.equal(mustPathctl("events").match(/still in flight/g)?.length, 1);
});
