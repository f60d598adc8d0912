// What is displayed of a path in each state is what the core's table of states says (assembly/path/states.ts).
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { coreTable } from "../../../host/build/core-tables.ts";
import { conditionsOf, pathState } from "../../../host/control/views/views.ts";

type Shown = Parameters<typeof pathState>;

/** All that the display asks of a path besides its record. */
const path = { foreignIdentity: null } as Shown[0];
const inFlags = (flags: number): Shown[1] => ({ flags }) as Shown[1];
const READY = abi.PATH_FLAG_PRESENT | abi.PATH_FLAG_ENABLED;
const { columns, rows } = coreTable("states");

for (const row of rows) {
  const name = row[0] as Extract<keyof typeof abi, `PATH_FLAG_${string}`>;
  const shown = new Set((row[columns.indexOf("displayed")] ?? "").split("|").map((one) => one.trim()));

  test(`${name} is displayed as ${[...shown].join(" and ")}`, (t) => {
    const flag = abi[name];
    const state = pathState(path, inFlags(READY | flag));
    t.is(state === "failed", shown.has("SHOWN_FAILED"));
    t.is(state === "in use", shown.has("SHOWN_IN_USE"));
    t.is(pathState(path, inFlags(READY & ~flag)) === "standby", shown.has("SHOWN_UNLESS_STANDBY"));
    t.is(conditionsOf(path, inFlags(READY | flag)).length === 1, shown.has("SHOWN_CONDITION"));
  });
}

test("the table has a row for every flag of a path", (t) => {
  const flags = Object.keys(abi).filter((name) => name.startsWith("PATH_FLAG_"));
  t.deepEqual(rows.map(([name]) => name).toSorted(), flags.toSorted());
});
