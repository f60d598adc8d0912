// LVM, md and multipathd beside us, as they are delivered: volumes on our device, and nobody takes a path.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { UeventMonitor, type Uevent } from "../../../host/native/index.ts";
import { until } from "../../until.ts";
import { attempt, run, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, getlun, mustPathctl, pathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";
import { installRules, propertiesOf, settle, startUdev } from "../lib/udev.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 2, timeLimitS: 480 };

const array = new LioArray();
/** Of unit 0, which is ours; unit 1 is multipathd's. */
const ours = (): string =>
  `devices = [{ path = "${array.disk(0, 0).pathNumber}" }, { path = "${array.disk(1, 0).pathNumber}" }]\n`;
const DEVICE = "/dev/pathmanager/lu0";
const FOLDER = "/mnt/volume";

let daemon: Daemon | undefined;

/** What udev tells of our device and its partitions until the test ends: the real one after its rules, and the kernel itself. */
function watch(): readonly Uevent[] {
  const events: Uevent[] = [];
  const monitor = new UeventMonitor((event) => void (/\/nbd\d+(p\d+)?$/.test(event.devpath) && events.push(event)));
  afterwards(() => monitor.close());
  return events;
}

/** The volume group that an "add" of a device completed: lvm's rules activate it then. */
const completed = (events: readonly Uevent[], device: RegExp): (string | undefined)[] =>
  events
    .filter(({ action, byUdev, devpath }) => action === "add" && byUdev && device.test(devpath))
    .map(({ properties }) => properties["LVM_VG_NAME_COMPLETE"]);

/** Whether a program has asked udev to look at the device again. */
const isAsked = ({ action, byUdev, properties }: Uevent): boolean =>
  action === "change" && !byUdev && properties["SYNTH_UUID"] !== undefined;

/** What bcache's devices lie on. */
const cached = (): string[] =>
  readdirSync("/sys/block")
    .filter((name) => name.startsWith("bcache"))
    .flatMap((name) => readdirSync(join("/sys/block", name, "slaves")));

async function attached(): Promise<void> {
  mustPathctl("attach", "0");
  await until("the device has its name", () => existsSync(DEVICE));
  settle();
}

async function detached(): Promise<void> {
  mustPathctl("detach", "0");
  await until("the device has no name", () => !existsSync(DEVICE));
  settle();
}

test("pvcreate, vgcreate, lvcreate, mkfs, mount: on our device, by its name", async () => {
  afterwards(() => console.log(Daemon.log().trimEnd()));
  installRules();
  startUdev();
  run("modprobe", "dm-mod");
  daemon = await Daemon.start(ours());
  await attached();
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
  await detached();
});

test("after a start of the daemon it is all there, and still once", async () => {
  await daemon?.stop();
  assert.equal(run("pvs", "--noheadings").trim(), "", "no path is taken while the daemon is away");
  daemon = await Daemon.start(ours());
  const events = watch();
  await attached();
  await until("lvm's rules have activated the volume", () => existsSync("/dev/volumes/data"));
  await until("udev has told of it", () => completed(events, /\/nbd\d+$/).length > 0);
  assert.deepEqual(completed(events, /\/nbd\d+$/), ["volumes"]);
  assert.equal(events.filter(isAsked).length, 1, "udev looks once more when the driver has said whose the device is");
  run("mount", "/dev/volumes/data", FOLDER);
  assert.equal(run("cat", `${FOLDER}/file`).trim(), "kept");
  run("umount", FOLDER);
});

test("an attached device is announced once, and again when it is attached again", async () => {
  const events = watch();
  const additions = (): number => completed(events, /\/nbd\d+$/).length;
  for (const action of ["change", "change", "add", "change"]) {
    run("udevadm", "trigger", `--action=${action}`, "--settle", realpathSync(DEVICE));
  }
  settle();
  await until("what was triggered has been told", () => additions() > 0);
  assert.equal(additions(), 1, "the one that was triggered");
  run("vgchange", "--activate", "n", "volumes");
  await detached();
  await attached();
  await until("it is announced again", () => additions() > 1);
  assert.equal(additions(), 2);
  run("vgchange", "--activate", "n", "volumes");
  run("vgremove", "--yes", "volumes");
  run("pvremove", DEVICE);
});

test("a volume on a partition is activated, too", async () => {
  const written = attempt("sfdisk", ["--quiet", DEVICE], "label: gpt\n,,L\n");
  assert.equal(written.status, 0, written.stderr);
  await until("the partition has its name", () => existsSync(`${DEVICE}-part1`));
  settle();
  run("pvcreate", "--yes", `${DEVICE}-part1`);
  run("vgcreate", "parts", `${DEVICE}-part1`);
  run("lvcreate", "--yes", "--name", "data", "--size", "16M", "parts");
  run("vgchange", "--activate", "n", "parts");
  await detached();
  const events = watch();
  await attached();
  await until("lvm's rules have activated the volume", () => existsSync("/dev/parts/data"));
  await until("udev has told of it", () => completed(events, /\/nbd\d+p1$/).includes("parts"));
  run("vgchange", "--activate", "n", "parts");
  run("vgremove", "--yes", "parts");
  run("pvremove", `${DEVICE}-part1`);
  run("wipefs", "--quiet", "--all", DEVICE);
  await until("the partition is gone", () => !existsSync(`${DEVICE}-part1`));
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

test("bcache on our device is found there, not on a path, and again when it is attached again", async () => {
  run("modprobe", "bcache");
  run("make-bcache", "--bdev", DEVICE);
  const nbd = basename(realpathSync(DEVICE));
  await until("bcache has our device", () => cached().includes(nbd));
  for (const path of [0, 1]) {
    run("udevadm", "trigger", "--action=add", "--settle", array.disk(path, 0).sd);
  }
  assert.deepEqual(cached(), [nbd]);
  const refused = pathctl("detach", "0");
  assert.match(refused.stderr, /used by bcache/, refused.stdout);
  const stop = async (): Promise<void> => {
    run("sh", "-c", `echo 1 > /sys/block/${nbd}/bcache/stop`);
    await until("bcache has let it go", () => cached().length === 0);
  };
  await stop();
  settle();
  await detached();
  await attached();
  await until("bcache has it again", () => cached().includes(nbd));
  run("udevadm", "control", "--stop-exec-queue");
  await stop();
  run("wipefs", "--quiet", "--all", DEVICE);
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
