// Path numbers that Linux gives anew: a device is taken for the unit it says it leads to, whatever its number led to before.

import assert from "node:assert/strict";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { run } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl, NBD_SOCKET } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 4, timeLimitS: 150 };

const CONFIGURATION = `
devices = "all"
${QUICK_PATROL}`;

const array = new LioArray();

interface Unit {
  readonly number: number;
  readonly identity: { readonly text: string };
  readonly paths: readonly {
    readonly number: string;
    readonly state: string;
    readonly conditions: readonly string[];
  }[];
}

const units = (): readonly Unit[] => (JSON.parse(mustPathctl("show", "--json")) as { units: Unit[] }).units;

/** The paths that a unit really has. */
const devicesOf = (unit: number): readonly string[] =>
  array
    .devices(unit)
    .map(({ pathNumber }) => pathNumber)
    .toSorted();

/** Waits until each unit has the paths that lead to it, and uses them. */
async function settled(identities: readonly string[]): Promise<void> {
  const expected = identities.map((_, unit) => devicesOf(unit));
  const isRight = (shown: readonly Unit[]): boolean =>
    shown.length === identities.length &&
    shown.every(
      ({ identity, paths }, number) =>
        identity.text === identities[number] &&
        paths
          .map((path) => path.number)
          .toSorted()
          .join() === expected[number]?.join() &&
        paths.every(({ state }) => state === "in use" || state === "active"),
    );
  await until("each unit has its paths", () => isRight(units())).catch(() =>
    assert.fail(`expected ${JSON.stringify([identities, expected])}, shown ${JSON.stringify(units())}`),
  );
}

const sums = (): readonly string[] =>
  [0, 1].map((unit) => run("sh", "-c", `nbdcopy 'nbd+unix:///lu${unit}?socket=${NBD_SOCKET}' - | sha256sum`));

test("host adapters that are made again in another order, and LUNs swapped while stopped: every unit has its paths", async () => {
  let daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  const identities = units().map(({ identity }) => identity.text);
  assert.equal(new Set(identities).size, 2);
  for (const unit of [0, 1])
    run("sh", "-c", `head -c 1M /dev/urandom | nbdcopy - 'nbd+unix:///lu${unit}?socket=${NBD_SOCKET}'`);
  const written = sums();
  assert.notEqual(written[0], written[1]);
  await settled(identities);

  await array.remakeHosts([3, 1, 0, 2]);
  await settled(identities);
  assert.deepEqual(sums(), written);

  await daemon.stop();
  for (const { number } of array.paths()) {
    array.remap(number, 0, 1);
    array.remap(number, 1, 0);
  }
  await until("all devices are back", () => devicesOf(0).length + devicesOf(1).length === 8);
  daemon = await Daemon.start(CONFIGURATION);
  await settled(identities);
  assert.deepEqual(sums(), written);

  await daemon.stop();
  await array.remakeHosts([2, 3, 1, 0]);
  daemon = await Daemon.start(CONFIGURATION);
  await settled(identities);
  assert.deepEqual(sums(), written);
});
