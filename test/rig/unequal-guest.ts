// Unequal paths over ublk, against dm-multipath's selectors, all in one guest:
//
//   npm run rig -- --kernel ublk --array lio-mapped --time-limit 7200 node test/rig/unequal-guest.ts --rounds 5 --seconds 8
//
// Two paths answer in 10 ms and two in 40 ms; all are active/optimized. Prints each load and the medians.

import { parseArgs } from "node:util";
import { bareMultipath, removeBareMultipath } from "./lib/bare-multipath.ts";
import { run } from "./lib/command.ts";
import { runFio } from "./lib/fio.ts";
import { LioArray } from "./lib/lio.ts";
import type { Selector } from "./lib/multipath.ts";
import { Daemon, mustPathctl } from "./lib/pathmanager.ts";
import { UBLK_DEVICE } from "./lib/ublk-process.ts";

const MIB = 64;
const DELAY_MS = { A: 10, B: 40 } as const;
const START_MS_MAX = 300_000;
const SELECTORS: readonly Selector[] = ["service-time", "queue-length", "round-robin"];

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "8" } },
});
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];

interface Figures {
  readonly iops: number;
  readonly p99Ms: number;
  readonly stallMsMax: number;
}
const figures = new Map<string, Figures[]>();

async function measure(system: string, filename: string): Promise<void> {
  const { status, errors, complaint, iops, p99Ms, stallMsMax } = await runFio({
    name: "unequal",
    filename,
    rw: "randread",
    bs: "4k",
    size: "32m",
    direct: 1,
    ioengine: "libaio",
    iodepth: 16,
    time_based: 1,
    runtime: seconds,
  });
  if (status !== 0 || errors > 0) throw new Error(`${system}: ${complaint}`);
  figures.set(system, [...(figures.get(system) ?? []), { iops, p99Ms, stallMsMax }]);
  console.log(`${system}: ${iops} I/Os per s, p99 ${p99Ms.toFixed(1)} ms, longest ${stallMsMax.toFixed(0)} ms`);
}

/** After one load that does not count: V8 compiles meanwhile, and nothing of it is a path's. */
async function ours(): Promise<void> {
  const daemon = await Daemon.start('devices = "all"\npolicy = "adaptive"\n', { waitMsMax: START_MS_MAX });
  mustPathctl("attach", "#0", "--ublk");
  for (let round = 0; round <= rounds; round++)
    await measure(round === 0 ? "(first load)" : "PathManager adaptive, ublk", UBLK_DEVICE);
  mustPathctl("detach", UBLK_DEVICE);
  await daemon.stop();
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

run("modprobe", "ublk_drv");
const array = new LioArray();
array.setAlua("B", "optimized");
for (const path of array.paths()) array.delayPath(path.number, DELAY_MS[path.controller]);
for (const selector of SELECTORS) {
  const device = bareMultipath(selector, "rq", MIB);
  for (let round = 0; round < rounds; round++) await measure(`dm-multipath ${selector}`, device);
  removeBareMultipath();
}
await ours();
console.log("| system | longest stall, ms | p99, ms | I/Os per s |\n| --- | --- | --- | --- |");
for (const [system, all] of figures) {
  const [stall, p99, iops] = [
    all.map((one) => one.stallMsMax),
    all.map((one) => one.p99Ms),
    all.map((one) => one.iops),
  ];
  console.log(`| ${system} | ${median(stall).toFixed(0)} | ${median(p99).toFixed(1)} | ${median(iops).toFixed(0)} |`);
}
process.exit(0);
