// Somebody else wants the same disks as they appear, under the real systemd-udevd: an automounter, and one who activates volumes. Whoever
// comes first has the whole unit; the other one is refused. Never both.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { until } from "../../until.ts";
import { attempt, run } from "../lib/command.ts";
import { readText } from "../lib/files.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl } from "../lib/pathmanager.ts";
import { deleteDevice } from "../lib/scsi.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";
import { installRules, settle, startUdev } from "../lib/udev.ts";

const UNITS = 8;
const PATHS = 2;
/** The stranger has this unit before the daemon starts. */
const EARLY = 0;
/** The stranger waits until this unit is ours. */
const LATE = 7;

export const rig: Rig = { array: "lio", units: UNITS, paths: PATHS, unitMib: 16, timeLimitS: 300 };

const array = new LioArray();
const units = Array.from({ length: UNITS }, (_, unit) => unit);
const GRAB = "/tmp/grab";
const RULE = "/etc/udev/rules.d/99-grab.rules";

/** A file system is on every other unit, a volume group on the others. */
const hasVolumes = (unit: number): boolean => unit % 2 === 1;
const folderOf = (unit: number): string => `${GRAB}/${unit}`;
const groupOf = (unit: number): string => `volumes${unit}`;
const lines = (unit: number): string[] => readText(`${folderOf(unit)}.log`).split("\n");

/**
 * Like udisks, systemd and LVM's rules it decides at the event, by what udev says of the disk, and acts some time later. The last digit of
 * the serial number is the unit's.
 */
function installStranger(): void {
  const script = `#!/bin/sh
[ "$2" ] || exec setsid --fork "$0" "$1" later
unit=$(tr -d '\\0' < "/sys/block/$1/device/vpd_pg80" | tail -c 1)
echo "$1 begins" >> "${GRAB}/$unit.log"
sleep "$(cat "${GRAB}/$unit.delay")"
while [ -e "${GRAB}/$unit.wait" ]; do sleep 0.1; done
if [ $((unit % 2)) = 1 ]
then said=$(vgchange -ay --noudevsync --devices "/dev/$1" "volumes$unit" 2>&1)
else mountpoint -q "${GRAB}/$unit" || said=$(mount "/dev/$1" "${GRAB}/$unit" 2>&1)
fi
echo "$1 ends with $?: $(echo "$said" | tr '\\n' ' ')" >> "${GRAB}/$unit.log"
`;
  mkdirSync(GRAB, { recursive: true });
  writeFileSync(`${GRAB}/stranger`, script, { mode: 0o755 });
  const isFree = 'ENV{SYSTEMD_READY}!="0", ENV{ID_FS_TYPE}=="ext4|LVM2_member"';
  mkdirSync("/etc/udev/rules.d", { recursive: true });
  writeFileSync(RULE, `ACTION=="add", KERNEL=="sd*", ${isFree}, RUN+="${GRAB}/stranger $kernel"\n`);
  for (const unit of units) {
    mkdirSync(folderOf(unit), { recursive: true });
    writeFileSync(`${folderOf(unit)}.delay`, String(unit * 0.15));
    writeFileSync(`${folderOf(unit)}.log`, "");
  }
  writeFileSync(`${folderOf(LATE)}.wait`, "");
}

function fill(unit: number): void {
  const { sd } = array.disk(0, unit);
  if (!hasVolumes(unit)) return void run("mkfs.ext4", "-q", "-F", sd);
  run("vgcreate", "--quiet", "--devices", sd, groupOf(unit), sd);
  run(
    "lvcreate",
    "--quiet",
    "--devices",
    sd,
    "--yes",
    "--activate=n",
    "--zero=n",
    "--name=data",
    "--size=4M",
    groupOf(unit),
  );
}

/** The paths of a unit come one after another. */
async function come(unit: number, apartMs: number): Promise<void> {
  for (const { number } of array.paths()) {
    array.remap(number, unit, unit);
    await setTimeout(apartMs);
  }
}

/** Where the stranger has a unit. */
function grabbed(unit: number): string[] {
  const disks = array.devices(unit).flatMap(({ sd }) => sd?.replace("/dev/", "") ?? []);
  const mounts = readFileSync("/proc/mounts", "utf8");
  return disks.filter(
    (disk) => mounts.includes(`/dev/${disk} `) || readdirSync(`/sys/block/${disk}/holders`).length > 0,
  );
}

const isOver = (unit: number): boolean =>
  lines(unit).filter((line) => line.includes(" begins")).length ===
  lines(unit).filter((line) => line.includes(" ends ")).length;

interface Shown {
  readonly units: readonly {
    readonly identity: { readonly text: string };
    readonly attachments: readonly { readonly device: string }[];
  }[];
}

/** The units that we offer as block devices. */
function attached(): Set<number> {
  const { units: shown } = JSON.parse(mustPathctl("show", "units", "--json")) as Shown;
  return new Set(
    shown.filter(({ attachments }) => attachments.length > 0).map(({ identity }) => Number(identity.text.slice(-1))),
  );
}

/** Waits until every unit has somebody, and nobody tries any more. */
async function haveSomebody(): Promise<Set<number>> {
  const ours = await until(
    "every unit has somebody",
    () => {
      settle();
      const now = attached();
      return units.every((unit) => isOver(unit) && (now.has(unit) || grabbed(unit).length > 0)) ? now : undefined;
    },
    120_000,
  );
  mustPathctl("rescan");
  settle();
  assert.deepEqual(attached(), ours);
  return ours;
}

test("whoever comes first has the whole unit, the other one is refused, and it is told", async () => {
  afterwards(() => console.log(Daemon.log().trimEnd()));
  run("modprobe", "dm-mod");
  units.forEach(fill);
  for (const { pathNumber } of units.flatMap((unit) => array.devices(unit))) deleteDevice(pathNumber);
  installRules();
  installStranger();
  startUdev();
  await come(EARLY, 0);
  await until("the stranger has it", () => grabbed(EARLY).length > 0 && isOver(EARLY));
  await Daemon.start('devices = "all"\nattach = true\n');
  for (const unit of units.filter((other) => other !== EARLY)) await come(unit, 100 * unit);
  await until("it is ours", () => attached().has(LATE));
  run("rm", `${folderOf(LATE)}.wait`);
  const ours = await haveSomebody();
  for (const unit of units)
    console.log(`# ${unit}: ${ours.has(unit) ? "ours" : ""} ${grabbed(unit).join(" ")} ${lines(unit).join("; ")}`);
  const strangers = units.filter((unit) => grabbed(unit).length > 0);
  console.log(`# ${strangers.length} grabbed and not offered, ${ours.size} offered and not grabbed`);
  assert.deepEqual(
    strangers.filter((unit) => ours.has(unit)),
    [],
    "nobody's unit has two masters",
  );
  assert.ok(strangers.includes(EARLY) && ours.has(LATE));
  const show = mustPathctl("show");
  for (const unit of strangers) {
    const disk = grabbed(unit)[0] ?? "";
    assert.match(show, new RegExp(`/dev/${disk} is (mounted on ${folderOf(unit)}|used by dm-\\d+)`), `unit ${unit}`);
  }
});

test("what the stranger lets go is offered by itself", async () => {
  afterwards(() => console.log(Daemon.log().trimEnd()));
  for (const unit of units.filter((one) => grabbed(one).length > 0)) {
    if (hasVolumes(unit))
      run("vgchange", "-an", "--noudevsync", "--devices", `/dev/${grabbed(unit)[0]}`, groupOf(unit));
    else while (grabbed(unit).length > 0) run("umount", folderOf(unit));
  }
  const ours = await haveSomebody();
  assert.deepEqual([...ours].toSorted(), units);
  for (const unit of units) {
    for (const { sd = "" } of array.devices(unit)) {
      assert.match(attempt("mount", [sd, folderOf(unit)]).stderr, /busy|already mounted|unknown filesystem/, sd);
    }
  }
  assert.equal(existsSync("/dev/pathmanager"), true);
});
