// A ublk device without a daemon, and a daemon without paths: whatever happens, I/O ends with its data or with an error, and nobody hangs.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { until } from "../../until.ts";
import { attempt, run, start } from "../lib/command.ts";
import { writeText } from "../lib/files.ts";
import { ScsiDebug } from "../lib/scsi-debug.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";
import { MS_MAX, nothingIsLeft, readOne, UBLK_DEVICE, UblkProcess, verified, written } from "../lib/ublk-process.ts";

export const rig: Rig = { kernel: "ublk", array: "scsi_debug", units: 1, paths: 4, unitMib: 64, timeLimitS: 7200 };

const FOLDER = "/mnt/ublk";
const PROTECTED = "/sys/module/scsi_debug/parameters/wp";

const paths = (state: "offline" | "running", count = 4): void => {
  for (const { pathNumber } of new ScsiDebug().devices(0).slice(0, count))
    writeText(`/sys/bus/scsi/devices/${pathNumber}/state`, state);
};

async function moreWrites(count: number): Promise<void> {
  const before = written();
  await until(`${count} more writes`, () => written() > before + count || undefined, MS_MAX);
}

test("ext4 under verified load, two of four paths die and return, three kills: 0 errors, fsck clean", async () => {
  run("modprobe", "ublk_drv");
  let server = await UblkProcess.serving();
  run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", UBLK_DEVICE);
  run("mkdir", "-p", FOLDER);
  run("mount", UBLK_DEVICE, FOLDER);
  let isOver = false;
  const loaded = verified(`${FOLDER}/file`, 40, "64k").finally(() => (isOver = true));
  await moreWrites(60);
  for (const way of ["paths die", "all paths", "paths return"]) {
    if (way === "paths die") paths("offline", 2);
    if (way === "paths return") paths("running");
    await moreWrites(20);
    assert.equal(isOver, false, `the load goes on: ${way}`);
    await server.end("SIGKILL");
    server = await UblkProcess.serving(["--resume"]);
  }
  const { status, errors, complaint } = await loaded;
  assert.deepEqual([status, errors], [0, 0], complaint);
  run("umount", FOLDER);
  run("fsck.ext4", "-f", "-n", UBLK_DEVICE);
  await server.detach();
  nothingIsLeft();
});

test("no daemon comes: I/O fails when the dead-connection timeout has passed; one that comes in time has it all", async () => {
  const server = await UblkProcess.serving(["--timeout", "3600"]);
  await server.end("SIGKILL");
  const waiting = readOne();
  const patient = start("node", "host/cli/bin/pathmanagerd.js", "--give-up-devices");
  const next = await UblkProcess.serving(["--resume"]);
  assert.equal((await waiting).status, 0, "the daemon came in time");
  const { status, stderr } = await patient;
  assert.equal(status, 0, stderr);
  assert.match(stderr, /\/dev\/ublkb0 has no daemon; its I\/O waits 3600 s for one/);
  await next.detach();
  const last = await UblkProcess.serving(["--timeout", "2"]);
  await last.end("SIGKILL");
  const lost = readOne();
  const { stderr: said } = await start("node", "host/cli/bin/pathmanagerd.js", "--give-up-devices");
  assert.match(said, /\/dev\/ublkb0 is removed, as no daemon came within 2 s; what waited has failed/);
  assert.notEqual((await lost).status, 0);
  nothingIsLeft();
});

test("no path: detaching ends I/O, and so does stopping; write protection is an error, not a wait", async () => {
  const server = await UblkProcess.serving(["--timeout", "1"]);
  afterwards(() => {
    writeText(PROTECTED, 0);
    paths("running");
  });
  writeText(PROTECTED, 1);
  const refused = attempt("dd", ["if=/dev/zero", `of=${UBLK_DEVICE}`, "bs=4k", "count=1", "oflag=direct"]);
  assert.notEqual(refused.status, 0, "a write to a unit that has become read-only");
  writeText(PROTECTED, 0);
  paths("offline");
  const stopped = readOne();
  await until("it waits", () => /\b[1-9]\d*\s/.test(inFlight()) || undefined, MS_MAX);
  await server.end("SIGTERM");
  const { status } = await start("node", "host/cli/bin/pathmanagerd.js", "--give-up-devices");
  assert.equal(status, 0);
  assert.notEqual((await stopped).status, 0, "stopped while it waited for a path");
  nothingIsLeft();
  paths("running");
  const again = await UblkProcess.serving();
  paths("offline");
  const detached = readOne();
  await until("it waits", () => /\b[1-9]\d*\s/.test(inFlight()) || undefined, MS_MAX);
  await again.detach();
  assert.notEqual((await detached).status, 0, "detached while it waited for a path");
  nothingIsLeft();
});

/** Reads and writes that the device has and has not completed. */
function inFlight(): string {
  return existsSync("/sys/block/ublkb0/inflight") ? readFileSync("/sys/block/ublkb0/inflight", "utf8") : "";
}
