// Two reactors, a unit with a verified load on each: what happens to one reactor costs no I/O, and does not even delay the other's.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { attempt } from "./command.ts";
import { verifiedLoad, type Load } from "./fio.ts";
import { ask, Daemon, mustPathctl } from "./pathmanager.ts";
import { test } from "./test.ts";

const CONFIGURATION = `
devices = "all"
reactors = 2
marginal.enabled = false
${QUICK_PATROL}timeouts.command_ms = 5000
`;
/** Makes a reactor's core trap. */
const TROUBLE = ["--import", `${process.cwd()}/test/unit/control/fixtures/reactors.mjs`];
const FOLDER = "/etc/pathmanager";
/** Only what hangs takes longer, also where the machine's instructions are translated. */
const WAIT_MS_MAX = 300_000;
const LOAD_S = 8;
const UNITS = [0, 1] as const;

const begin = (): Promise<Daemon> => Daemon.start(CONFIGURATION, { flags: TROUBLE, waitMsMax: WAIT_MS_MAX });

interface Shown {
  readonly reactor: number;
  readonly attachments: readonly { readonly device: string }[];
}
const shown = (unit: number): Promise<Shown> => ask<Shown>(`/v1/units/${unit}`);

/** How many reactors the daemon has reported as ended and started again; undefined if none. */
async function falls(): Promise<number | undefined> {
  const { events } = await ask<{ events: { message: number }[] }>("/v1/events?limit=1000");
  return events.filter(({ message }) => message === 696).length || undefined;
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
    this.results = devices.map((device) => verifiedLoad(device, LOAD_S, 8).finally(() => this.over.add(device)));
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

/** Declares the tests for one driver. */
export function severalReactors(driver: "ublk" | "nbd"): void {
  let devices: string[] = [];

  /** The device whose unit is on this reactor. */
  async function on(reactor: number): Promise<string> {
    for (const unit of UNITS) if ((await shown(unit)).reactor === reactor) return devices[unit] ?? "";
    throw new Error(`no unit is on reactor ${reactor}`);
  }

  async function started(): Promise<Loads> {
    const loads = new Loads(devices);
    await loads.goOn();
    assert.equal(loads.over.size, 0, "the loads are under way");
    return loads;
  }

  proven(`${driver}: each of two units is on a reactor of its own`, async () => {
    attempt("modprobe", ["ublk_drv"]);
    await begin();
    devices = await Promise.all(
      UNITS.map(async (unit) => {
        mustPathctl("attach", `#${unit}`, `--${driver}`);
        return (await shown(unit)).attachments[0]?.device ?? "";
      }),
    );
    assert.equal(new Set([await on(0), await on(1)]).size, 2);
  });

  proven(`${driver}: a trap in one core: its unit goes on with the next, the other is not delayed`, async () => {
    const loads = await started();
    const [other, own] = [await on(0), await on(1)];
    writeFileSync(`${FOLDER}/TRAP 1`, "");
    await loads.goOn(other);
    const stalls = await loads.end();
    const [mine = 0, its = 0] = [own, other].map((device) => stalls[devices.indexOf(device)]);
    console.log(`# a trap in a core: ${mine} ms without an answer, on the other reactor ${its} ms`);
    assert.ok(its < mine, "the other reactor's unit did not wait for it");
    // A new control has to take over first.
    const told = await until(
      "the end of a reactor is told",
      async () => await falls().catch(() => undefined),
      WAIT_MS_MAX,
    );
    assert.equal(told, 1);
  });
}
