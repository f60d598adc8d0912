// Host numbers that only grow, as with iSCSI sessions and adapters that are loaded anew; and a device that stays and changes.

import assert from "node:assert/strict";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { Daemon, mustPathctl } from "../lib/pathmanager.ts";
import { ScsiDebug } from "../lib/scsi-debug.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "scsi_debug", units: 1, paths: 4, timeLimitS: 200 };

const CONFIGURATION = `
devices = "all"
${QUICK_PATROL}`;
/** With four paths each, more numbers than a unit has room for. */
const ROUNDS = 9;

const array = new ScsiDebug();

interface Unit {
  readonly paths: readonly {
    readonly number: string;
    readonly state: string;
    readonly foreignIdentity: string | null;
  }[];
  readonly remembered: readonly unknown[];
}

/** Whether a path is held back where the host's number makes its identity; host 0 keeps it. */
const isHeld = ({ number, foreignIdentity, state }: Unit["paths"][number]): boolean =>
  (foreignIdentity === null) === number.startsWith("0:") && (state === "failed") === (foreignIdentity !== null);

const unit = (): Unit | undefined => (JSON.parse(mustPathctl("show", "--json")) as { units: Unit[] }).units[0];

async function usesAll(): Promise<void> {
  const expected = array
    .devices(0)
    .map(({ pathNumber }) => pathNumber)
    .toSorted();
  await until("the unit uses its four paths", () => {
    const used = unit()?.paths.filter(({ state }) => state === "in use" || state === "active") ?? [];
    return used
      .map(({ number }) => number)
      .toSorted()
      .join() === expected.join()
      ? true
      : undefined;
  }).catch(() => assert.fail(`${expected.join()}: ${JSON.stringify(unit())}`));
}

test("nine times other host numbers: no number that is gone keeps a path out", async () => {
  let daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => void (await daemon.stop()));
  await usesAll();
  for (let round = 0; round < ROUNDS; round++) {
    // Half of the time nobody watches.
    if (round % 2 === 1) await daemon.stop();
    // A host that stays keeps the lowest numbers, so that those that come have others.
    array.set("add_host", 4);
    array.set("add_host", -4);
    await until("four devices", () => array.devices(0).length === 4);
    if (round % 2 === 1) daemon = await Daemon.start(CONFIGURATION);
    await usesAll();
  }
  assert.ok((unit()?.remembered.length ?? 99) <= 28);
});

test("a device that stays and says that it is another unit is held back, until it is the one it was", async () => {
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(async () => {
    array.set("vpd_use_hostno", 0);
    await daemon.stop();
  });
  await usesAll();
  array.set("vpd_use_hostno", 1);
  mustPathctl("config", "reload");
  await until("the paths lead elsewhere", () => unit()?.paths.every(isHeld) === true).catch(() =>
    assert.fail(JSON.stringify(unit())),
  );
  assert.ok((unit()?.paths.length ?? 0) === 4);
  array.set("vpd_use_hostno", 0);
  mustPathctl("config", "reload");
  await usesAll();
});
