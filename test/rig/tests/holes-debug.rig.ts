// GET LBA STATUS of a kernel's thin disk: what clients see of its holes, and that odd bytes keep their neighbours.

import assert from "node:assert/strict";
import { run } from "../lib/command.ts";
import { Daemon, NBD_SOCKET } from "../lib/pathmanager.ts";
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
  afterwards(() => void daemon.kill());
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
