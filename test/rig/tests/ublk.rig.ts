// The ublk front end against the kernel's driver, over four real sg paths: data, recovery after kill -9, and every way a device ends.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { until } from "../../until.ts";
import { run, start } from "../lib/command.ts";
import { ScsiDebug } from "../lib/scsi-debug.ts";
import { writeText } from "../lib/files.ts";
import { test, type Rig } from "../lib/test.ts";
import { MS_MAX, UBLK_DEVICE, UblkProcess, verified, written } from "../lib/ublk-process.ts";

export const rig: Rig = { kernel: "ublk", array: "scsi_debug", units: 1, paths: 4, unitMib: 64, timeLimitS: 2400 };

const FOLDER = "/mnt/ublk";

const queue = (name: string): string => readFileSync(`/sys/block/ublkb0/queue/${name}`, "utf8").trim();

test("a unit is a block device with its limits; whatever is written is read back, discarded and zeroed", async () => {
  run("modprobe", "ublk_drv");
  const server = await UblkProcess.serving();
  assert.deepEqual(
    ["logical_block_size", "physical_block_size", "optimal_io_size", "max_hw_sectors_kb", "write_cache", "fua"].map(
      queue,
    ),
    ["512", "4096", "65536", "1024", "write back", "1"],
  );
  const { status, errors, complaint } = await verified(UBLK_DEVICE, 4);
  assert.deepEqual([status, errors], [0, 0], complaint);
  run("blkdiscard", "-z", "-o", "0", "-l", "1M", UBLK_DEVICE);
  run("blkdiscard", "-o", "1M", "-l", "1M", UBLK_DEVICE);
  run("cmp", "-n", "2097152", "/dev/zero", UBLK_DEVICE);
  await server.detach();
  assert.ok(!existsSync(UBLK_DEVICE) && !existsSync("/dev/ublkc0"), "nothing is left of the device");
});

test("ext4 under verified load: two of four paths die and return, the server is killed and taken over from, 0 errors", async () => {
  let server = await UblkProcess.serving();
  run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", UBLK_DEVICE);
  run("mkdir", "-p", FOLDER);
  run("mount", UBLK_DEVICE, FOLDER);
  let isOver = false;
  const before = written();
  const loaded = verified(`${FOLDER}/file`, 16).finally(() => (isOver = true));
  await until("the load writes", () => written() > before + 100 || undefined, MS_MAX);
  const devices = new ScsiDebug().devices(0).slice(0, 2);
  const state = (text: "offline" | "running"): void => {
    for (const { pathNumber } of devices) writeText(`/sys/bus/scsi/devices/${pathNumber}/state`, text);
  };
  state("offline");
  const meanwhile = written();
  await until("it writes over the other paths", () => written() > meanwhile + 50 || undefined, MS_MAX);
  state("running");
  assert.equal(isOver, false, "the load goes on");
  await server.end("SIGKILL");
  server = await UblkProcess.serving(["--resume"]);
  const { status, errors, complaint } = await loaded;
  assert.deepEqual([status, errors], [0, 0], complaint);
  run("umount", FOLDER);
  run("fsck.ext4", "-f", "-n", UBLK_DEVICE);
  await server.detach();
});

test("a device is taken over once and twice with the I/O that waits for it, and leaves nothing behind", async () => {
  const server = await UblkProcess.serving();
  await server.end("SIGKILL");
  const read = start("dd", `if=${UBLK_DEVICE}`, "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
  const next = await UblkProcess.serving(["--resume"]);
  assert.equal((await read).status, 0, "the request that waited is answered");
  await next.end("SIGKILL");
  const third = await UblkProcess.serving(["--resume"]);
  await third.detach();
  assert.ok(!existsSync(UBLK_DEVICE), "nothing is left of the device");
});

test("the thread that serves a device ends, its process goes on: the next thread takes it over with its I/O", async () => {
  const server = await UblkProcess.serving();
  const before = written();
  const loaded = verified(UBLK_DEVICE, 4);
  await until("the load writes", () => written() > before + 20 || undefined, MS_MAX);
  for (const _ of [1, 2]) {
    server.said = "";
    server.child.kill("SIGHUP");
    await server.says(`serves ${UBLK_DEVICE} again`);
  }
  const { status, errors, complaint } = await loaded;
  assert.deepEqual([status, errors], [0, 0], complaint);
  await server.detach();
  assert.ok(!existsSync(UBLK_DEVICE), "nothing is left of the device");
});
