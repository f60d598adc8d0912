// A path that appears while its unit is being taken may have been given to somebody else: udev has judged it before the table of units told
// whose it is. Such a unit is not taken before that path has been looked at with the others.

import test from "ava";
import { settle } from "../../../host/control/devices/expectation.ts";
import { Inventory } from "../../../host/control/inventory/inventory.ts";
import type { FoundPath } from "../../../host/discovery/discover.ts";
import { newSince } from "../../../host/discovery/latecomers.ts";
import type { SgDevice } from "../../../host/discovery/sysfs.ts";
import { unitRow } from "./fixtures/unit-row.ts";

const [OURS = "", NEW = "", OTHER = ""] = [0, 1, 2].map((number) => unitRow(number).identity);

const path = (number: string, identity: string): FoundPath =>
  ({ number, probe: { identity: { text: identity } } }) as unknown as FoundPath;

const paths = [path("1:0:0:0", OURS), path("1:0:0:1", NEW), path("2:0:0:1", NEW), path("1:0:0:2", OTHER)];

/** What happens in order; `late` are the units of devices that have come since the first look. */
async function scene(late: readonly string[], isKnown = false) {
  const did: string[] = [];
  const inventory = new Inventory([unitRow(0)], []);
  const unit = inventory.unit("0");
  inventory.setUnitHandle(unit, 7);
  inventory.setPathHandle(inventory.addPath(unit, { number: "9:0:0:0", priority: 1, enabled: true, nexus: null }), 9);
  const scan = {
    latecomers: () => {
      did.push("looks again");
      return Promise.resolve(new Set(late));
    },
  };
  const expect = (told: readonly FoundPath[]): boolean => {
    did.push(`tells ${told.map(({ number }) => number).join(" ")}`);
    return !isKnown;
  };
  const { free, isAllThere } = await settle({ paths, refusals: [] }, inventory, scan, expect);
  return { did, isAllThere, taken: free.paths.map(({ number }) => number) };
}

test("udev is told of the units that are not ours yet, then the devices are listed again", async (t) => {
  const { did, isAllThere, taken } = await scene([]);
  t.deepEqual(did, ["tells 1:0:0:1 2:0:0:1 1:0:0:2", "looks again", "tells "]);
  t.true(isAllThere);
  t.is(taken.length, 4);
});

test("a unit of which a path has come meanwhile waits, and stays announced; others and what is ours go on", async (t) => {
  const { did, isAllThere, taken } = await scene([NEW, OURS]);
  t.deepEqual(did.at(-1), "tells 1:0:0:1 2:0:0:1");
  t.false(isAllThere);
  t.deepEqual(taken, ["1:0:0:0", "1:0:0:2"]);
});

test("what udev knew already, since a daemon before took it, costs no second look", async (t) => {
  const { did, isAllThere, taken } = await scene([NEW], true);
  t.deepEqual(did, ["tells 1:0:0:1 2:0:0:1 1:0:0:2"]);
  t.true(isAllThere);
  t.is(taken.length, 4);
});

const device = (number: string, instance: string, blockDevice: string | null, type = 0): SgDevice =>
  ({ number, instance, blockDevice, type }) as unknown as SgDevice;

test("new is a device, another one with its number, and one that has got its disk", (t) => {
  const before = [device("1:0:0:0", "10", "sda"), device("1:0:0:1", "11", null), device("1:0:0:2", "12", "sdc")];
  const now = [
    device("1:0:0:0", "10", "sda"),
    device("1:0:0:1", "11", "sdb"),
    device("1:0:0:2", "22", "sdc"),
    device("1:0:0:3", "13", null),
    device("1:0:0:4", "14", null, 5),
  ];
  t.deepEqual(
    newSince(before, now).map(({ number }) => number),
    ["1:0:0:1", "1:0:0:2", "1:0:0:3"],
  );
});
