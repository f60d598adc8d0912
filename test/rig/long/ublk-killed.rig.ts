// The whole daemon with ext4 on a unit's ublk device over four sg paths: two of them die and return, and the daemon is killed three times, all
// under one verified load. What that load waited for the longest is how long a restart stalls.

import assert from "node:assert/strict";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { attempt, run } from "../lib/command.ts";
import { writeText } from "../lib/files.ts";
import { verifiedLoad, type Load } from "../lib/fio.ts";
import { ask, Daemon, mustPathctl, pathctl } from "../lib/pathmanager.ts";
import { ScsiDebug } from "../lib/scsi-debug.ts";
import { test, type Rig } from "../lib/test.ts";
import { MS_MAX, nothingIsLeft, UBLK_DEVICE, written } from "../lib/ublk-process.ts";

export const rig: Rig = { kernel: "ublk", array: "scsi_debug", units: 1, paths: 4, unitMib: 64, timeLimitS: 7200 };

const CONFIGURATION = `
devices = "all"
marginal.enabled = false
${QUICK_PATROL}`;
const FOLDER = "/mnt/killed";
/** Longer than three restarts take, by this guest's clock, which counts instructions. */
const LOAD_S = 90;
const KILLS = ["two paths are dead", "two paths are dead, once more", "all paths are back"];

const begin = (): Promise<Daemon> => Daemon.start(CONFIGURATION, { waitMsMax: MS_MAX });

const paths = (state: "offline" | "running"): void => {
  for (const { pathNumber } of new ScsiDebug().devices(0).slice(0, 2))
    writeText(`/sys/bus/scsi/devices/${pathNumber}/state`, state);
};

/** The load, and whether it is over. */
class Loaded {
  readonly result: Promise<Load>;
  #end: Load | undefined;

  constructor(file: string) {
    this.result = verifiedLoad(file, LOAD_S).then((load) => (this.#end = load));
  }

  /** Waits for so many more writes. */
  async goesOn(count: number, when: string): Promise<void> {
    const before = written();
    const more = (): true | undefined => {
      if (this.#end !== undefined) throw new Error(`the load is over, ${when}: ${JSON.stringify(this.#end)}`);
      return written() > before + count || undefined;
    };
    await until(`${count} more writes, ${when}`, more, MS_MAX);
  }
}

/** What may tell why something failed. */
function circumstances(): string {
  const kernel = attempt("dmesg").stdout.split("\n").slice(-30).join("\n");
  const shown = pathctl("show").stdout + pathctl("events", "--limit", "40").stdout;
  return `${Daemon.log().split("\n").slice(-40).join("\n")}\n${shown}\n${kernel}`;
}

/** The paths that the daemon would use, as it says. */
async function usable(): Promise<number> {
  const { paths: all } = await ask<{ paths: readonly { readonly state: string }[] }>("/v1/units/0");
  return all.filter(({ state }) => state !== "failed").length;
}

/** Kills the daemon under I/O, starts the next one, and says how long nothing was written. */
async function killed(daemon: Daemon, load: Loaded, when: string): Promise<Daemon> {
  const beganMs = performance.now();
  await daemon.kill();
  const goneMs = performance.now();
  const next = begin();
  await load.goesOn(0, when);
  const [gone, stalled] = [goneMs - beganMs, performance.now() - beganMs].map(Math.round);
  console.log(`# kill -9, ${when}: gone after ${gone} ms, nothing was written for ${stalled} ms`);
  return await next;
}

async function proof(): Promise<void> {
  run("modprobe", "ublk_drv");
  let daemon = await begin();
  mustPathctl("attach", "#0", "--ublk");
  run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", UBLK_DEVICE);
  run("mkdir", "-p", FOLDER);
  run("mount", UBLK_DEVICE, FOLDER);
  const load = new Loaded(`${FOLDER}/file`);
  await load.goesOn(40, "before anything has happened");
  for (const [at, when] of KILLS.entries()) {
    if (at === 0) paths("offline");
    if (at === 2) {
      paths("running");
      await until("all paths are back", async () => (await usable()) === 4 || undefined, MS_MAX);
    }
    await load.goesOn(20, when);
    daemon = await killed(daemon, load, when);
  }
  const { status, errors, complaint, ios, stallMsMax } = await load.result;
  console.log(`# ${ios} verified I/Os, the longest took ${Math.round(stallMsMax)} ms`);
  assert.deepEqual([status, errors], [0, 0], complaint);
  run("umount", FOLDER);
  run("fsck.ext4", "-f", "-n", UBLK_DEVICE);
  mustPathctl("detach", UBLK_DEVICE);
  nothingIsLeft();
  assert.equal((await daemon.stop()).status, 0);
}

test("ext4 under verified load, two of four paths die and return, the daemon is killed three times: 0 errors, fsck clean", async () => {
  try {
    await proof();
  } catch (thrown) {
    console.log(circumstances().replaceAll(/^/gm, "# "));
    throw thrown;
  }
});
