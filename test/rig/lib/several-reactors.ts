// Two reactors, a unit with a verified load on each: what happens to one reactor, to a path or to the whole daemon costs no I/O, and what
// happens to one reactor does not even delay the other's.

import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { attempt } from "./command.ts";
import { writeText } from "./files.ts";
import { verifiedLoad, type Load } from "./fio.ts";
import { ask, Daemon, mustPathctl } from "./pathmanager.ts";
import { ScsiDebug } from "./scsi-debug.ts";
import { test } from "./test.ts";

const CONFIGURATION = `
devices = "all"
reactors = 2
marginal.enabled = false
${QUICK_PATROL}timeouts.command_ms = 5000
`;
/** Makes a reactor's core trap or stand still. */
const TROUBLE = ["--import", `${process.cwd()}/test/unit/control/fixtures/reactors.mjs`];
const FOLDER = "/etc/pathmanager";
/** Only what hangs takes longer, also where the machine's instructions are translated. */
const WAIT_MS_MAX = 300_000;
const LOAD_S = 8;
/** Units of scsi_debug show the same memory: each load has a part of it that the other does not write. */
const LOAD_MIB = 8;
const UNITS = [0, 1] as const;

const begin = (): Promise<Daemon> => Daemon.start(CONFIGURATION, { flags: TROUBLE, waitMsMax: WAIT_MS_MAX });

interface Shown {
  readonly reactor: number;
  readonly attachments: readonly { readonly device: string }[];
}
const shown = (unit: number): Promise<Shown> => ask<Shown>(`/v1/units/${unit}`);

/** How often the daemon has sent the message; undefined for never. */
async function told(message: number): Promise<number | undefined> {
  const { events } = await ask<{ events: { message: number }[] }>("/v1/events?limit=1000");
  return events.filter((one) => one.message === message).length || undefined;
}

const REACTOR_DIED = 696;
const LEFTOVERS_FOUND = 632;

/** Undefined also while no control answers. */
const deaths = (): Promise<number | undefined> => told(REACTOR_DIED).catch(() => undefined);

async function sayHeld(what: string): Promise<void> {
  console.log(`# ${what}: units whose writes waited for earlier commands: ${(await told(LEFTOVERS_FOUND)) ?? 0}`);
}

/** Sectors that a device has written. */
const written = (device: string): number =>
  Number(
    readFileSync(`/sys/block/${device.slice("/dev/".length)}/stat`, "utf8")
      .trim()
      .split(/\s+/)[4],
  );

/** What may tell why something failed. */
function circumstances(): string {
  const kernel = attempt("dmesg").stdout.split("\n").slice(-25).join("\n");
  return `${Daemon.log().split("\n").slice(-40).join("\n")}\n${kernel}`;
}

/** A verified load on both devices. */
class Loads {
  readonly results: Promise<Load>[];
  readonly over = new Set<string>();
  readonly #devices: readonly string[];

  constructor(devices: readonly string[]) {
    this.#devices = devices;
    this.results = devices.map((device, at) =>
      verifiedLoad(device, LOAD_S, LOAD_MIB, at * LOAD_MIB).finally(() => this.over.add(device)),
    );
  }

  /** Each device, or this one, writes. */
  async goOn(only?: string): Promise<void> {
    const wanted = this.#devices.filter((one) => only === undefined || one === only);
    await Promise.all(
      wanted.map(async (device) => {
        const before = written(device);
        await until(
          `${device} goes on`,
          () => this.over.has(device) || written(device) > before + 5 || undefined,
          WAIT_MS_MAX,
        );
      }),
    );
  }

  /** Longest time without an answer on each, ms; none failed and none held what was not written. */
  async end(): Promise<number[]> {
    await this.goOn();
    const loads = await Promise.all(this.results);
    for (const [at, { status, errors, complaint }] of loads.entries()) {
      assert.deepEqual([status, errors], [0, 0], `${this.#devices[at]}: ${complaint}`);
    }
    return loads.map(({ stallMsMax }) => Math.round(stallMsMax));
  }
}

/** Declares a test that says what may tell why it failed. */
function proven(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    try {
      await body();
    } catch (thrown) {
      console.log(circumstances().replaceAll(/^/gm, "# "));
      throw thrown;
    }
  });
}

/** What may happen. */
export type Trouble = "trap" | "kill" | "path" | "standstill";

/** The daemon with a unit on each of two reactors, each a device. */
class Scene {
  readonly #driver: "ublk" | "nbd";
  #daemon: Daemon | undefined;
  #devices: string[] = [];

  constructor(driver: "ublk" | "nbd") {
    this.#driver = driver;
  }

  async begin(): Promise<void> {
    attempt("modprobe", ["ublk_drv"]);
    this.#daemon = await begin();
    this.#devices = await Promise.all(
      UNITS.map(async (unit) => {
        mustPathctl("attach", `#${unit}`, `--${this.#driver}`);
        return (await shown(unit)).attachments[0]?.device ?? "";
      }),
    );
    assert.equal(new Set([await this.#on(0), await this.#on(1)]).size, 2);
  }

  async end(): Promise<void> {
    assert.equal((await this.#daemon?.stop())?.status, 0);
  }

  /** The device whose unit is on this reactor. */
  async #on(reactor: number): Promise<string> {
    for (const unit of UNITS) if ((await shown(unit)).reactor === reactor) return this.#devices[unit] ?? "";
    throw new Error(`no unit is on reactor ${reactor}`);
  }

  /** Both loads, under way. Where the machine is busy one may be over before the other has begun: then again. */
  async #loaded(): Promise<Loads> {
    const loads = new Loads(this.#devices);
    await loads.goOn();
    if (loads.over.size === 0) return loads;
    console.log(
      `# one load was over before the other had begun: ${(await loads.end()).join(" and ")} ms without an answer`,
    );
    return this.#loaded();
  }

  async trap(): Promise<void> {
    const loads = await this.#loaded();
    const [other, own] = [await this.#on(0), await this.#on(1)];
    writeFileSync(`${FOLDER}/TRAP 1`, "");
    await loads.goOn(other);
    const stalls = await loads.end();
    const [mine = 0, its = 0] = [own, other].map((device) => stalls[this.#devices.indexOf(device)]);
    console.log(`# a trap in a core: ${mine} ms without an answer, on the other reactor ${its} ms`);
    assert.ok(its < mine, "the other reactor's unit did not wait for it");
    // A new control has to take over first.
    assert.equal(await until("the end of a reactor is told", deaths, WAIT_MS_MAX), 1);
    await sayHeld("a trap in a core");
  }

  async kill(): Promise<void> {
    const loads = await this.#loaded();
    const beginMs = performance.now();
    await this.#daemon?.kill();
    const goneMs = performance.now();
    this.#daemon = await begin();
    const answersMs = performance.now();
    await loads.goOn();
    const goesOnMs = performance.now();
    const [ended, started, goes] = [goneMs - beginMs, answersMs - goneMs, goesOnMs - answersMs].map(Math.round);
    console.log(
      `# kill -9: the daemon is gone after ${ended} ms, the next one answers after ${started}, I/O goes on after ${goes}`,
    );
    console.log(`# kill -9: ${(await loads.end()).join(" and ")} ms without an answer`);
    await sayHeld("kill -9");
  }

  async path(): Promise<void> {
    const loads = await this.#loaded();
    const paths = UNITS.map((unit) => new ScsiDebug().devices(unit)[0]?.pathNumber ?? "");
    const all = (state: string): void => {
      for (const path of paths) writeText(`/sys/bus/scsi/devices/${path}/state`, state);
    };
    all("offline");
    await loads.goOn();
    all("running");
    console.log(`# a path dies: ${(await loads.end()).join(" and ")} ms without an answer`);
  }

  async standstill(): Promise<void> {
    const loads = await this.#loaded();
    const other = await this.#on(0);
    writeFileSync(`${FOLDER}/SILENT 1`, "");
    await pause(500);
    await loads.goOn(other);
    rmSync(`${FOLDER}/SILENT 1`);
    console.log(`# a reactor stands still: ${(await loads.end()).join(" and ")} ms without an answer`);
  }
}

const WHAT: Readonly<Record<Trouble, string>> = {
  trap: "a trap in one core: its unit goes on with the next, the other is not delayed",
  kill: "the daemon is killed under load and started again",
  path: "a path of each dies and returns",
  standstill: "a reactor stands still: the other goes on; then both do",
};

/** Declares the tests for one driver. */
export function severalReactors(driver: "ublk" | "nbd", troubles: readonly Trouble[]): void {
  const scene = new Scene(driver);
  proven(`${driver}: each of two units is on a reactor of its own`, () => scene.begin());
  for (const trouble of troubles) proven(`${driver}: ${WHAT[trouble]}`, () => scene[trouble]());
  proven(`${driver}: the daemon stops`, () => scene.end());
}
