// The name of a unit is the name of its export: two units never have the same one, whatever a state file of before says.

import { join } from "node:path";
import test from "ava";
import { checkConfiguration } from "../../../host/control/settings/configuration.ts";
import { ControlError } from "../../../host/control/ground/control-errors.ts";
import { State } from "../../../host/control/state/state.ts";
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

const IDENTITIES = [
  "naa.600140500000000",
  "EUI.0011",
  "t10.LIO-ORG_x",
  "uuid.1-2",
  "serial.V",
  "name.iqn.2003",
  "iqn.2003-01.org",
];

for (const name of IDENTITIES) {
  test(`a unit cannot be called ${name}: clients that name another unit by its identity would get it`, async (t) => {
    const daemon = await TestDaemon.start(t, array(2));
    const error = await daemon.refused(t, "PATCH", "/v1/units/0", { name });
    t.is(error.code, "INVALID_REQUEST");
    t.regex(error.message, /looks like an identity/);
    t.is((await daemon.get<"unit">(t, "/v1/units/0")).name, "lu0");
    const checked = checkConfiguration(`[[units]]\nidentity = "naa.1"\nname = "${name}"\n`, "f.toml");
    t.false(checked.ok);
    t.deepEqual(checked.ok ? [] : checked.mistakes.map(({ line, key }) => [line, key]), [[3, "units[0].name"]]);
    t.regex(checked.ok ? "" : (checked.mistakes[0]?.problem ?? ""), /looks like an identity/);
  });
}

test("a name that only begins like an identity is one", async (t) => {
  const daemon = await TestDaemon.start(t, array(1));
  for (const name of ["naa", "eui_1", "t10x.a", "serial-1", "my.naa.6001"]) {
    await daemon.change(t, "PATCH", "/v1/units/0", { name });
  }
});

test("a unit that an earlier version let be called like another's identity has its number for a name, and says so", async (t) => {
  const first = await TestDaemon.start(t, array(2));
  const identity = (await first.get<"unit">(t, "/v1/units/1")).identity.text;
  await first.stop();
  const state = new State(join(first.folder, "state"), 100);
  state.saveUnits(state.units().map((unit) => (unit.number === 0 ? Object.assign(unit, { name: identity }) : unit)));
  state.close();
  const second = await TestDaemon.start(t, "", first.folder);
  const names = async (daemon: TestDaemon) =>
    (await daemon.get<"units">(t, "/v1/units")).units.map(({ number, name }) => `#${number} ${name}`);
  t.deepEqual(await names(second), ["#0 lu0", "#1 lu1"]);
  t.is((await second.get<"unit">(t, `/v1/units/${identity}`)).number, 1);
  const told = second.daemon.hub.history(0, 1000).filter(({ message }) => message === 621);
  t.deepEqual(
    told.map(({ unit, detail }) => [unit, detail["name"], detail["name before"]]),
    [[0, "lu0", identity]],
  );
  await second.stop();
  const third = await TestDaemon.start(t, "", first.folder);
  t.deepEqual(await names(third), ["#0 lu0", "#1 lu1"]);
  t.is(third.daemon.hub.history(0, 1000).filter(({ message }) => message === 621).length, 1);
});
