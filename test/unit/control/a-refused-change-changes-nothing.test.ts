// A change is carried out as a whole or not at all, also when several things are asked for at once, or several units are meant.

import test from "ava";
import { ControlError } from "../../../host/control/ground/control-errors.ts";
import * as abi from "../../../host/abi.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const TWO = "policy = 'static'\n[array]\nunits = 2\npaths = 4\nunit_mib = 1\n";
const P = "4:0:0:0";

const subset = (...paths: string[]) => ({
  policy: "round-robin-subset",
  parameters: { paths },
  hedgeBudgetPercent: 50,
  resetStatistics: true,
});

/** Properties that the core was told of units. */
function watchCore({ daemon }: TestDaemon): number[] {
  const { reactor } = daemon;
  const told: number[] = [];
  const settings = reactor.settings.bind(reactor);
  reactor.settings = (calls) => {
    told.push(...calls.flatMap((call) => (call.name === "unitSet" ? [call.property] : [])));
    return settings(calls);
  };
  return told;
}

test("a subset of which no path takes I/O is refused before anything is told to the core, and the paths are named", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  await daemon.change(t, "POST", `/v1/paths/${P}/disable`);
  const told = watchCore(daemon);
  const error = await daemon.refused(t, "PATCH", "/v1/units/0", subset(P));
  t.is(error.code, "POLICY_PARAMETER");
  t.is(error.parameter, P);
  t.regex(error.message, /4:0:0:0 .*LogicalUnit #0.* takes no I\/O/);
  t.regex(error.remedy ?? "", /enable/);
  t.deepEqual(told, []);
  const unit = await daemon.get<"unit">(t, "/v1/units/0");
  t.is(unit.policy.name, "static");
  t.is(unit.hedgeBudgetPercent, 0);
  await daemon.change(t, "PATCH", "/v1/units/0", subset(P, "5:0:2:0"));
});

test("a subset whose paths are disabled later stays, through reloads, restarts and paths that come", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  await daemon.change(t, "PATCH", "/v1/units/0", subset(P));
  await daemon.change(t, "POST", `/v1/paths/${P}/disable`);
  const others = ["4:0:1:0", "5:0:2:0", "5:0:3:0"];
  const inUse = async (which: TestDaemon): Promise<string[]> => {
    const { paths } = await which.get<"unit">(t, "/v1/units/0");
    return paths.filter(({ symbol }) => symbol === ">").map(({ number }) => number);
  };
  t.deepEqual(await inUse(daemon), others);
  await daemon.change(t, "POST", "/v1/config/reload");
  await daemon.change(t, "POST", `/v1/paths/${P}/enable`);
  t.deepEqual(await inUse(daemon), [P]);
  await daemon.change(t, "POST", `/v1/paths/${P}/disable`);
  await daemon.stop();
  const next = await TestDaemon.start(t, "", daemon.folder);
  t.deepEqual(await inUse(next), others);
  await next.change(t, "PATCH", "/v1/patrol", { intervalS: 7 });
  await next.change(t, "POST", `/v1/paths/${P}/enable`);
  t.deepEqual(await inUse(next), [P]);
});

test("when the core refuses a policy, the rest of the request is not carried out", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  const { reactor } = daemon.daemon;
  const settings = reactor.settings.bind(reactor);
  const budgets: number[] = [];
  let resets = 0;
  reactor.settings = (calls) => {
    for (const call of calls) {
      if (call.name !== "unitSet") continue;
      if (call.property === abi.UNIT_SET_HEDGE_BUDGET) budgets.push(call.value);
      if (call.property === abi.UNIT_SET_STATISTICS_RESET) resets++;
    }
    const isMask = calls.some((call) => call.name === "unitSet" && call.property === abi.UNIT_SET_POLICY_PARAMETER);
    return isMask ? Promise.resolve([{ code: "CORE_RANGE", message: "out of range" }]) : settings(calls);
  };
  const error = await daemon.refused(t, "PATCH", "/v1/units/0", subset(P));
  t.is(error.parameter, "policy");
  t.deepEqual(
    budgets.filter((budget) => budget !== 0),
    [],
  );
  t.is(resets, 0);
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).policy.name, "static");
  t.is(daemon.daemon.state.units()[0]?.policy, null);
});

test("a pattern for several units is one change: when it cannot be written, no unit has changed", async (t) => {
  const daemon = await TestDaemon.start(t, TWO);
  const before = [await daemon.shown(t, 0), await daemon.shown(t, 1)];
  const { state } = daemon.daemon;
  const savePaths = state.savePaths.bind(state);
  let writes = 0;
  state.savePaths = (paths) => {
    writes++;
    if (paths.some(({ unit }) => unit === 1)) throw new ControlError("STATE_WRITE_FAILED", "disk is full");
    savePaths(paths);
  };
  t.is((await daemon.call("POST", "/v1/paths/use-matching", { pattern: "4::0:" })).status, 507);
  t.is(writes, 1);
  t.deepEqual([await daemon.shown(t, 0), await daemon.shown(t, 1)], before);
  state.savePaths = savePaths;
  await daemon.change(t, "POST", "/v1/paths/use-matching", { pattern: "4::0:" });
  t.is((await daemon.shown(t, 0))[0], ">4 4:0:0:0");
  t.is((await daemon.shown(t, 1))[0], ">4 4:0:0:1");
  const { events } = await daemon.get<"events">(t, "/v1/events");
  for (const [message, count] of [
    [264, 4],
    [265, 2],
    [266, 2],
  ] as const) {
    t.is(events.filter((event) => event.message === message).length, count, `message ${message}`);
  }
});
