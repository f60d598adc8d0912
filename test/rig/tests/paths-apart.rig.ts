// An array each of whose paths tells of itself alone, as controllers do that know little of each other: what one of them says of
// access states and size is not all there is to know.

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { run } from "../lib/command.ts";
import { writeText } from "../lib/files.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl, NBD_SOCKET, statusText } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio-mapped", paths: 4, timeLimitS: 180 };

const CONFIGURATION = `
devices = "all"
${QUICK_PATROL}`;
const MIB = 1 << 20;

const array = new LioArray();

interface Unit {
  readonly bytes: number;
  readonly paths: readonly {
    readonly number: string;
    readonly state: string;
    readonly alua: { readonly state: string } | null;
  }[];
}

const unit = (): Unit | undefined => (JSON.parse(mustPathctl("show", "--json")) as { units: Unit[] }).units[0];
const shown = (): string => (unit()?.paths ?? []).map(({ alua, state }) => `${alua?.state} ${state}`).join(", ");
const told = (): string => (unit()?.paths ?? []).map(({ alua }) => alua?.state).join(", ");

test("access states that each controller tells of itself alone are right from the start on, and followed", async () => {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => {
    array.setAlua("A", "optimized");
    array.setAlua("B", "non-optimized");
    await daemon.stop();
  });
  assert.equal(shown(), "optimized in use, optimized in use, non-optimized active, non-optimized active");
  array.setAlua("A", "standby");
  array.setAlua("B", "optimized");
  const expected = "standby, standby, optimized, optimized";
  await until("the change is followed", () => told() === expected).catch(() => assert.equal(told(), expected));
});

test("a unit that grew is noticed by the rescan that the guide prescribes, which no unit attention tells of", async () => {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  mustPathctl("attach", "#0", "/dev/nbd0");
  const before = unit()?.bytes ?? 0;
  array.growUnit(0, before / MIB + 16);
  await setTimeout(1500);
  assert.equal(unit()?.bytes, before);
  for (const { pathNumber } of array.devices(0)) writeText(`/sys/class/scsi_device/${pathNumber}/device/rescan`, 1);
  await until("the new size is shown", () => unit()?.bytes === before + 16 * MIB);
  assert.equal(Number(run("blockdev", "--getsize64", "/dev/nbd0")), before + 16 * MIB);
  run("sh", "-c", `nbdinfo --size 'nbd+unix:///lu0?socket=${NBD_SOCKET}' | grep -qx ${before + 16 * MIB}`);
  mustPathctl("detach", "#0");
});

test("a unit of which one path still shows the old size keeps that until all agree, and no write is lost", async () => {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  mustPathctl("attach", "#0", "/dev/nbd0");
  const before = unit()?.bytes ?? 0;
  const rescan = (): void => {
    for (const { pathNumber } of array.devices(0)) writeText(`/sys/class/scsi_device/${pathNumber}/device/rescan`, 1);
  };
  array.growUnit(0, before / MIB + 16, [0, 1, 2]);
  rescan();
  await until("it is told which path is late", () => mustPathctl("events").includes(" 662  "));
  assert.equal(unit()?.bytes, before);
  assert.match(statusText(), new RegExp(`differ in size: .* says ${before} bytes.*; it has ${before} bytes until`));
  array.growUnit(0, before / MIB + 16, [3]);
  rescan();
  await until("the new size is shown", () => unit()?.bytes === before + 16 * MIB, 60_000);
  const seek = String(before / MIB);
  run("dd", "if=/dev/urandom", "of=/tmp/new", "bs=1M", "count=16");
  run("dd", "if=/tmp/new", "of=/dev/nbd0", "bs=1M", `seek=${seek}`, "oflag=direct");
  run("sh", "-c", `dd if=/dev/nbd0 bs=1M skip=${seek} count=16 iflag=direct | cmp - /tmp/new`);
  mustPathctl("detach", "#0");
});
