import test from "ava";
import { POLICY_NAMES } from "../../../host/settings/names.ts";
import { type UnitView } from "../../../host/control/schemas/unit-schema.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ONE = "policy = 'static'\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\n";
const TWO = "policy = 'static'\n[array]\nunits = 2\npaths = 4\nunit_mib = 1\n";

test("the first path gets priority 1 and each later one the next; the highest is in use", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  t.deepEqual(await daemon.shown(t), [">4 5:0:3:0", " 3 5:0:2:0", " 2 4:0:1:0", " 1 4:0:0:0"]);
});

test('initial_paths = "first-only" leaves later paths disabled until an operator enables them', async (t) => {
  const daemon = await TestDaemon.start(t, `initial_paths = "first-only"\n${ONE}`);
  t.deepEqual(await daemon.shown(t), ["@4 5:0:3:0", "@3 5:0:2:0", "@2 4:0:1:0", ">1 4:0:0:0"]);
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).state, "not redundant");
  await daemon.change(t, "POST", "/v1/paths/5:0:2:0/enable");
  t.deepEqual(await daemon.shown(t), ["@4 5:0:3:0", ">3 5:0:2:0", "@2 4:0:1:0", " 1 4:0:0:0"]);
});

test("disabling, enabling, using, swapping and priorities act on what is in use at once", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await daemon.change(t, "POST", "/v1/paths/5:0:3:0/disable");
  t.deepEqual(await daemon.shown(t), ["@4 5:0:3:0", ">3 5:0:2:0", " 2 4:0:1:0", " 1 4:0:0:0"]);
  await daemon.change(t, "POST", "/v1/paths/5:0:3:0/enable");
  t.deepEqual(await daemon.shown(t), [">4 5:0:3:0", " 3 5:0:2:0", " 2 4:0:1:0", " 1 4:0:0:0"]);
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/use");
  t.deepEqual(await daemon.shown(t), [">4 4:0:0:0", " 3 5:0:2:0", " 2 4:0:1:0", " 1 5:0:3:0"]);
  await daemon.change(t, "POST", "/v1/paths/swap", { a: "5:0:2:0", b: "4:0:0:0" });
  t.deepEqual(await daemon.shown(t), [">4 5:0:2:0", " 3 4:0:0:0", " 2 4:0:1:0", " 1 5:0:3:0"]);
  await daemon.change(t, "POST", "/v1/paths/5:0:3:0/priority", { priority: 254 });
  t.deepEqual(await daemon.shown(t), [">254 5:0:3:0", " 4 5:0:2:0", " 3 4:0:0:0", " 2 4:0:1:0"]);
});

test("using a disabled path enables it", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await daemon.change(t, "POST", "/v1/paths/4:0:1:0/disable");
  await daemon.change(t, "POST", "/v1/paths/4:0:1:0/use");
  t.deepEqual(await daemon.shown(t), [">4 4:0:1:0", " 3 5:0:2:0", " 2 5:0:3:0", " 1 4:0:0:0"]);
});

test("a pattern acts on each unit that has such a path; two matches in one unit are refused and change nothing", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  const before = [await daemon.shown(t, 0), await daemon.shown(t, 1)];
  const error = await daemon.refused(t, "POST", "/v1/paths/use-matching", { pattern: "4:::" });
  t.is(error.code, "AMBIGUOUS_PATH");
  t.deepEqual([await daemon.shown(t, 0), await daemon.shown(t, 1)], before);
  await daemon.change(t, "POST", "/v1/paths/use-matching", { pattern: "4::0:" });
  t.is((await daemon.shown(t, 0))[0], ">4 4:0:0:0");
  t.is((await daemon.shown(t, 1))[0], ">4 4:0:0:1");
  t.is((await daemon.refused(t, "POST", "/v1/paths/use-matching", { pattern: "9:::" })).code, "UNKNOWN_PATH");
});

test("everything an operator set is in force after a restart: numbers, priorities, enabling, names, policies, modes", async (t) => {
  const first = await TestDaemon.start(t, TWO);
  await first.change(t, "POST", "/v1/paths/5:0:3:0/disable");
  await first.change(t, "POST", "/v1/paths/4:0:0:1/use");
  await first.change(t, "PATCH", "/v1/units/1", { name: "backup", policy: "round-robin", parameters: { ios: 8 } });
  await first.change(t, "PATCH", "/v1/mode", { failback: "standby" });
  await first.change(t, "PATCH", "/v1/patrol", { intervalS: 7 });
  const before = [await first.shown(t, 0), await first.shown(t, 1)];
  const events = (await first.get<"events">(t, "/v1/events")).last;
  await first.stop();
  const second = await TestDaemon.start(t, "", first.folder);
  t.deepEqual([await second.shown(t, 0), await second.shown(t, 1)], before);
  const unit = await second.get<"unit">(t, "/v1/units/backup");
  t.is(unit.number, 1);
  t.deepEqual(unit.policy, { name: "round-robin", parameters: { ios: 8 } });
  t.is(unit.balancing.label, "round robin");
  const mode = await second.get<"mode">(t, "/v1/mode");
  t.is(mode.failback, "standby");
  t.is(mode.patrol.intervalS, 7);
  t.true((await second.get<"events">(t, "/v1/events")).last > events);
});

test("cluster mode excludes dynamic balancing, and gives it back when it is off", async (t) => {
  const daemon = await TestDaemon.start(t, ONE.replace("static", "round-robin"));
  t.is((await daemon.shown(t)).filter((path) => path.startsWith(">")).length, 4);
  await daemon.change(t, "PATCH", "/v1/mode", { cluster: true });
  t.deepEqual(await daemon.shown(t), [">4 5:0:3:0", " 3 5:0:2:0", " 2 4:0:1:0", " 1 4:0:0:0"]);
  const error = await daemon.refused(t, "PATCH", "/v1/units/0", { balancing: 1 });
  t.is(error.code, "CLUSTER_MODE");
  await daemon.change(t, "PATCH", "/v1/mode", { cluster: false });
  t.is((await daemon.shown(t)).filter((path) => path.startsWith(">")).length, 4);
});

test("every policy can be set, with the parameters it takes and no others", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const set = (body: unknown) => daemon.change<UnitView>(t, "PATCH", "/v1/units/0", body);
  for (const policy of POLICY_NAMES.filter((name) => name !== "round-robin-subset")) {
    t.is((await set({ policy })).policy.name, policy);
  }
  t.deepEqual(
    (await set({ policy: "weighted", parameters: { weights: { "4:0:0:0": 9 } } })).paths.map(
      (path) => path.statistics.weight,
    ),
    [9, 1, 1, 1],
  );
  const subset = await set({ policy: "round-robin-subset", parameters: { paths: ["4:0:0:0", "5:0:2:0"] } });
  t.deepEqual(
    subset.paths.filter((path) => path.symbol === ">").map((path) => path.number),
    ["4:0:0:0", "5:0:2:0"],
  );
  const wrong = await daemon.refused(t, "PATCH", "/v1/units/0", { policy: "adaptive", parameters: { ios: 4 } });
  t.is(wrong.code, "POLICY_PARAMETER");
  t.is(wrong.remedy, "adaptive takes no parameters");
  const foreign = await daemon.refused(t, "PATCH", "/v1/units/0", {
    policy: "weighted",
    parameters: { weights: { "9:0:0:0": 1 } },
  });
  t.is(foreign.parameter, "9:0:0:0");
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).policy.name, "round-robin-subset");
});

test("weights hold as long as the policy that has them, and not a moment longer", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const weights = async (body: unknown) =>
    (await daemon.change<UnitView>(t, "PATCH", "/v1/units/0", body)).paths.map((path) => path.statistics.weight);
  const weighted = { policy: "weighted", parameters: { weights: { "4:0:0:0": 9, "5:0:2:0": 4 } } };
  t.deepEqual(await weights(weighted), [9, 1, 4, 1]);
  t.deepEqual(await weights({ policy: "service-time" }), [1, 1, 1, 1]);
  t.deepEqual(await weights({ policy: "service-time", parameters: { weights: { "4:0:0:0": 3 } } }), [3, 1, 1, 1]);
  const refused = { policy: "round-robin-subset", parameters: { paths: ["4:0:0:0"] } };
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/disable");
  t.is((await daemon.refused(t, "PATCH", "/v1/units/0", refused)).code, "POLICY_PARAMETER");
  t.deepEqual(await weights({ hedgeBudgetPercent: 0 }), [3, 1, 1, 1]);
  await daemon.change(t, "PATCH", "/v1/mode", { cluster: true });
  t.deepEqual(await weights({ hedgeBudgetPercent: 0 }), [1, 1, 1, 1]);
  await daemon.change(t, "PATCH", "/v1/mode", { cluster: false });
  t.deepEqual(await weights({ hedgeBudgetPercent: 0 }), [3, 1, 1, 1]);
});

test("a path that fails is shown as failed with the reason, and failback by hand brings it back once it answers", async (t) => {
  const daemon = await TestDaemon.start(t, `patrol.mode = "none"\npatrol.timeout_s = 1\n${ONE}`);
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where: { path: "5:0:3:0" } });
  t.is((await daemon.refused(t, "POST", "/v1/paths/5:0:3:0/failback")).code, "PATH_NOT_FAILED");
  await daemon.change(t, "PATCH", "/v1/patrol", { mode: 1, intervalS: 1, thresholdS: 1, timeoutS: 1 });
  await until("the path is shown as failed", async () => (await daemon.shown(t))[0] === "X4 5:0:3:0");
  const path = (await daemon.get<"unit">(t, "/v1/units/0")).paths.find(({ number }) => number === "5:0:3:0");
  t.regex(path?.lastError?.text ?? "", /transport disrupted/);
  t.is((await daemon.refused(t, "POST", "/v1/paths/5:0:3:0/use")).code, "PATH_FAILED");
  t.is((await daemon.refused(t, "POST", "/v1/paths/5:0:3:0/failback")).code, "PATH_CHECK_FAILED");
  await daemon.change(t, "DELETE", "/v1/array/faults");
  await daemon.change(t, "POST", "/v1/paths/5:0:3:0/failback");
  t.is((await daemon.shown(t))[0], ">4 5:0:3:0");
  const messages = new Set((await daemon.get<"events">(t, "/v1/events")).events.map((event) => event.message));
  for (const number of [271, 257, 258, 262, 263]) t.true(messages.has(number), `message ${number}`);
});

test("a path that leads to another unit is detected, shown as what it is, and gets no I/O; forgetting adopts it", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "remap", unit: 1 }, where: { path: "5:0:3:0" } });
  await until("the path is shown as leading elsewhere", async () => {
    const path = (await daemon.get<"unit">(t, "/v1/units/0")).paths.find(({ number }) => number === "5:0:3:0");
    return path?.foreignIdentity !== null && path?.symbol === "X" && path.conditions.includes("wrong unit");
  });
  const other = await daemon.get<"unit">(t, "/v1/units/1");
  const path = (await daemon.get<"unit">(t, "/v1/units/0")).paths.find(({ number }) => number === "5:0:3:0");
  t.is(path?.foreignIdentity, other.identity.text);
  t.is((await daemon.refused(t, "POST", "/v1/paths/5:0:3:0/failback")).code, "WRONG_UNIT");
  await daemon.change(t, "POST", "/v1/paths/5:0:3:0/forget");
  t.is((await daemon.shown(t, 0)).length, 3);
  t.true((await daemon.shown(t, 1)).some((shown) => shown.endsWith("5 5:0:3:0")));
});

test("an array without page 0x83: a path that is led elsewhere while it is down never gets an I/O, until it leads home", async (t) => {
  const daemon = await TestDaemon.start(t, `${TWO}\nidentification = "serial-only"\n`);
  const number = "5:0:3:0";
  const where = { path: number };
  const path = async () => (await daemon.get<"unit">(t, "/v1/units/0")).paths.find((one) => one.number === number);
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).identity.type, "serial");
  t.is((await path())?.symbol, ">");
  const down = await daemon.change<{ id: number }>(t, "POST", "/v1/array/faults", {
    fault: { kind: "port-down" },
    where,
  });
  await until("it has failed", async () => (await path())?.symbol === "X");
  const ios = (await path())?.statistics.ios;
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "remap", unit: 1, silent: true }, where });
  await daemon.change(t, "DELETE", `/v1/array/faults?id=${down.id}`);
  await until("it is shown as leading elsewhere", async () =>
    Boolean((await path())?.conditions.includes("wrong unit")),
  );
  t.is((await path())?.symbol, "X");
  t.is((await path())?.statistics.ios, ios);
  await daemon.change(t, "DELETE", "/v1/array/faults");
  await until("it is in use again", async () => (await path())?.symbol === ">");
});

test("a unit that grew is offered with its new size", async (t) => {
  const daemon = await TestDaemon.start(t, `patrol.interval_s = 1\npatrol.threshold_s = 1\n${ONE}`);
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "capacity", blocks: 4096 } });
  await until("the new size is shown", async () => (await daemon.get<"unit">(t, "/v1/units/0")).bytes === 4096 * 512);
  const events = (await daemon.get<"events">(t, "/v1/events")).events;
  t.true(events.some((event) => event.kind === "capacity-changed" && event.detail["to"] === 4096 * 512));
});
