// The name of a unit is the name of its export: two units never have the same one, whatever a state file of before says.

import { join } from "node:path";
import test from "ava";
import { ControlError } from "../../../host/control/errors.ts";
import { State } from "../../../host/control/state.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const array = (units: number): string => `policy = 'static'\n[array]\nunits = ${units}\npaths = 2\nunit_mib = 1\n`;

test("a unit that is found when another one has its numbered name gets one of its own, and keeps it", async (t) => {
  const first = await TestDaemon.start(t, array(1));
  await first.stop();
  const state = new State(join(first.folder, "state"), 100);
  state.saveUnits(state.units().map((unit) => Object.assign(unit, { name: "lu1" })));
  state.close();
  const second = await TestDaemon.start(t, array(2), first.folder);
  const names = async (daemon: TestDaemon) =>
    (await daemon.get<"units">(t, "/v1/units")).units.map(({ number, name }) => `#${number} ${name}`);
  t.deepEqual(await names(second), ["#0 lu1", "#1 lu1_2"]);
  await second.stop();
  t.deepEqual(await names(await TestDaemon.start(t, "", first.folder)), ["#0 lu1", "#1 lu1_2"]);
});

test("a change that the tables of the state file refuse is told as a defect, not as a full disk", async (t) => {
  const daemon = await TestDaemon.start(t, array(2));
  const { state } = daemon.daemon;
  const error = t.throws(() => state.saveUnits(state.units().map((unit) => Object.assign(unit, { name: "same" }))), {
    instanceOf: ControlError,
  });
  t.is(error?.code, "INTERNAL");
  t.regex(error?.message ?? "", /UNIQUE constraint failed: units\.name/);
  t.regex(error?.remedy ?? "", /defect/);
  t.deepEqual(
    state.units().map(({ name }) => name),
    ["lu0", "lu1"],
  );
});
