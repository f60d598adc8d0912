// A machine of Debian's packages boots from a unit: its tree is made by mmdebstrap, our package installed in it, its initramfs made by its own
// initramfs-tools with the package's hook. It runs in user-mode-linux, over an array that its initramfs makes out of two disks.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Booted } from "./boot-machine.ts";
import { makeFiles, MAKERS, type Files, type Maker } from "./boot-tree.ts";

/**
 * What a silent path may cost at power off. What is written again waits as long as the silent path could still write it: where no reset of it
 * returns, as here, until its own deadline, `io_ms` (60 s). What hangs costs 40 s for the daemon, or 180 s at the end or where LVM
 * looks at every disk. The mark of 15 s for the whole is for a quiet machine: see what is printed.
 */
const SILENT_MS_MAX = 90_000;
/** For how much longer than with healthy ones alone a machine with a dead path may have nothing to do at boot. */
const DEAD_S_MAX = 5;

/** What the machine says of itself, and what systemd says at the end. */
const told = (text: string): string =>
  text
    .split("\n")
    .filter((line) => /check: |timed out|still around after SIGKILL|Waiting for process/.test(line))
    .join("\n");

function isWhole(console: string, root: RegExp): void {
  const text = told(console);
  assert.match(text, root);
  assert.match(text, /check: \/srv\/data is \/dev\/nbd\d+ of pathmanager naa\.6001405000000000000000000000500b/);
  assert.match(text, /check: failed: *$/m, "no unit of systemd's has failed");
  assert.doesNotMatch(text, /check: an error/);
  assert.doesNotMatch(
    text,
    /pathmanagerd.*timed out|still around after SIGKILL|Waiting for process/,
    "nothing hangs at its end",
  );
  assert.match(text, /check: swap is \/dev\/nbd\d+/);
  assert.match(text, /check: \/srv\/bound is \/srv\/data\/bound/);
}

/** What lies on a unit goes before the daemon does. */
function goesDownInOrder(text: string, ...more: readonly string[]): void {
  const end = text.indexOf("Stopping pathmanagerd.service");
  assert.notEqual(end, -1, "the daemon is stopped");
  for (const mark of [
    "Unmounted srv-bound.mount",
    "Unmounted srv-data.mount",
    "Deactivated swap dev-disk-by",
    ...more,
  ]) {
    const at = text.indexOf(mark);
    assert.ok(at !== -1 && at < end, `${mark}, before the daemon is stopped`);
  }
}

const FROM_UNIT = /check: \/ is \/dev\/nbd\d+ of pathmanager naa\.6001405000000000000000000000500a/;
const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** The root on a unit: with all its paths, with one that is offline, with one that is silent. */
async function rootOnUnit(files: Files, maker: Maker): Promise<void> {
  const seconds: Record<string, number> = {};
  for (const dead of ["none", "offline", "silent"]) {
    const words = ["root=/dev/pathmanager/root", `dead=${dead}`];
    await using machine = new Booted(files, `${maker}-${dead}`, { words, maker });
    const { mountedS, idleS } = await machine.mounts();
    seconds[dead] = idleS;
    console.log(
      `ok - root on a unit, ${maker}, dead path: ${dead}: mounted ${mountedS.toFixed(1)} s after its disks were there, idle for ${idleS.toFixed(1)} s of them`,
    );
    if (dead !== "offline") continue;
    const powerOffMs = await machine.powersOff();
    isWhole(machine.console, FROM_UNIT);
    console.log(`ok - root on a unit, degraded: off in ${inSeconds(powerOffMs)} under I/O, file systems whole`);
  }
  const { none = 0, ...others } = seconds;
  for (const [dead, taken] of Object.entries(others)) {
    assert.ok(taken - none < DEAD_S_MAX, `a path that is ${dead} costs ${(taken - none).toFixed(1)} s at boot`);
  }
}

/** What a command sets while the root is on a unit is in force after the next boot. */
async function settingsStay(files: Files): Promise<void> {
  const words = ["root=/dev/pathmanager/root"];
  {
    await using machine = new Booted(files, "sets", { words: [...words, "disable=yes"] });
    await machine.powersOff();
    isWhole(machine.console, FROM_UNIT);
    assert.match(told(machine.console), /check: disabled: *$/m);
  }
  await using machine = new Booted(files, "has", { words, isNext: true });
  await machine.powersOff();
  isWhole(machine.console, FROM_UNIT);
  assert.match(told(machine.console), /check: disabled: 2:0:1:0 *$/m);
  console.log("ok - root on a unit: a path that a command disabled is disabled after the next boot");
}

/** How long the kernel keeps what is asked of a device of ours when no daemon serves it any more. */
const DEAD_DAEMON_MS = 300_000;

/** A volume of LVM that lies on a unit is mounted after the next boot, by nothing but a line in fstab. */
async function volumeComesBack(files: Files): Promise<void> {
  const ways = { root: ["root=/dev/pathmanager/root"], data: ["root=/dev/ubda", "array=late", "nopathmanager"] };
  for (const [way, words] of Object.entries(ways)) {
    const took: number[] = [];
    // The second one as where lvm2's own service, which takes volumes apart at the end, is not enabled.
    for (const [boot, word] of [
      ["makes", "volume=make"],
      ["has", "systemd.mask=blk-availability.service"],
    ] as const) {
      const options = { words: [...words, word], isNext: boot === "has" };
      await using machine = new Booted(files, `${way}-${boot}-volume`, options);
      const offMs = await machine.powersOff();
      assert.ok(offMs < DEAD_DAEMON_MS, `off in ${inSeconds(offMs)}: something waited for a daemon that had gone`);
      took.push(offMs);
      isWhole(machine.console, way === "root" ? FROM_UNIT : /check: \/ is \/dev\/ubda/);
      assert.match(told(machine.console), /check: \/srv\/volume is \/dev\/mapper\/volumes-data, kept/);
      if (way === "data") goesDownInOrder(machine.console, "Unmounted srv-volume.mount");
    }
    const [first = 0, second = 0] = took;
    console.log(
      `ok - ${way}, a volume of LVM on a unit: mounted at the next boot, off in ${inSeconds(first)}, ${inSeconds(second)}`,
    );
  }
}

/** A path that falls silent, whose reset never returns, does not keep a machine from going off. */
async function silentAtTheEnd(files: Files): Promise<void> {
  const ways = { root: ["root=/dev/pathmanager/root"], data: ["root=/dev/ubda", "array=late", "nopathmanager"] };
  for (const [way, words] of Object.entries(ways)) {
    const took: number[] = [];
    for (const silence of ["none", "off"]) {
      await using machine = new Booted(files, `${way}-${silence}`, { words: [...words, `silence=${silence}`] });
      took.push(await machine.powersOff());
      isWhole(machine.console, way === "root" ? FROM_UNIT : /check: \/ is \/dev\/ubda/);
      if (way === "data") goesDownInOrder(machine.console);
    }
    const [healthy = 0, silent = 0] = took;
    assert.ok(silent - healthy < SILENT_MS_MAX, `a silent path costs ${inSeconds(silent - healthy)} at power off`);
    console.log(
      `ok - ${way} on a unit: off in ${inSeconds(healthy)} under I/O, with a silent path in ${inSeconds(silent)}`,
    );
  }
}

const CASES: Readonly<Record<string, (files: Files) => Promise<void>>> = {
  volume: volumeComesBack,
  silent: silentAtTheEnd,
  settings: settingsStay,
  ...Object.fromEntries(MAKERS.map((maker) => [`dead-${maker}`, (files: Files) => rootOnUnit(files, maker)])),
};

/**
 * @param part of the names of the cases that are run; "": all of them
 * @returns whether all is as it should be; what is not is printed
 */
export async function boots(part = ""): Promise<boolean> {
  const cases = Object.entries(CASES).filter(([name]) => name.includes(part));
  if (cases.length === 0) throw new Error(`boot: no case ${part}; there are ${Object.keys(CASES).join(", ")}`);
  // In memory: what the machine flushes waits for no disk.
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "pathmanager-boot-"));
  let isGood = true;
  try {
    const files = makeFiles(folder);
    const sizes = Object.entries(files.initials).map(
      ([maker, file]) => `${maker} ${Math.round(statSync(file).size / 2 ** 20)} MiB`,
    );
    console.log(`ok - a tree of Debian's packages with ours, its initramfs: ${sizes.join(", ")}`);
    for (const [name, run] of cases) {
      try {
        await run(files);
      } catch (thrown) {
        // Not the whole of it, which holds the console.
        console.log(`not ok - ${name}: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
        isGood = false;
      }
    }
    return isGood;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
