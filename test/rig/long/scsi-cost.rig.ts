// What an I/O costs the machine over a unit's SCSI device (TCMU), against /dev/nbdN of the same unit: processor time of the reactor, and of
// everything else, the load's own part included. The array is the emulated one, so nothing but the way into the daemon is measured.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { median } from "../../../bench/report.ts";
import { Client } from "../../../host/cli/api-client.ts";
import { run } from "../lib/command.ts";
import { countedLoad } from "../lib/fio.ts";
import { Daemon } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 600 };

const MS_PER_TICK = 10;
const IOS = 3000;
const WARM_IOS = 4000;
const ROUNDS = 3;

/** Processor time of the daemon's reactor so far, in us. */
function reactorUs(pid: number): number {
  const of = (thread: string, name: string): string => readFileSync(`/proc/${pid}/task/${thread}/${name}`, "utf8");
  const threads = readdirSync(`/proc/${pid}/task`).filter((thread) => of(thread, "comm").trim().startsWith("reactor"));
  assert.ok(threads.length > 0, "the daemon has a thread named reactor");
  return threads.reduce((sum, thread) => sum + Number(of(thread, "schedstat").split(" ")[0]) / 1000, 0);
}

/** Of the machine's only processor, in ticks. */
function busyTicks(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (
    readFileSync("/proc/stat", "utf8").split("\n")[0] ?? ""
  )
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return user + nice + system + irq + softirq;
}

interface Cost {
  readonly reactor: number;
  readonly whole: number;
}

async function cost(pid: number, device: string, rw: string, depth: number, ios = IOS): Promise<Cost> {
  const [reactor, busy] = [reactorUs(pid), busyTicks()];
  const load = await countedLoad(device, { rw, depth, ios, sizeMib: 8 });
  assert.deepEqual([load.status, load.errors], [0, 0], load.complaint);
  return {
    reactor: (reactorUs(pid) - reactor) / load.ios,
    whole: ((busyTicks() - busy) * MS_PER_TICK * 1000) / load.ios,
  };
}

test("what an I/O costs over the SCSI device and over nbd", async () => {
  run("modprobe", "-a", "target_core_user", "tcm_loop", "sd_mod", "sg");
  const daemon = await Daemon.start("[array]\nunits = 2\npaths = 4\nunit_mib = 16\n");
  afterwards(async () => void (await daemon.stop()));
  const client = new Client("/run/pathmanager/api.sock");
  const attach = async (unit: number, driver: string): Promise<string> =>
    (await client.call<{ device: string }>("POST", `/v1/units/${unit}/attach`, { driver })).device;
  const devices = { nbd: await attach(0, "nbd"), scsi: await attach(1, "scsi") };
  for (const device of Object.values(devices)) await cost(daemon.pid, device, "randread", 16, WARM_IOS);
  for (const [rw, depth] of [
    ["randread", 1],
    ["randread", 16],
    ["randwrite", 16],
  ] as const) {
    const all: Record<string, Cost[]> = { nbd: [], scsi: [] };
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, device] of Object.entries(devices)) all[name]?.push(await cost(daemon.pid, device, rw, depth));
    }
    for (const [name, costs] of Object.entries(all)) {
      const [reactor, whole] = [costs.map((one) => one.reactor), costs.map((one) => one.whole)].map((each) =>
        Math.round(median(each)),
      );
      console.log(`    ${rw}, depth ${depth}, ${name}: ${reactor} us of the reactor, ${whole} us of the machine`);
    }
  }
  for (const unit of [0, 1]) await client.call("POST", `/v1/units/${unit}/detach`, {});
});
