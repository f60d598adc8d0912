// Before the packages are removed: a device of any driver that is still a unit's is named, and nothing is removed.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test, { type ExecutionContext } from "ava";
import { designator, naa6, page83, standard } from "../discovery/pages.ts";

const SCRIPT = readFileSync("host/cli/packaging/system/before-removal.sh", "utf8");
const HELPER = resolve("build/udev/pathmanager_id");
const SERVICE = "/run/systemd/system";
const identity = (last: number): string => `naa.${Buffer.from(naa6(last)).toString("hex")}`;

/** A host as the kernel shows it below /sys; what the script does there, and what it says. */
function host(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-removal-"));
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
  const remove = (): { status: number | null; lines: string[] } => {
    const script = SCRIPT.replaceAll("/sys/block", at("block"))
      .replaceAll("/usr/lib/udev/pathmanager_id", `"${HELPER}"`)
      .replaceAll('"$device" 2>', `"$device" --sysfs "${folder}" --table "${at("units")}" 2>`)
      .replaceAll(SERVICE, at("no-systemd"));
    const { status, stderr } = spawnSync("sh", ["-e"], { input: script, encoding: "utf8" });
    return { status, lines: stderr.split("\n").filter((line) => line !== "") };
  };
  return { file, disk, remove };
}

const said = (device: string): string =>
  `pathmanager: /dev/${device} is still attached; unmount it, then: pathctl detach /dev/${device}`;

test("its paths, others' disks and others' devices do not hold it back", (t) => {
  const { file, disk, remove } = host(t);
  file(`${identity(1)}\tdatabase\tNEC\tDISK ARRAY\t\t\n`, "units");
  disk("sda", 1, "4:0:0:0");
  disk("sdb", 2, "4:0:0:1");
  file("somebody else\n", "block", "nbd0", "backend");
  file("", "block", "nbd1", "size");
  file("", "block", "ublkb0", "size");
  t.deepEqual(remove(), { status: 0, lines: [] });
});

test("a device of nbd's, of ublk's and a SCSI device that are units' each do, and all are named", (t) => {
  const { file, disk, remove } = host(t);
  file(`${identity(1)}\tdatabase\tNEC\tDISK ARRAY\t\tublkb3\n${identity(2)}\tlog\tNEC\tDISK ARRAY\t\t\n`, "units");
  file(`pathmanager ${identity(1)}\n`, "block", "nbd0", "backend");
  file("", "block", "ublkb3", "size");
  disk("sda", 2, "4:0:0:0");
  disk("sdb", 2, "7:0:1:0");
  file("7:0:1\n", "kernel/config/target/loopback/naa.5001405504d00000/tpgt_1/address");
  t.deepEqual(remove(), { status: 1, lines: ["nbd0", "ublkb3", "sdb"].map(said) });
});
