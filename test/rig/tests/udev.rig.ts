// systemd-udevd and the host's tools see a unit once: by the lasting names of its block device, never by a path.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { UeventMonitor, type Uevent } from "../../../host/native/index.ts";
import { until } from "../../until.ts";
import { attempt, run, start } from "../lib/command.ts";
import { readText } from "../lib/files.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";
import { installRules, linksIn, propertiesOf, settle, startUdev } from "../lib/udev.ts";

export const rig: Rig = { array: "lio", units: 1, paths: 4, timeLimitS: 240 };

const CONFIGURATION = 'devices = "all"\n';
const TABLE = "/etc/pathmanager/units";
const UUID = "f7c4f4a2-3a68-4a37-9a3c-0f6f8ad4c8f1";
const array = new LioArray();

const disks = (): string[] => [0, 1, 2, 3].map((path) => array.disk(path, 0).sd.replace("/dev/", ""));

/** What every link below /dev/disk leads to, without what has nothing to do with disks of the array. */
function leadTo(): string[] {
  const folders = ["by-id", "by-uuid", "by-label", "by-partuuid", "by-path"].map((name) => `/dev/disk/${name}`);
  const found = folders.filter(existsSync).flatMap((folder) => Array.from(linksIn(folder).values()));
  return found.filter((name) => /^(sd|nbd)/.test(name));
}

function pathsAreHidden(): void {
  for (const disk of disks()) {
    const properties = propertiesOf(disk);
    assert.equal(properties.get("ID_FS_TYPE"), "pathmanager_member", disk);
    assert.equal(properties.get("SYSTEMD_READY"), "0", disk);
    assert.equal(properties.get("ID_FS_UUID"), undefined, disk);
    assert.doesNotMatch(properties.get("DEVLINKS") ?? "", /by-(id|uuid|label|path)/, disk);
  }
  assert.deepEqual(
    leadTo().filter((name) => name.startsWith("sd")),
    [],
  );
}

const isAdded = ({ action, subsystem }: Uevent): boolean => action === "add" && subsystem === "block";

let daemon: Daemon | undefined;

test("while nobody has taken the unit, its paths are disks like any other", () => {
  run("mkfs.ext4", "-q", "-F", "-U", UUID, "-L", "database", array.disk(0, 0).sd);
  installRules();
  startUdev();
  assert.match(linksIn("/dev/disk/by-uuid").get(UUID) ?? "", /^sd/);
});

test("when the daemon takes it, the links leave the paths, and lead to the block device", async () => {
  afterwards(() => console.log(Daemon.log().trimEnd()));
  daemon = await Daemon.start(CONFIGURATION);
  await until("the paths are hidden", () => {
    settle();
    return disks().every((disk) => propertiesOf(disk).get("SYSTEMD_READY") === "0");
  });
  pathsAreHidden();
  mustPathctl("unit", "rename", "0", "database");
  mustPathctl("attach", "database", "/dev/nbd0");
  await until("the device has its name", () => existsSync("/dev/pathmanager/database"));
  settle();
  assert.equal(linksIn("/dev/pathmanager").get("database"), "nbd0");
  assert.equal(linksIn("/dev/disk/by-uuid").get(UUID), "nbd0");
  assert.equal(linksIn("/dev/disk/by-label").get("database"), "nbd0");
  const digits = /^naa\.([0-9a-f]{32})\tdatabase\t/m.exec(readText(TABLE))?.[1] ?? "";
  assert.equal(linksIn("/dev/disk/by-id").get(`wwn-0x${digits}`), "nbd0");
  assert.equal(linksIn("/dev/disk/by-id").get(`scsi-3${digits}`), "nbd0");
  assert.deepEqual([...new Set(leadTo())], ["nbd0"]);
});

test("blkid, lsblk and findmnt find the unit once", () => {
  assert.equal(run("blkid", "-U", UUID).trim(), "/dev/nbd0");
  const found = run("lsblk", "--noheadings", "--list", "--output", "NAME,UUID").split("\n");
  assert.deepEqual(
    found.filter((line) => line.includes(UUID)).map((line) => line.split(/\s+/)[0]),
    ["nbd0"],
  );
  assert.match(run("lsblk", "--noheadings", "--nodeps", "--output", "WWN", "/dev/nbd0"), /0x[0-9a-f]{16}/);
  run("mkdir", "-p", "/mnt/unit");
  run("mount", `UUID=${UUID}`, "/mnt/unit");
  afterwards(() => void run("umount", "/mnt/unit"));
  assert.equal(run("findmnt", "--noheadings", "--output", "SOURCE", "/mnt/unit").trim(), "/dev/nbd0");
});

/** What udisks says of a block device, or of all of them. */
const udisks = (...args: readonly string[]): string => run("udisksctl", ...args);
const valueOf = (text: string, name: string): string =>
  new RegExp(`^ +${name}: *(.*)$`, "m").exec(text)?.[1] ?? "nothing";

test("udisks, which automounters ask, sees the unit once, and mounts no path", async () => {
  run("mkdir", "-p", "/run/dbus");
  const bus = start("dbus-daemon", "--system", "--nofork", "--nopidfile");
  afterwards(() => bus.kill("SIGTERM"));
  await until("the bus is there", () => existsSync("/run/dbus/system_bus_socket"));
  const service = start("/usr/libexec/udisks2/udisksd", "--no-debug");
  afterwards(() => service.kill("SIGTERM"));
  await until("udisks answers", () => attempt("udisksctl", ["status"]).status === 0, 60_000);
  const device = udisks("info", "--block-device", "/dev/nbd0");
  assert.equal(valueOf(device, "IdUUID"), UUID);
  assert.equal(valueOf(device, "HintIgnore"), "false");
  assert.match(device, /\/dev\/pathmanager\/database$/m);
  for (const disk of disks()) {
    const path = udisks("info", "--block-device", `/dev/${disk}`);
    assert.equal(valueOf(path, "HintIgnore"), "true", disk);
    assert.doesNotMatch(path, /org\.freedesktop\.UDisks2\.Filesystem|by-uuid|by-label|by-id/, disk);
    assert.match(
      attempt("udisksctl", ["mount", "--block-device", `/dev/${disk}`]).stderr,
      /not a mountable filesystem/,
    );
  }
  assert.equal(udisks("dump").match(new RegExp(`IdUUID: +${UUID}$`, "gm"))?.length, 1);
  udisks("mount", "--block-device", "/dev/nbd0");
  afterwards(() => void udisks("unmount", "--block-device", "/dev/nbd0"));
  assert.equal(run("findmnt", "--noheadings", "--output", "SOURCE", "/media/root/database").trim(), "/dev/nbd0");
});

test("partitions of the device have names, too; those of the paths have none", async () => {
  run("wipefs", "--quiet", "--all", "/dev/nbd0");
  const written = attempt("sfdisk", ["--quiet", "/dev/nbd0"], "label: gpt\n,16M,L\n,,L\n");
  assert.equal(written.status, 0, written.stderr);
  await until("the partitions have names", () => existsSync("/dev/pathmanager/database-part2"));
  settle();
  assert.equal(linksIn("/dev/pathmanager").get("database-part1"), "nbd0p1");
  assert.equal(linksIn("/dev/disk/by-partuuid").size, 2);
  assert.deepEqual(
    leadTo().filter((name) => name.startsWith("sd")),
    [],
  );
});

test("a new name moves the link; a detached device has none", async () => {
  mustPathctl("unit", "rename", "database", "archive");
  await until("the new name", () => existsSync("/dev/pathmanager/archive") && !existsSync("/dev/pathmanager/database"));
  mustPathctl("detach", "archive");
  await until("no name is left", () => !existsSync("/dev/pathmanager/archive"));
  settle();
  assert.deepEqual(leadTo(), []);
});

test("a path that appears is hidden from its first event, whether the daemon runs or not", async () => {
  await daemon?.stop();
  run("rm", "-f", "/run/pathmanager/units");
  assert.equal(existsSync(TABLE), true);
  const events: Uevent[] = [];
  const monitor = new UeventMonitor((event) => events.push(event));
  afterwards(() => monitor.close());
  array.remap(0, 0, 0);
  await until("the path is back", () => array.device(0, 0)?.sd);
  settle();
  pathsAreHidden();
  const told = await until("udev has told of it", () => events.find((event) => isAdded(event) && event.byUdev));
  assert.equal(told.properties["ID_FS_TYPE"], "pathmanager_member", "after its rules");
  assert.ok(
    events.some((event) => isAdded(event) && !event.byUdev),
    "the kernel told before",
  );
});

test("a unit that the configuration does not select any more is given back to the host", async () => {
  daemon = await Daemon.start('devices = [{ vendor = "NOBODY" }]\n');
  await until("the paths are disks again", () => {
    settle();
    return disks().every((disk) => propertiesOf(disk).get("SYSTEMD_READY") !== "0");
  });
  assert.equal(attempt("grep", ["-c", "^naa", TABLE]).stdout.trim(), "0");
  await daemon.stop();
});
