// Linux gives path numbers anew: host adapters are found in another order, iSCSI logs in again, LUNs are swapped while the daemon is
// stopped. A path number is no identity: a device that appears is taken for the unit it says it leads to, and what was set belongs to
// the path between the same two ports, else to the number. Only a device that stayed and changed is held back.

import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { findDevices } from "../../../host/control/devices/device-scan.ts";
import { reconcile, removeGone } from "../../../host/control/devices/reconcile.ts";
import { State, type UnitRow } from "../../../host/control/state/state.ts";
import type { Found, FoundPath } from "../../../host/discovery/discover.ts";
import { UNNAMED } from "../../../host/discovery/port-names.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const TWO = "policy = 'static'\n[array]\nunits = 2\npaths = 2\nunit_mib = 1\n";
const ONE = "policy = 'static'\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\n";

/** A rescan that finds what `change` makes of what is there. All that was there has gone before, unless it stays. */
async function rescanWith(daemon: TestDaemon, change: (path: FoundPath) => FoundPath | null, stays = false) {
  const { daemon: inside } = daemon;
  const devices = await findDevices(inside.reactor, inside.effective.configuration, () => undefined);
  const { paths, refusals } = await devices.ask(new Set());
  const found: Omit<Found, "inUse"> = { refusals, paths: paths.map(change).filter((path) => path !== null) };
  const numbers = new Set(found.paths.map(({ number }) => number));
  const outcome = await inside.change(async () => {
    await removeGone(inside, stays ? numbers : new Set());
    return reconcile(inside, found, inside.effective);
  });
  await inside.rescans.waitVerified();
  return outcome;
}

/** A number whose host is another one. */
const onHost = (number: string, host: number): string => number.replace(/^\d+/, String(host));
const swapped = (number: string): string => onHost(number, number.startsWith("4") ? 5 : 4);
const said = (daemon: TestDaemon, number: number): string[] =>
  daemon.daemon.hub.history(0, 1000).flatMap(({ message, text }) => (message === number ? [text] : []));
const unnamed = (path: FoundPath, number: string): FoundPath => ({ ...path, number, ports: UNNAMED });

const withLunsSwapped = (path: FoundPath): FoundPath =>
  unnamed(
    path,
    path.number.replace(/\d$/, (lun) => String(1 - Number(lun))),
  );
const betweenTheSamePorts = (path: FoundPath): FoundPath => ({
  ...path,
  ports: { initiator: "a", target: "b", via: null },
});

async function restarted(t: ExecutionContext, daemon: TestDaemon, configuration = ""): Promise<TestDaemon> {
  await daemon.stop();
  return TestDaemon.start(t, configuration, daemon.folder);
}

test("host adapters that come in another order after a restart keep the settings of their paths", async (t) => {
  let daemon = await TestDaemon.start(t, ONE);
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/priority", { priority: 9 });
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/disable");
  t.deepEqual(await daemon.shown(t), ["@9 4:0:0:0", ">4 5:0:3:0", " 3 5:0:2:0", " 2 4:0:1:0"]);
  daemon = await restarted(t, daemon, `${ONE}first_host = 5\n`);
  t.deepEqual(await daemon.shown(t), ["@9 5:0:0:0", ">4 6:0:3:0", " 3 6:0:2:0", " 2 5:0:1:0"]);
  t.is(daemon.daemon.state.paths().length, 4);
  t.true(
    said(daemon, 650).includes("Path has a new path number: LogicalUnit #0, path 5:0:0:0 (number before 4:0:0:0)"),
  );
  daemon = await restarted(t, daemon);
  t.deepEqual(await daemon.shown(t), ["@9 5:0:0:0", ">4 6:0:3:0", " 3 6:0:2:0", " 2 5:0:1:0"]);
});

test("host adapters that exchange their numbers exchange them with all that belongs to their paths", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await daemon.change(t, "PATCH", "/v1/units/0", {
    policy: "weighted",
    parameters: { weights: { "4:0:0:0": 7, "5:0:2:0": 3 } },
  });
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/disable");
  await rescanWith(daemon, (path) => ({ ...path, number: swapped(path.number) }));
  t.deepEqual(await daemon.shown(t), [">4 4:0:3:0", ">3 4:0:2:0", ">2 5:0:1:0", "@1 5:0:0:0"]);
  const { policy } = await daemon.get<"unit">(t, "/v1/units/0");
  t.deepEqual(policy.parameters.weights, { "5:0:0:0": 7, "4:0:2:0": 3 });
  t.deepEqual(daemon.daemon.state.units()[0]?.policy?.parameters.weights, { "5:0:0:0": 7, "4:0:2:0": 3 });
  t.is((await daemon.get<"status">(t, "/v1/status")).attention.length, 0);
});

test("paths without names that change places between units are taken for what they are, all of them", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  const { refused } = await rescanWith(daemon, withLunsSwapped);
  t.deepEqual(refused, []);
  const [first, second] = [await daemon.get<"unit">(t, "/v1/units/0"), await daemon.get<"unit">(t, "/v1/units/1")];
  t.deepEqual(
    [first, second].map(({ paths }) => paths.map(({ number, foreignIdentity }) => [number, foreignIdentity])),
    [
      [
        ["4:0:0:1", null],
        ["5:0:2:1", null],
      ],
      [
        ["4:0:0:0", null],
        ["5:0:2:0", null],
      ],
    ],
  );
  t.true(
    said(daemon, 651).some((text) =>
      text.startsWith(
        "Path number now belongs to another logical unit: LogicalUnit #0, path 4:0:0:1 (led before to LogicalUnit #1",
      ),
    ),
  );
  t.deepEqual(said(daemon, 605), []);
});

test("LUNs that were swapped while the daemon was stopped lead to their units, and nothing has to be forgotten", async (t) => {
  let daemon = await TestDaemon.start(t, TWO);
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/disable");
  const before = (await daemon.get<"units">(t, "/v1/units")).units.map(({ identity }) => identity.text);
  await daemon.stop();
  const state = new State(join(daemon.folder, "state"), 1000);
  const known = state.units();
  const named = (number: number, identity = ""): UnitRow[] =>
    known.filter((unit) => unit.number === number).map((unit) => Object.assign({}, unit, { identity }));
  for (const units of [named(0, "swap"), named(1, before[0]), named(0, before[1])]) state.saveUnits(units);
  state.close();
  daemon = await TestDaemon.start(t, "", daemon.folder);
  const { units } = await daemon.get<"units">(t, "/v1/units");
  t.deepEqual(
    units.map(({ identity, paths }) => [identity.text, paths.map(({ symbol, number }) => `${symbol}${number}`)]),
    [
      // What was set belongs to the path of the unit: the one that was #0's is #0's.
      [before[1], ["@4:0:0:1", ">5:0:2:1"]],
      [before[0], [" 4:0:0:0", ">5:0:2:0"]],
    ],
  );
  t.deepEqual((await daemon.get<"status">(t, "/v1/status")).attention, ["not redundant: LogicalUnit #0"]);
});

test("what was set for a number without names is there when the number leads to the unit again", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  await rescanWith(daemon, (path) => unnamed(path, path.number));
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/priority", { priority: 7 });
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/disable");
  await rescanWith(daemon, withLunsSwapped);
  t.deepEqual(await daemon.shown(t), [">9 5:0:2:1", " 8 4:0:0:1"]);
  await rescanWith(daemon, (path) => unnamed(path, path.number));
  t.deepEqual(await daemon.shown(t), ["@7 4:0:0:0", ">2 5:0:2:0"]);
});

test("a device that stayed while the daemon watched it and leads elsewhere now is held back", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  const identities = (await daemon.get<"units">(t, "/v1/units")).units.map(({ identity }) => identity.text);
  const other = (paths: FoundPath): FoundPath => {
    const text = identities[paths.probe.identity.text === identities[0] ? 1 : 0] ?? "";
    return { ...paths, probe: { ...paths.probe, identity: { ...paths.probe.identity, text } } };
  };
  await rescanWith(daemon, (path) => (path.number === "5:0:2:0" ? other(path) : path), true);
  const path = (await daemon.get<"unit">(t, "/v1/units/0")).paths.find(({ number }) => number === "5:0:2:0");
  t.is(path?.foreignIdentity, identities[1]);
  t.is(path?.symbol, "X");
  t.is(said(daemon, 605).length, 1);
});

test("another device under the same number is no device that stayed", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  const { daemon: inside } = daemon;
  for (const path of inside.inventory.paths()) {
    if (path.found !== null) path.found = { ...path.found, instance: `first ${path.number}` };
  }
  const present = new Set(inside.inventory.paths().map(({ number }) => number));
  const instances = new Map([...present].map((number) => [number, `first ${number}`]));
  await inside.change(() => removeGone(inside, present, instances));
  t.is(inside.inventory.pathCount, 4);
  instances.set("5:0:2:0", "second");
  await inside.change(() => removeGone(inside, present, instances));
  t.is(inside.inventory.pathCount, 3);
});

test("two sessions between the same two ports are told apart by their numbers", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await rescanWith(daemon, betweenTheSamePorts);
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/priority", { priority: 9 });
  await rescanWith(daemon, betweenTheSamePorts);
  t.deepEqual(await daemon.shown(t), [">9 4:0:0:0", " 4 5:0:3:0", " 3 5:0:2:0", " 2 4:0:1:0"]);
  t.deepEqual(
    daemon.daemon.state.paths().map(({ nexus }) => nexus),
    [null, null, null, null],
  );
});

test("numbers that change are no reason to do without paths where the state cannot be written", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const { state } = daemon.daemon;
  const savePaths = state.savePaths.bind(state);
  state.savePaths = () => {
    throw new Error("disk is full");
  };
  const { problems } = await rescanWith(daemon, (path) => ({ ...path, number: swapped(path.number) }));
  t.deepEqual(problems, ["disk is full"]);
  t.is(daemon.daemon.inventory.pathCount, 4);
  state.savePaths = savePaths;
  t.deepEqual(state.paths()[0]?.number, "4:0:0:0");
  await rescanWith(daemon, (path) => ({ ...path, number: swapped(path.number) }), true);
  t.deepEqual(state.paths()[0]?.number, "5:0:0:0");
});

test("thirty-two gone numbers lock nobody out: the oldest go first", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  for (let host = 10; host < 60; host += 2) {
    const change = (path: FoundPath): FoundPath =>
      unnamed(path, onHost(path.number, host + (path.number.startsWith("4") ? 0 : 1)));
    const { refused, problems } = await rescanWith(daemon, change);
    t.deepEqual([...refused, ...problems], []);
    t.is(daemon.daemon.inventory.pathCount, 4);
  }
  const rows = daemon.daemon.state.paths();
  t.is(rows.length, 32);
  t.deepEqual(
    [...new Set(rows.map(({ number }) => Number(number.split(":")[0])))],
    Array.from({ length: 16 }, (_, i) => 44 + i),
  );
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).paths.length, 4);
});

test("a unit takes 32 paths that are there, and no more; none of them is forgotten for another one", async (t) => {
  const daemon = await TestDaemon.start(t, `${ONE}[limits]\npaths = 64\n`);
  const devices = await findDevices(daemon.daemon.reactor, daemon.daemon.effective.configuration, () => undefined);
  const { paths } = await devices.ask(new Set());
  const many = Array.from({ length: 36 }, (_, index) => unnamed(paths[index % 4] as FoundPath, `${100 + index}:0:0:0`));
  const { inventory } = daemon.daemon;
  const { refused } = await daemon.daemon.change(async () => {
    await removeGone(daemon.daemon, new Set());
    return reconcile(daemon.daemon, { paths: many, refusals: [] }, daemon.daemon.effective);
  });
  t.is(inventory.pathCount, 32);
  t.is(refused.length, 4);
  t.regex(refused[0]?.reason ?? "", /^LogicalUnit #0 has 32 paths, and more are not possible$/);
});

test("initial_paths = first-only: the first path under new numbers is enabled when none of the old ones is there", async (t) => {
  const daemon = await TestDaemon.start(t, `initial_paths = "first-only"\n${ONE}`);
  t.deepEqual(await daemon.shown(t), ["@4 5:0:3:0", "@3 5:0:2:0", "@2 4:0:1:0", ">1 4:0:0:0"]);
  await rescanWith(daemon, (path) => unnamed(path, onHost(path.number, path.number.startsWith("4") ? 10 : 11)));
  t.deepEqual(await daemon.shown(t), ["@8 11:0:3:0", "@7 11:0:2:0", "@6 10:0:1:0", ">5 10:0:0:0"]);
});

test("a number that another unit has by now can be forgotten for the one that had it", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  await rescanWith(daemon, withLunsSwapped);
  t.is(daemon.daemon.state.paths().length, 8);
  // Else the daemon's own look would find the numbers as they were.
  daemon.daemon.rescans.now = () => Promise.resolve();
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/forget");
  t.is(daemon.daemon.state.paths().length, 7);
  t.is((await daemon.refused(t, "POST", "/v1/paths/4:0:0:0/forget")).code, "PATH_PRESENT");
});
