// One measurement of test/rig/compare.ts, inside the guest: node test/rig/compare-guest.ts SYSTEM FAULT SECONDS
// Prints one line of JSON: what the load saw while the fault came and went.

import { setTimeout } from "node:timers/promises";
import { runFio } from "./lib/fio.ts";
import { LioArray } from "./lib/lio.ts";
import { OPTS, ScsiDebug } from "./lib/scsi-debug.ts";
import { SYSTEMS } from "./lib/systems.ts";

interface Fault {
  readonly begin: () => void;
  readonly end: () => void;
}

const FAULTS: Readonly<Record<string, Fault>> = {
  none: { begin: () => undefined, end: () => undefined },
  "controller offline": {
    begin: () => new LioArray().setController("A", false),
    end: () => new LioArray().setController("A", true),
  },
  "path silent": {
    begin: () => new LioArray().answerPath(0, false),
    end: () => new LioArray().answerPath(0, true),
  },
  // Not a fault: two paths answer in 10 ms and two in 40 ms, from before the load until its end.
  "unequal paths": { begin: () => undefined, end: () => undefined },
  "commands lost": {
    begin: () => {
      const array = new ScsiDebug();
      array.set("every_nth", 100);
      array.set("opts", OPTS.timeout);
    },
    end: () => {
      const array = new ScsiDebug();
      array.set("opts", OPTS.none);
      array.set("every_nth", 0);
    },
  },
};

const [, , system = "", faultName = "", seconds = "20"] = process.argv;
const fault = FAULTS[faultName];
const setUp = SYSTEMS[system];
if (fault === undefined || setUp === undefined) throw new Error(`unknown system "${system}" or fault "${faultName}"`);

const unequal = faultName === "unequal paths";
if (unequal) {
  const array = new LioArray();
  // One priority group for all paths, so that the selector decides and not the access state.
  array.setAlua("B", "optimized");
  for (const path of array.paths()) array.delayPath(path.number, path.controller === "A" ? 10 : 40);
}
const filename = await setUp();
const runtime = Number(seconds);
const load = runFio({
  name: "compare",
  filename,
  rw: unequal ? "randread" : "randrw",
  bs: "4k",
  size: "32m",
  direct: 1,
  ioengine: "libaio",
  iodepth: unequal ? 16 : 4,
  time_based: 1,
  runtime,
  continue_on_error: "all",
});
await setTimeout(runtime * 250);
fault.begin();
await setTimeout(runtime * 400);
fault.end();
console.log(`RESULT ${JSON.stringify(await load)}`);
process.exit(0);
