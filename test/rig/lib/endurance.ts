// The endurance test: ext4 with verified load on one block device while paths, controllers and the daemon itself fail.

import { setTimeout } from "node:timers/promises";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { run } from "./command.ts";
import { verifiedLoad, type Load } from "./fio.ts";
import { LioArray } from "./lio.ts";
import { Daemon, getlun, mustPathctl } from "./pathmanager.ts";
import { Random } from "./random.ts";
import type { Controller } from "./stores.ts";

export interface EnduranceOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Number of rounds in which the daemon is killed with SIGKILL. */
  readonly kills: number;
}

export interface EnduranceResult {
  readonly rounds: number;
  readonly ios: number;
  readonly errors: number;
  readonly stallMsMax: number;
  /** The faults that were injected, and how often. */
  readonly faults: ReadonlyMap<string, number>;
}

const DEVICE = "/dev/nbd0";
const FOLDER = "/mnt/endurance";
const ROUND_S = 5;

/** A fast patrol, so that a round is short; no marginal paths, because every path fails repeatedly here. */
const CONFIGURATION = `
devices = "all"
marginal.enabled = false
${QUICK_PATROL}`;

interface Fault {
  readonly name: string;
  /** Injects a fault into the array; returns a function that repairs it. At least one path stays usable meanwhile. */
  readonly strike: (array: LioArray, random: Random) => () => void;
}

const CONTROLLER_NAMES: readonly [Controller, ...Controller[]] = ["A", "B"];
const anyPath = (array: LioArray, random: Random): number => random.below(array.paths().length);

const FAULTS: readonly [Fault, ...Fault[]] = [
  {
    name: "path offline",
    strike(array, random) {
      const path = anyPath(array, random);
      array.setPath(path, false);
      return () => array.setPath(path, true);
    },
  },
  {
    name: "controller offline",
    strike(array, random) {
      const controller = random.pick(CONTROLLER_NAMES);
      array.setController(controller, false);
      return () => array.setController(controller, true);
    },
  },
  {
    name: "all paths but one offline",
    strike(array, random) {
      const spared = anyPath(array, random);
      const others = array.paths().filter(({ number }) => number !== spared);
      for (const { number } of others) array.setPath(number, false);
      return () => others.forEach(({ number }) => array.setPath(number, true));
    },
  },
  {
    name: "path silent",
    strike(array, random) {
      const path = anyPath(array, random);
      array.answerPath(path, false);
      return () => array.answerPath(path, true);
    },
  },
  {
    name: "path slow",
    strike(array, random) {
      const path = anyPath(array, random);
      array.delayPath(path, 200);
      return () => array.delayPath(path, 0);
    },
  },
  {
    name: "ALUA swap",
    strike(array) {
      array.setAlua("A", "non-optimized");
      array.setAlua("B", "optimized");
      return () => {
        array.setAlua("B", "non-optimized");
        array.setAlua("A", "optimized");
      };
    },
  },
  {
    name: "controller in standby",
    strike(array, random) {
      const controller = random.pick(CONTROLLER_NAMES);
      const before = array.alua(controller, 0) ?? "optimized";
      array.setAlua(controller, "standby");
      return () => array.setAlua(controller, before);
    },
  },
  {
    name: "path flaps",
    strike(array, random) {
      const path = anyPath(array, random);
      for (const online of [false, true, false, true, false]) array.setPath(path, online);
      return () => array.setPath(path, true);
    },
  },
];

/** The rounds in which the daemon is killed: evenly distributed, never the first. */
function killRounds({ rounds, kills }: EnduranceOptions): ReadonlySet<number> {
  return new Set(Array.from({ length: kills }, (_, kill) => Math.floor(((kill + 1) * rounds) / (kills + 1))));
}

/** Runs the test; throws an error with the seed and the round in its message when a load fails. */
export async function endurance(options: EnduranceOptions, log: (line: string) => void): Promise<EnduranceResult> {
  const array = new LioArray();
  const random = new Random(options.seed);
  const kills = killRounds(options);
  const faults = new Map<string, number>();
  let daemon = await Daemon.start(CONFIGURATION);
  mustPathctl("attach", "#0", DEVICE);
  run("mkfs.ext4", "-q", DEVICE);
  run("mkdir", "-p", FOLDER);
  run("mount", DEVICE, FOLDER);
  const loads: Load[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const load = verifiedLoad(`${FOLDER}/file${round % 2}`, ROUND_S, 8);
    await setTimeout(500 + random.below(1000));
    const fault = random.pick(FAULTS);
    const name = kills.has(round) ? `${fault.name} + daemon killed` : fault.name;
    faults.set(name, (faults.get(name) ?? 0) + 1);
    const heal = fault.strike(array, random);
    try {
      if (kills.has(round)) {
        await daemon.kill();
        daemon = await Daemon.start(CONFIGURATION);
      }
      await setTimeout(500 + random.below(1500));
    } finally {
      heal();
    }
    const result = await load;
    loads.push(result);
    log(
      `round ${round}: ${name}: ${result.ios} I/Os, ${result.errors} errors, longest ${Math.round(result.stallMsMax)} ms`,
    );
    if (result.errors > 0 || result.status !== 0) {
      const tail = Daemon.log().split("\n").slice(-40).join("\n");
      throw new Error(`round ${round} (${name}) of seed ${options.seed}: ${result.complaint}\n${getlun()}\n${tail}`);
    }
    await until("every path is healthy again", () => !/^ X/m.test(getlun()), 30_000);
  }
  run("umount", FOLDER);
  run("fsck.ext4", "-fn", DEVICE);
  mustPathctl("detach", "#0");
  await daemon.stop();
  return {
    rounds: options.rounds,
    ios: loads.reduce((sum, { ios }) => sum + ios, 0),
    errors: loads.reduce((sum, { errors }) => sum + errors, 0),
    stallMsMax: Math.max(...loads.map(({ stallMsMax }) => stallMsMax)),
    faults,
  };
}
