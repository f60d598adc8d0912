// What udev's helper says of a disk and of a block device, by the table of units.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { designator, naa6, page83, standard } from "../discovery/pages.ts";

const HELPER = "build/udev/pathmanager_id";
const DIGITS = Buffer.from(naa6(1)).toString("hex");
const IDENTITY = `naa.${DIGITS}`;
const TABLE = `# comment\nt10.V serial\tother\tV\tP\t\n${IDENTITY}\tdatabase\tNEC\tDISK ARRAY\tnaa.former\n`;

function scene(t: ExecutionContext, table: string | null = TABLE) {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-udev-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  if (table !== null) writeFileSync(join(folder, "units"), table);
  const ask = (name: string, ...more: readonly string[]): { status: number | null; lines: string[] } => {
    const args = [name, "--sysfs", folder, "--table", join(folder, "units"), ...more];
    const { status, stdout } = spawnSync(HELPER, args, { encoding: "utf8" });
    return { status, lines: stdout.split("\n").filter((line) => line !== "") };
  };
  const disk = (name: string, last: number): void => {
    const device = join(folder, "block", name, "device");
    mkdirSync(device, { recursive: true });
    writeFileSync(join(device, "inquiry"), standard("NEC", "DISK ARRAY"));
    writeFileSync(join(device, "vpd_pg83"), page83(designator(3, 0, naa6(last))));
  };
  const nbd = (name: string, backend: string): void => {
    mkdirSync(join(folder, "block", name), { recursive: true });
    writeFileSync(join(folder, "block", name, "backend"), backend);
  };
  /** A loopback target whose device is H:0:1:0, as the kernel shows it. */
  const target = (name: string, host: number, store: string): void => {
    const group = join(folder, "kernel/config/target/loopback", name, "tpgt_1");
    mkdirSync(join(group, "lun/lun_0", store), { recursive: true });
    writeFileSync(join(group, "address"), `${host}:0:1\n`);
  };
  const linked = (name: string, number: string): void => {
    const at = join(folder, "devices", number);
    mkdirSync(join(folder, "devices"), { recursive: true });
    renameSync(join(folder, "block", name, "device"), at);
    symlinkSync(at, join(folder, "block", name, "device"));
  };
  return { ask, disk, nbd, target, linked };
}

test("a path of a unit in the table is ours, another disk is not", (t) => {
  const { ask, disk } = scene(t);
  disk("sda", 1);
  disk("sdb", 2);
  t.deepEqual(ask("sda"), { status: 0, lines: [`PATHMANAGER_PATH=${IDENTITY}`] });
  t.deepEqual(ask("sdb"), { status: 1, lines: [] });
  t.deepEqual(ask("sdc"), { status: 1, lines: [] });
});

test("a device of ublk's is that of the unit whose line names it", (t) => {
  const { ask } = scene(t, TABLE.replace("naa.former", "naa.former\tublkb1 ublkb12"));
  const { status, lines } = ask("ublkb12");
  t.is(status, 0);
  t.true(lines.includes("PATHMANAGER_NAME=database"), lines.join("\n"));
  t.deepEqual(ask("ublkb2"), { status: 1, lines: [] });
});

test("a SCSI device that is a unit has the unit's names, though its identity is that of a path", (t) => {
  const { ask, disk, target, linked } = scene(t);
  disk("sda", 1);
  linked("sda", "4:0:1:0");
  disk("sdb", 1);
  linked("sdb", "7:0:1:0");
  disk("sdc", 1);
  linked("sdc", "8:0:1:0");
  target("naa.6001405000000001", 4, "lu0");
  target("naa.5001405504d00000", 7, "pathmanager_0");
  target("naa.6001405000000009", 8, "pathmanager_0");
  t.deepEqual(ask("sda").lines, [`PATHMANAGER_PATH=${IDENTITY}`], "a path over somebody's loopback target");
  for (const unit of ["sdb", "sdc"]) {
    const { status, lines } = ask(unit);
    t.is(status, 0);
    t.deepEqual(lines.slice(0, 2), [`PATHMANAGER_UNIT=${IDENTITY}`, "PATHMANAGER_NAME=database"]);
  }
});

test("without a table nothing is ours", (t) => {
  const { ask, disk } = scene(t, null);
  disk("sda", 1);
  t.is(ask("sda").status, 1);
});

test("a unit's block device has the names its disk would have", (t) => {
  const { ask, nbd } = scene(t);
  const names = [
    `PATHMANAGER_UNIT=${IDENTITY}`,
    "PATHMANAGER_NAME=database",
    "ID_VENDOR=NEC",
    "ID_MODEL=DISK_ARRAY",
    `ID_SERIAL_SHORT=${DIGITS}`,
    `ID_SERIAL=3${DIGITS}`,
    `ID_WWN=0x${DIGITS.slice(0, 16)}`,
    `ID_WWN_WITH_EXTENSION=0x${DIGITS}`,
    `ID_WWN_VENDOR_EXTENSION=0x${DIGITS.slice(16)}`,
  ];
  nbd("nbd0", `pathmanager ${IDENTITY}\n`);
  t.deepEqual(ask("nbd0"), { status: 0, lines: names });
  nbd("nbd1", "pathmanager naa.former\n");
  t.deepEqual(ask("nbd1"), { status: 0, lines: names }, "known to the driver by an earlier identity");
});

test("a unit that is in no table keeps what follows from its identity", (t) => {
  const { ask, nbd } = scene(t);
  nbd("nbd0", "pathmanager t10.LIO-ORG lu0:x y\n");
  t.deepEqual(ask("nbd0").lines, [
    "PATHMANAGER_UNIT=t10.LIO-ORG lu0:x y",
    "ID_SERIAL_SHORT=LIO-ORG_lu0:x_y",
    "ID_SERIAL=1LIO-ORG_lu0:x_y",
  ]);
  nbd("nbd1", "somebody else\n");
  t.is(ask("nbd1").status, 1);
});

test("a wrong call says how it is called", (t) => {
  const { ask } = scene(t);
  t.is(ask("--help").status, 2);
  t.is(ask("../x").status, 2);
  t.is(ask("sda", "--unknown").status, 2);
});
