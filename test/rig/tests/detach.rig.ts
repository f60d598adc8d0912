// A block device that somebody uses is not taken away from under them, whatever they use it for.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { until } from "../../until.ts";
import { run, start } from "../lib/command.ts";
import { Daemon, mustPathctl, pathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 120 };

const DEVICE = "/dev/nbd0";

/** Runs dmsetup as a guest without udev needs it: it makes the device nodes itself. */
const dmsetup = (...args: readonly string[]): string => run("env", "DM_DISABLE_UDEV=1", "dmsetup", ...args);

/** Detaching is refused, with this in the reason. */
function refused(reason: RegExp): void {
  const { status, stderr } = pathctl("detach", DEVICE);
  assert.equal(status, 1);
  assert.match(stderr, reason);
}

/** It goes on working for whom it belongs to. */
const reads = (device: string): string =>
  run("dd", `if=${device}`, "iflag=direct", "of=/dev/null", "bs=4096", "count=4");

test("a device that is mapped is not detached", async () => {
  await Daemon.start("[array]\nunits = 1\nunit_mib = 64\n");
  mustPathctl("attach", "0", DEVICE);
  run("modprobe", "dm-mod");
  const sectors = run("blockdev", "--getsz", DEVICE).trim();
  dmsetup("create", "data", "--table", `0 ${sectors} linear ${DEVICE} 0`);
  afterwards(() => void dmsetup("remove", "data"));
  refused(/nbd0 is used by dm-0 \(data\); run dmsetup remove data/);
  reads("/dev/mapper/data");
});

test("a device that is swap space is not detached", () => {
  run("mkswap", DEVICE);
  run("swapon", DEVICE);
  afterwards(() => void run("swapoff", DEVICE));
  refused(/nbd0 is swap space; run swapoff \/dev\/nbd0/);
});

test("a device that is mounted, in this or in another name space, is not detached", async () => {
  run("mkfs.ext4", "-q", DEVICE);
  mkdirSync("/mnt/rig", { recursive: true });
  run("mount", DEVICE, "/mnt/rig");
  refused(/nbd0 is mounted on \/mnt\/rig; unmount it/);
  run("umount", "/mnt/rig");
  const elsewhere = start("unshare", "--mount", "sh", "-c", `mount ${DEVICE} /mnt/rig && exec sleep 1000`);
  await until("it is mounted elsewhere", () => readFileSync(`/proc/${elsewhere.pid}/mounts`, "utf8").includes(DEVICE));
  refused(/nbd0 is mounted on \/mnt\/rig in the mount namespace of process \d+ \(sleep\); unmount it/);
  elsewhere.kill("SIGKILL");
  await elsewhere;
});

test("a device that nobody uses any more is detached", () => {
  reads(DEVICE);
  mustPathctl("detach", DEVICE);
  assert.doesNotMatch(mustPathctl("show"), /nbd0/);
});
