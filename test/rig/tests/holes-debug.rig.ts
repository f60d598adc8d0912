// A kernel's thin disk: what clients see of its holes, and that what was zeroed reads as zeroes, whatever unmapped blocks do.

import assert from "node:assert/strict";
import { until } from "../../until.ts";
import { run } from "../lib/command.ts";
import { Daemon, NBD_SOCKET } from "../lib/pathmanager.ts";
import { ScsiDebug } from "../lib/scsi-debug.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "scsi_debug", units: 1, paths: 2, timeLimitS: 180 };

const URI = `nbd+unix:///0?socket=${NBD_SOCKET}`;
const MIB = 1 << 20;

interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly type: number;
}

test("nbdinfo --map tells the holes of a thin disk, and qemu-img copies them as holes", async () => {
  const daemon = await Daemon.start('devices = "all"\n');
  afterwards(() => daemon.kill());
  run("qemu-io", "-f", "raw", "-c", "write -P 0x11 1M 64k", "-c", "write -P 0x22 3M 512", "-c", "flush", URI);
  const map = JSON.parse(run("nbdinfo", "--map", "--json", URI)) as Extent[];
  const size = map.reduce((sum, { length }) => sum + length, 0);
  assert.deepEqual(
    map.map(({ offset, length, type }) => [offset, length, type]),
    [
      [0, MIB, 3],
      [MIB, 65536, 0],
      [MIB + 65536, 2 * MIB - 65536, 3],
      [3 * MIB, 512, 0],
      [3 * MIB + 512, size - 3 * MIB - 512, 3],
    ],
  );
  run("qemu-img", "convert", "-f", "raw", "-O", "raw", URI, "/tmp/copy.raw");
  run("qemu-img", "compare", "-f", "raw", "-F", "raw", URI, "/tmp/copy.raw");
  assert.ok(Number(run("stat", "-c", "%b", "/tmp/copy.raw")) * 512 < MIB);
});

test("where unmapped blocks read as FFh (LBPRZ 010b), WRITE_ZEROES that may unmap still leaves zeroes, and no hole is told", async () => {
  run("rmmod", "scsi_debug");
  const parameters = ["lbpws10=1", "lbprz=2"];
  const array = ScsiDebug.create({ units: 1, paths: 2, unitMib: 16, parameters });
  const sd = await until("two disks", () => {
    const disks = array.devices(0).filter((device) => device.sd !== undefined);
    return disks.length === 2 ? disks[0]?.sd : undefined;
  });
  // The ground: this disk is as bad as it is meant to be.
  run("qemu-io", "-f", "raw", "-d", "unmap", "-c", "write -P 7 2M 1M", "-c", "flush", "-c", "discard 2M 1M", sd);
  run("qemu-io", "-f", "raw", "-r", "-c", "read -P 0xff 2M 1M", sd);
  const daemon = await Daemon.start('devices = "all"\n');
  afterwards(() => daemon.kill());
  run("qemu-io", "-f", "raw", "-d", "unmap", "-c", "write -P 7 0 1M", "-c", "write -z -u 0 512k", "-c", "flush", URI);
  run("qemu-io", "-f", "raw", "-r", "-c", "read -P 0 0 512k", "-c", "read -P 7 512k 512k", URI);
  const map = JSON.parse(run("nbdinfo", "--map", "--json", URI)) as Extent[];
  assert.deepEqual(
    map.map(({ type }) => type),
    [0],
  );
});
