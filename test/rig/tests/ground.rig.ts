// What the product stands on works in the guest: file systems on a path, modules, io_uring.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { run } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", timeLimitS: 90, isEssential: true };

const disk = (): string => new LioArray().device(0, 0)?.sd ?? assert.fail("the path has no disk");

test("a file system on one path survives a remount and is clean", () => {
  const device = disk();
  run("mkfs.ext4", "-q", device);
  run("mkdir", "-p", "/mnt/rig");
  run("mount", device, "/mnt/rig");
  run("sh", "-c", "head -c 4M /dev/urandom | tee /mnt/rig/file | sha256sum > /tmp/sum");
  run("umount", "/mnt/rig");
  run("mount", device, "/mnt/rig");
  afterwards(() => void run("fsck.ext4", "-fn", device));
  afterwards(() => void run("umount", "/mnt/rig"));
  run("sh", "-c", "sha256sum < /mnt/rig/file | cmp - /tmp/sum");
});

test("the modules of the peers load: nbd and dm-multipath with its selectors", () => {
  run("modprobe", "-a", "nbd", "dm-multipath", "dm-service-time", "dm-queue-length", "dm-round-robin");
  assert.ok(existsSync("/dev/nbd0"));
  assert.match(run("dmsetup", "targets"), /^multipath/m);
});

test("io_uring carries verified I/O to a path", () => {
  const job = [
    "--name=ring",
    `--filename=${disk()}`,
    "--ioengine=io_uring",
    "--direct=1",
    "--rw=randwrite",
    "--bs=4k",
    "--size=2M",
    "--iodepth=8",
  ];
  const result: unknown = JSON.parse(run("fio", ...job, "--verify=crc32c", "--output-format=json"));
  assert.ok(typeof result === "object" && result !== null && "jobs" in result);
});

test("Node is the project's own", () => {
  assert.equal(Number(process.versions.node.split(".")[0]) >= 24, true);
  assert.match(process.execPath, /node_modules/);
});
