// LVM, md and multipathd beside us, as they are delivered: volumes on our device, and nobody takes a path.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { until } from "../../until.ts";
import { attempt, run, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, getlun, mustPathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";
import { installRules, propertiesOf, settle, startUdev } from "../lib/udev.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 2, timeLimitS: 240 };

const array = new LioArray();
/** Of unit 0, which is ours; unit 1 is multipathd's. */
const ours = (): string =>
  `devices = [{ path = "${array.disk(0, 0).pathNumber}" }, { path = "${array.disk(1, 0).pathNumber}" }]\n`;
const DEVICE = "/dev/pathmanager/lu0";
const FOLDER = "/mnt/volume";

let daemon: Daemon | undefined;

test("pvcreate, vgcreate, lvcreate, mkfs, mount: on our device, by its name", async () => {
  afterwards(() => console.log(Daemon.log().trimEnd()));
  installRules();
  startUdev();
  run("modprobe", "dm-mod");
  daemon = await Daemon.start(ours());
  mustPathctl("attach", "0");
  await until("the device has its name", () => existsSync(DEVICE));
  settle();
  mkdirSync(FOLDER, { recursive: true });
  run("pvcreate", DEVICE);
  run("vgcreate", "volumes", DEVICE);
  run("lvcreate", "--yes", "--name", "data", "--size", "16M", "volumes");
  run("mkfs.ext4", "-q", "/dev/volumes/data");
  run("mount", "/dev/volumes/data", FOLDER);
  run("sh", "-c", `echo kept > ${FOLDER}/file`);
  assert.match(run("pvs", "--noheadings", "--options", "pv_name"), /^\s*\/dev\/nbd\d\s*$/);
  run("umount", FOLDER);
  run("vgchange", "--activate", "n", "volumes");
  mustPathctl("detach", "0");
});

test("after a start of the daemon it is all there, and still once", async () => {
  await daemon?.stop();
  assert.equal(run("pvs", "--noheadings").trim(), "", "no path is taken while the daemon is away");
  daemon = await Daemon.start(ours());
  mustPathctl("attach", "0");
  await until("the device has its name", () => existsSync(DEVICE));
  settle();
  run("vgchange", "--activate", "y", "volumes");
  run("mount", "/dev/volumes/data", FOLDER);
  assert.equal(run("cat", `${FOLDER}/file`).trim(), "kept");
  run("umount", FOLDER);
  run("vgchange", "--activate", "n", "volumes");
  run("vgremove", "--yes", "volumes");
  run("pvremove", DEVICE);
});

test("an md array on our device is found there, not on a path", () => {
  run("modprobe", "raid1");
  const how = ["--create", "/dev/md77", "--run", "--force", "--metadata=1.2", "--level=1", "--raid-devices=2"];
  run("mdadm", ...how, DEVICE, "missing");
  run("mdadm", "--stop", "/dev/md77");
  settle();
  for (const path of [0, 1]) {
    const { sd } = array.disk(path, 0);
    run("udevadm", "trigger", "--action=add", "--settle", sd);
    assert.equal(propertiesOf(sd).get("ID_FS_TYPE"), "pathmanager_member");
  }
  // udev may have started the array again, of our device: its rules do so when somebody closes a member.
  const arrays = readdirSync("/sys/block").filter((name) => name.startsWith("md"));
  const members = arrays.flatMap((name) => readdirSync(join("/sys/block", name, "slaves")));
  const nbd = basename(realpathSync(DEVICE));
  assert.deepEqual(
    members.filter((member) => member !== nbd),
    [],
    "nothing is started over a path",
  );
  run("udevadm", "control", "--stop-exec-queue");
  for (const name of arrays) run("mdadm", "--stop", join("/dev", name));
  run("mdadm", "--zero-superblock", DEVICE);
  run("udevadm", "control", "--start-exec-queue");
});

test("multipathd takes the units that are not ours, and only them", async () => {
  run("modprobe", "-a", "dm-multipath", "dm-service-time");
  run("sh", "-c", "echo 'defaults {\n find_multipaths no\n user_friendly_names yes\n}' > /etc/multipath.conf");
  const multipathd = start("multipathd", "-d");
  afterwards(async () => {
    multipathd.kill("SIGTERM");
    await multipathd;
  });
  await until("multipathd has its map", () => existsSync("/dev/mapper/mpatha"), 60_000);
  const maps = run("multipath", "-ll");
  assert.equal(maps.match(/dm-\d+/g)?.length, 1, maps);
  for (const path of [0, 1]) {
    assert.doesNotMatch(maps, new RegExp(`${array.disk(path, 0).sd.replace("/dev/", "")} `));
    assert.match(maps, new RegExp(`${array.disk(path, 1).sd.replace("/dev/", "")} `));
  }
  await daemon?.stop();
  daemon = await Daemon.start('devices = "all"\n');
  afterwards(async () => void (await daemon?.stop()));
  assert.equal(getlun().match(/PathNumber=/g)?.length, 2, "what dm holds is refused");
  assert.match(mustPathctl("show"), /is used by dm-\d+ \(mpatha\)/);
  assert.equal(attempt("multipath", ["-f", "mpatha"]).status, 0);
});
