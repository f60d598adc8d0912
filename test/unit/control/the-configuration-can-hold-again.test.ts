// What a command has set holds over the configuration file until an operator gives it up.

import test from "ava";
import { POLICY_LEAST_IN_FLIGHT } from "../../../host/abi.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const FILE =
  "policy = 'least-in-flight'\nfailback = 'standby'\n[patrol]\ninterval_s = 7\nmode = 'health'\n" +
  "[array]\nunits = 2\npaths = 2\nunit_mib = 1\n";

interface Reverted {
  readonly reverted: readonly string[];
}

async function inForce(t: Parameters<TestDaemon["get"]>[0], daemon: TestDaemon) {
  const { failback, cluster, patrol } = await daemon.get<"mode">(t, "/v1/mode");
  const units = await Promise.all([0, 1].map((unit) => daemon.get<"unit">(t, `/v1/units/${unit}`)));
  const policies = units.map(({ policy, hedgeBudgetPercent }) => `${policy.name} ${hedgeBudgetPercent}`);
  return [failback, cluster, patrol.mode, patrol.intervalS, ...policies];
}

const CONFIGURED = ["standby", false, 1, 7, "least-in-flight 0", "least-in-flight 0"];

async function setAll(t: Parameters<TestDaemon["get"]>[0], daemon: TestDaemon): Promise<void> {
  await daemon.change(t, "PATCH", "/v1/units/1", { policy: "round-robin", hedgeBudgetPercent: 2 });
  await daemon.change(t, "PATCH", "/v1/mode", { failback: "active", cluster: false });
  await daemon.change(t, "PATCH", "/v1/patrol", { intervalS: 90 });
  t.deepEqual(await inForce(t, daemon), ["active", false, 1, 90, "least-in-flight 0", "round-robin 2"]);
}

test("what commands have set is given up: the file holds, also in the core and after a restart", async (t) => {
  const daemon = await TestDaemon.start(t, FILE);
  t.deepEqual(await daemon.change<Reverted>(t, "POST", "/v1/config/revert"), { reverted: [] });
  await setAll(t, daemon);
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/priority", { priority: 9 });
  const { reverted } = await daemon.change<Reverted>(t, "POST", "/v1/config/revert");
  t.deepEqual(reverted, ["failback", "cluster", "patrol.interval_s", "policy of #1", "hedge_budget_percent of #1"]);
  t.deepEqual(await inForce(t, daemon), CONFIGURED);
  const { handle } = daemon.daemon.inventory.unit("1");
  t.is(daemon.daemon.snapshots.newest.unit(handle ?? -1)?.policy, POLICY_LEAST_IN_FLIGHT);
  // What no file says stays as it was set.
  t.true((await daemon.shown(t)).some((path) => path.endsWith("9 4:0:0:0")));
  const { events } = await daemon.get<"events">(t, "/v1/events");
  t.deepEqual(
    events.slice(-3).map(({ message, unit }) => [message, unit]),
    [
      [268, 1],
      [277, null],
      [629, null],
    ],
  );
  await daemon.stop();
  const again = await TestDaemon.start(t, "", daemon.folder);
  t.deepEqual(await inForce(t, again), CONFIGURED);
});

test("what the core refuses, or no disk takes, leaves everything as the commands have set it", async (t) => {
  const daemon = await TestDaemon.start(t, FILE);
  await setAll(t, daemon);
  const before = await inForce(t, daemon);
  const { reactor, state } = daemon.daemon;
  const settings = reactor.settings.bind(reactor);
  let refusals = 1;
  reactor.settings = async (calls) =>
    refusals-- > 0 ? calls.map(() => ({ code: "CORE_BUSY", message: "not now" })) : settings(calls);
  t.is((await daemon.refused(t, "POST", "/v1/config/revert")).code, "BUSY");
  reactor.settings = settings;
  t.deepEqual(await inForce(t, daemon), before);
  const saveUnits = state.saveUnits.bind(state);
  state.saveUnits = () => {
    throw new Error("the disk is full");
  };
  t.is((await daemon.call("POST", "/v1/config/revert")).status, 500);
  state.saveUnits = saveUnits;
  t.deepEqual(await inForce(t, daemon), before);
  await daemon.stop();
  const again = await TestDaemon.start(t, "", daemon.folder);
  t.deepEqual(await inForce(t, again), before);
});
