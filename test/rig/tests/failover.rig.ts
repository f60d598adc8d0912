// The main job, on real devices: two of four paths die under load and the application sees nothing.

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { attempt, run, start } from "../lib/command.ts";
import { verifiedLoad } from "../lib/fio.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, getlun, mustPathctl, NBD_SOCKET } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 4, timeLimitS: 900, isEssential: true };

const CONFIGURATION = `
devices = "all"
marginal.enabled = false
${QUICK_PATROL}`;

const array = new LioArray();

/** Path numbers that the display marks as failed, sorted. */
const failed = (): readonly string[] =>
  [...getlun().matchAll(/^ X.*PathNumber=(\S+)$/gm)].map(([, path = ""]) => path).toSorted();
const ofController = (name: "A" | "B"): readonly string[] =>
  array
    .paths()
    .flatMap(({ controller, number }) => (controller === name ? (array.device(number, 0)?.pathNumber ?? []) : []));

/** Both paths of a controller go, are displayed as failed, come back, and are not displayed as failed any more. */
async function comesAndGoes(name: "A" | "B"): Promise<void> {
  afterwards(() => array.setController(name, true));
  array.setController(name, false);
  await until(
    `the paths of controller ${name} are shown as failed`,
    () => failed().join() === ofController(name).join(),
  );
  await setTimeout(1000);
  array.setController(name, true);
  await until("no path is shown as failed", () => failed().length === 0);
}

test("ext4 on the kernel's block device: no error, no block wrong, while a controller dies and returns", async () => {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  mustPathctl("attach", "#0", "/dev/nbd0");
  run("mkfs.ext4", "-q", "/dev/nbd0");
  run("mkdir", "-p", "/mnt/rig");
  run("mount", "/dev/nbd0", "/mnt/rig");
  afterwards(() => void attempt("umount", ["/mnt/rig"]));
  const load = verifiedLoad("/mnt/rig/file", 15);
  await setTimeout(2000);
  await comesAndGoes("A");
  const { errors, status, ios, complaint } = await load;
  assert.deepEqual({ errors, status }, { errors: 0, status: 0 }, complaint);
  assert.ok(ios > 0);
  run("umount", "/mnt/rig");
  run("fsck.ext4", "-fn", "/dev/nbd0");
  mustPathctl("detach", "#0");
});

test("nbdcopy and qemu-img through the socket: the copy is exact, while a controller dies and returns", async () => {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  const uri = `nbd+unix:///lu0?socket=${NBD_SOCKET}`;
  run("sh", "-c", "head -c 64M /dev/urandom > /tmp/image");
  const script = `for round in 1 2 3 4 5 6 7 8; do nbdcopy /tmp/image '${uri}' && nbdcopy '${uri}' /tmp/back && cmp /tmp/image /tmp/back || exit 1; done`;
  const copying = start("sh", "-c", script);
  await comesAndGoes("A");
  const { status, stderr } = await copying;
  assert.equal(status, 0, stderr);
  const comparing = start("qemu-img", "compare", "-f", "raw", "-F", "raw", "/tmp/image", uri);
  array.setController("A", false);
  afterwards(() => array.setController("A", true));
  const compared = await comparing;
  assert.equal(compared.status, 0, compared.stdout + compared.stderr);
});

/** As cluster software watches a disk: a read and a write past the page cache each second, each with a time limit. */
const MONITOR = `while [ ! -e /tmp/watched ]; do
  timeout 30 dd if=/dev/nbd0 of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null || echo failed
  timeout 30 dd if=/dev/zero of=/dev/nbd0 bs=4096 count=1 seek=1 oflag=direct 2>/dev/null || echo failed
  echo probed; sleep 1
done`;

test("a disk monitor, as cluster software has them, sees nothing while each controller dies and returns", async () => {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  mustPathctl("attach", "#0", "/dev/nbd0");
  const monitor = start("sh", "-c", MONITOR);
  await comesAndGoes("A");
  await comesAndGoes("B");
  run("touch", "/tmp/watched");
  const { stdout } = await monitor;
  assert.match(stdout, /^(probed\n){2,}$/);
  mustPathctl("detach", "#0");
});

test("the daemon stops within 5 s with no path alive and I/O waiting", async () => {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(() => void attempt("pkill", ["nbdcopy"]));
  for (const name of ["A", "B"] as const) {
    array.setController(name, false);
    afterwards(() => array.setController(name, true));
  }
  const waiting = start("nbdcopy", `nbd+unix:///lu0?socket=${NBD_SOCKET}`, "/tmp/back");
  await setTimeout(1500);
  const { ms } = await daemon.stop();
  assert.ok(ms < 5000, `it took ${ms} ms`);
  assert.notEqual((await waiting).status, 0);
});
