// stress-ng's disk stressors with verification, on ext4 on the kernel's block device, while paths come and go every second.

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { attempt, run, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

/** aiol writes up to 256 MiB of a file, and takes a full file system for a mismatch. */
export const rig: Rig = { array: "lio", paths: 4, unitMib: 512, memoryMib: 1536, timeLimitS: 200 };

interface Unit {
  readonly paths: readonly { readonly number: string; readonly statistics: { readonly errors: number } }[];
}

/** Quick patrol; no early retirement, because here every path fails again and again. */
const CONFIGURATION = `
devices = "all"
marginal.enabled = false
${QUICK_PATROL}`;

const array = new LioArray();
const DEVICE = "/dev/nbd0";
const FOLDER = "/mnt/stress";
const STRESS_S = 15;
const FLAP_MS = 1000;

/** I/O errors of each path so far, in the order of the array's paths. */
function errorsOfPaths(): readonly number[] {
  const { units } = JSON.parse(mustPathctl("show", "--json")) as { readonly units: readonly Unit[] };
  const numbers = new Map(units.flatMap(({ paths }) => paths).map(({ number, statistics }) => [number, statistics]));
  return array.devices(0).map(({ pathNumber }) => numbers.get(pathNumber)?.errors ?? 0);
}

/** Takes one path after another offline for as long as the work goes on; the other three are there. */
async function flapUntil(work: Promise<unknown>): Promise<void> {
  const state = { over: false };
  const end = (): void => void (state.over = true);
  void work.then(end, end);
  for (let flaps = 0; !state.over; flaps++) {
    const path = flaps % array.paths().length;
    array.setPath(path, false);
    await setTimeout(FLAP_MS);
    array.setPath(path, true);
    await setTimeout(FLAP_MS / 4);
  }
}

test("stress-ng's hdd, aio and aiol verify every block while paths flap, and the file system is clean", async () => {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  afterwards(() => array.paths().forEach(({ number }) => array.setPath(number, true)));
  mustPathctl("attach", "#0", DEVICE);
  run("mkfs.ext4", "-q", DEVICE);
  run("mkdir", "-p", FOLDER);
  run("mount", DEVICE, FOLDER);
  afterwards(() => void attempt("umount", [FOLDER]));
  const stressors = "--hdd 2 --hdd-bytes 16m --hdd-opts direct,wr-seq,rd-rnd,fsync --aio 1 --aiol 1".split(" ");
  const stress = start(
    "stress-ng",
    ...stressors,
    "--verify",
    "--metrics",
    "--temp-path",
    FOLDER,
    "--timeout",
    `${STRESS_S}s`,
  );
  await flapUntil(stress);
  const { status, stdout, stderr } = await stress;
  const said = stdout + stderr;
  assert.equal(status, 0, said);
  // A block that is not what was written is told as mere information by some stressors.
  assert.doesNotMatch(said, /mismatch|fail:|error:|incorrect/i);
  for (const stressor of ["hdd", "aio", "aiol"]) {
    const operations = new RegExp(String.raw`\] ${stressor} +(\d+) `).exec(said)?.[1];
    assert.ok(Number(operations) > 0, `${stressor} did nothing: ${said}`);
  }
  for (const [path, errors] of errorsOfPaths().entries()) assert.ok(errors > 0, `no I/O met path ${path} offline`);
  run("umount", FOLDER);
  run("fsck.ext4", "-fn", DEVICE);
  mustPathctl("detach", "#0");
});
