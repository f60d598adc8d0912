// When the system goes down: what lies on units' devices of any driver, or on their partitions, is taken apart, and nothing else.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test from "ava";
import { designator, naa6, page83, standard } from "../discovery/pages.ts";

const SCRIPT = readFileSync("host/cli/packaging/system/volumes", "utf8");
const HELPER = resolve("build/udev/pathmanager_id");
const identity = (last: number): string => `naa.${Buffer.from(naa6(last)).toString("hex")}`;

test("holders of devices of nbd's and ublk's, and of SCSI devices that are units, not of paths and others' disks", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-volumes-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const at = (...names: readonly string[]): string => join(folder, ...names);
  const file = (text: string | Uint8Array, ...names: readonly string[]): void => {
    mkdirSync(join(at(...names), ".."), { recursive: true });
    writeFileSync(at(...names), text);
  };
  const disk = (name: string, last: number, number: string): void => {
    file(standard("NEC", "DISK ARRAY"), "devices", number, "inquiry");
    file(page83(designator(3, 0, naa6(last))), "devices", number, "vpd_pg83");
    mkdirSync(at("block", name), { recursive: true });
    symlinkSync(at("devices", number), at("block", name, "device"));
  };
  file(`${identity(1)}\tdatabase\tNEC\tDISK ARRAY\t\tublkb3\n${identity(2)}\tlog\tNEC\tDISK ARRAY\t\t\n`, "units");
  file(`pathmanager ${identity(1)}\n`, "block/nbd0/backend");
  file("somebody else\n", "block/nbd1/backend");
  disk("sda", 2, "4:0:0:0");
  disk("sdb", 2, "7:0:1:0");
  disk("sdc", 3, "4:0:0:1");
  file("7:0:1\n", "kernel/config/target/loopback/naa.5001405504d00000/tpgt_1/address");
  const holders = ["nbd0", "nbd0/nbd0p1", "nbd1", "ublkb3/ublkb3p2", "sda", "sdb", "sdb/sdb1", "sdc"];
  for (const [number, holder] of holders.entries()) file("", "block", holder, `holders/dm-${number}`);
  const script = SCRIPT.replaceAll("/sys/block", at("block"))
    .replaceAll("/usr/lib/udev/pathmanager_id", `"${HELPER}"`)
    .replaceAll('"$name" 2>', `"$name" --sysfs "${folder}" --table "${at("units")}" 2>`)
    // Nothing of this machine is touched.
    .replaceAll("/dev/${holder##*/}", "${holder##*/}")
    .replace(/^for device in \$devices[\s\S]*/m, "echo $devices");
  const { status, stdout, stderr } = spawnSync("sh", [], { input: script, encoding: "utf8" });
  t.deepEqual([status, stderr], [0, ""]);
  const found = stdout
    .trim()
    .split(" ")
    .map((name) => holders[Number(name.replace("dm-", ""))]);
  t.deepEqual(found.toSorted(), ["nbd0", "nbd0/nbd0p1", "sdb", "sdb/sdb1", "ublkb3/ublkb3p2"]);
});
