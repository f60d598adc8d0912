// A client that names no export means "the one there is". With several units that could be any, and a copy onto it would
// overwrite what somebody else stored there.

import test from "ava";
import { ExportDirectory } from "../../../host/export/directory.ts";
import { Inventory } from "../../../host/control/inventory/inventory.ts";
import { exportsOf } from "../../../host/control/operations/offering.ts";
import { unitRow } from "./fixtures/unit-row.ts";

/** The unit that the empty name means, when these units are known and those of them with a handle are offered. */
function meant(...units: readonly (readonly [number, number | null])[]): number | undefined {
  const inventory = new Inventory(
    units.map(([number]) => unitRow(number)),
    [],
  );
  for (const [number, handle] of units) inventory.setUnitHandle(inventory.unit(`${number}`), handle);
  const directory = new ExportDirectory();
  directory.replace(exportsOf(inventory));
  return directory.find("")?.number;
}

test("one unit: the empty name means it, whatever its number", (t) => {
  t.is(meant([0, 7]), 0);
  t.is(meant([3, 7]), 3);
});

test("several units: the empty name means none of them, not even #0", (t) => {
  t.is(meant([0, 7], [1, 8]), undefined);
});

test("one unit is there and another is remembered: who meant the one that is gone does not get the other", (t) => {
  t.is(meant([0, null], [1, 8]), undefined);
});

test("no unit: the empty name means nothing", (t) => {
  t.is(meant(), undefined);
});
