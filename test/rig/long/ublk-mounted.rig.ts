// A unit changes under the file system that is mounted on its ublk device: I/O ends with its data or with an error, and everything can be undone.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { until } from "../../until.ts";
import { attempt, run, start } from "../lib/command.ts";
import { writeText } from "../lib/files.ts";
import { ask, Daemon, mustPathctl, pathctl } from "../lib/pathmanager.ts";
import { ScsiDebug } from "../lib/scsi-debug.ts";
import { deleteDevice } from "../lib/scsi.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";
import { MS_MAX, nothingIsLeft } from "../lib/ublk-process.ts";

export const rig: Rig = { kernel: "ublk", array: "scsi_debug", units: 2, paths: 2, unitMib: 32, timeLimitS: 7200 };

const CONFIGURATION = `
devices = "all"
marginal.enabled = false
patrol.interval_s = 1
timeouts.no_path_ms = 3000
`;
const FOLDER = "/mnt/mounted";
const KEPT = `${FOLDER}/kept`;
const PROTECTED = "/sys/module/scsi_debug/parameters/wp";
const MIB = 2 ** 20;

interface Shown {
  readonly bytes: number;
  readonly attachments: readonly { readonly device: string }[];
}
const shown = (unit: number): Promise<Shown> => ask<Shown>(`/v1/units/${unit}`);

/** A file system of 16 MiB on the unit's device, with a file on it. Returns the device. */
async function mounted(unit: number): Promise<string> {
  mustPathctl("attach", `#${unit}`, "--ublk");
  const device = (await shown(unit)).attachments[0]?.device ?? "";
  assert.match(device, /^\/dev\/ublkb\d+$/);
  run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", device, "16M");
  run("mkdir", "-p", FOLDER);
  run("mount", "-o", "errors=remount-ro", device, FOLDER);
  afterwards(() => void attempt("umount", ["-l", FOLDER]));
  writeFileSync(KEPT, "kept");
  run("sync", "-f", FOLDER);
  return device;
}

/** Another file, in the device before this returns. */
const write = (name: string): ReturnType<typeof start> =>
  start("dd", "if=/dev/zero", `of=${FOLDER}/${name}`, "bs=4k", "count=1", "conv=fsync");

function detached(device: string): void {
  run("umount", FOLDER);
  mustPathctl("detach", device);
  nothingIsLeft();
}

test("a mounted unit becomes read-only: writes fail, reads go on, and so do writes when it may be written to again", async () => {
  run("modprobe", "ublk_drv");
  await Daemon.start(CONFIGURATION, { waitMsMax: MS_MAX });
  const device = await mounted(0);
  afterwards(() => writeText(PROTECTED, 0));
  writeText(PROTECTED, 1);
  assert.notEqual((await write("refused")).status, 0);
  run("sh", "-c", "echo 3 >/proc/sys/vm/drop_caches");
  assert.equal(readFileSync(KEPT, "utf8"), "kept");
  writeText(PROTECTED, 0);
  run("umount", FOLDER);
  attempt("fsck.ext4", ["-f", "-y", device]);
  run("fsck.ext4", "-f", "-n", device);
  run("mount", device, FOLDER);
  assert.equal((await write("taken")).status, 0);
  detached(device);
});

test("a mounted unit shrinks: what it still has is read and written, what it has no more fails", async () => {
  const array = new ScsiDebug();
  const small = (await shown(0)).bytes;
  assert.equal(small, 32 * MIB);
  array.set("virtual_gb", 1);
  afterwards(() => array.set("virtual_gb", 0));
  // The array may tell its paths one after the other.
  const size = async (bytes: number): Promise<void> =>
    void (await until(
      `the unit has ${bytes} bytes`,
      async () => {
        pathctl("rescan");
        return (await shown(0)).bytes === bytes || undefined;
      },
      MS_MAX,
    ));
  await size(1024 * MIB);
  const device = await mounted(0);
  const sized = (): number => Number(run("blockdev", "--getsize64", device));
  assert.equal(sized(), 1024 * MIB);
  const last = ["of=/dev/null", `if=${device}`, "bs=1M", "count=1", "skip=1000", "iflag=direct"];
  assert.equal(attempt("dd", last).status, 0);
  array.set("virtual_gb", 0);
  const beyond = attempt("dd", last);
  assert.match(beyond.stderr, /error/i, "before anybody has noticed");
  await size(small);
  await until("the device has the unit's size", () => sized() === small || undefined, MS_MAX);
  assert.equal((await write("within")).status, 0);
  assert.equal(readFileSync(KEPT, "utf8"), "kept");
  detached(device);
});

test("a mounted unit is removed: its I/O waits for a path and fails, unmounting and detaching do not hang", async () => {
  const device = await mounted(1);
  const begin = performance.now();
  const passed: string[] = [];
  const reached = (what: string): void =>
    void passed.push(`${what} after ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  for (const { pathNumber } of new ScsiDebug().devices(1)) deleteDevice(pathNumber);
  reached("removed");
  assert.notEqual((await write("lost")).status, 0);
  reached("the write failed");
  const read = attempt("dd", [`if=${device}`, "of=/dev/null", "bs=4k", "count=1", "skip=5000", "iflag=direct"]);
  assert.notEqual(read.status, 0);
  reached("the read failed");
  detached(device);
  reached("detached");
  console.log(`# a mounted unit is removed: ${passed.join(", ")}`);
  // The other unit is as it was.
  const other = await mounted(0);
  assert.equal((await write("more")).status, 0);
  detached(other);
});
