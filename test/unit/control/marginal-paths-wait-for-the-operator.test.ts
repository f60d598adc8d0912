// A path that fails again and again is a last resort until an operator takes it back (reference section 7).

import test, { type ExecutionContext } from "ava";
import { removeGone } from "../../../host/control/devices/reconcile.ts";
import type { PathView } from "../../../host/control/schemas/path-schema.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const PATROL = "[patrol]\ninterval_s = 1\nthreshold_s = 1\ntimeout_s = 1\n";
const ARRAY = "[array]\nunits = 1\npaths = 4\nunit_mib = 1\n";
const NUMBER = "5:0:3:0";
const FAILBACK = `/v1/paths/${NUMBER}/failback`;

/** One fault is enough, so that a test need not last as long as a cable takes to work loose. */
const startQuick = (t: ExecutionContext) =>
  TestDaemon.start(t, `policy = "static"\nmarginal.count = 1\n${PATROL}${ARRAY}`);

async function pathOf(t: ExecutionContext, daemon: TestDaemon): Promise<PathView> {
  const unit = await daemon.get<"unit">(t, "/v1/units/0");
  const path = unit.paths.find(({ number }) => number === NUMBER);
  if (path === undefined) throw new Error(`${NUMBER} is not shown`);
  return path;
}

async function failed(t: ExecutionContext, daemon: TestDaemon): Promise<void> {
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where: { path: NUMBER } });
  await until("it has failed", async () => (await pathOf(t, daemon)).symbol === "X");
}

/** It has failed and has come back by itself. */
async function marginal(t: ExecutionContext, daemon: TestDaemon): Promise<void> {
  await failed(t, daemon);
  await daemon.change(t, "DELETE", "/v1/array/faults");
  // Its port reports a nexus loss with the first command, so it is asked who it is once more.
  await until("it is healthy", async () => {
    const { healthy, conditions } = await pathOf(t, daemon);
    return healthy && !conditions.includes("unverified");
  });
}

test("failback of a marginal path that is healthy vouches for it: it is used at once, and 615 says so", async (t) => {
  const daemon = await startQuick(t);
  await marginal(t, daemon);
  const path = await pathOf(t, daemon);
  t.deepEqual([path.symbol, path.conditions, path.statistics.marginalForS], [" ", ["marginal"], null]);
  const { attention } = await daemon.get<"status">(t, "/v1/status");
  t.regex(attention.join("\n"), /path 5:0:3:0 of LogicalUnit #0 fails again and again.*pathctl path failback 5:0:3:0/);
  const after = await daemon.change<PathView>(t, "POST", FAILBACK);
  t.deepEqual([after.symbol, after.conditions, after.statistics.marginalForS], [">", [], 0]);
  t.deepEqual((await daemon.get<"status">(t, "/v1/status")).attention, []);
  const told = (await daemon.get<"events">(t, "/v1/events")).events.filter(({ message }) =>
    [614, 615].includes(message),
  );
  t.deepEqual(
    told.map(({ message, path: of, detail }) => [message, of, detail["until"], detail["by"]]),
    [
      [614, NUMBER, "failback", "marginal"],
      [615, NUMBER, undefined, "operator"],
    ],
  );
  t.is((await daemon.refused(t, "POST", FAILBACK)).code, "PATH_NOT_FAILED");
});

test("failback of a marginal path that is failed takes it back as good as any other", async (t) => {
  const daemon = await startQuick(t);
  await failed(t, daemon);
  t.deepEqual((await pathOf(t, daemon)).conditions, ["marginal"]);
  t.is((await daemon.refused(t, "POST", FAILBACK)).code, "PATH_CHECK_FAILED");
  t.deepEqual((await pathOf(t, daemon)).conditions, ["marginal"], "what is not repaired is not vouched for");
  await daemon.change(t, "PATCH", "/v1/patrol", { mode: 1 });
  await daemon.change(t, "DELETE", "/v1/array/faults");
  const after = await daemon.change<PathView>(t, "POST", FAILBACK);
  t.deepEqual([after.symbol, after.conditions], [">", []]);
});

test("failback of all takes marginal paths back, and making one the path in use vouches for it", async (t) => {
  const daemon = await startQuick(t);
  await marginal(t, daemon);
  const { results } = await daemon.change<{ results: unknown[] }>(t, "POST", "/v1/failback-all");
  t.deepEqual(results, [{ path: NUMBER, done: true, reason: null }]);
  t.is((await pathOf(t, daemon)).symbol, ">");
  await marginal(t, daemon);
  const used = await daemon.change<PathView>(t, "POST", `/v1/paths/${NUMBER}/use`);
  t.deepEqual([used.symbol, used.conditions], [">", []]);
});

test("a device that goes and returns again and again makes its path marginal, and returning does not free it", async (t) => {
  const daemon = await TestDaemon.start(t, `policy = "static"\n${ARRAY}`);
  const flap = async (): Promise<readonly string[]> => {
    const present = new Set(["4:0:0:0", "4:0:1:0", "5:0:2:0"]);
    await daemon.daemon.change(() => removeGone(daemon.daemon, present));
    await daemon.daemon.rescan();
    await until("it was asked who it is", async () => {
      return !(await pathOf(t, daemon)).conditions.includes("unverified");
    });
    return (await pathOf(t, daemon)).conditions;
  };
  t.deepEqual(await flap(), []);
  t.deepEqual(await flap(), []);
  t.deepEqual(await flap(), ["marginal"]);
  t.deepEqual(await flap(), ["marginal"]);
  const after = await daemon.change<PathView>(t, "POST", FAILBACK);
  t.deepEqual([after.symbol, after.conditions], [">", []]);
  t.deepEqual(await flap(), [], "what was before is forgotten");
});

test("a marginal path is marginal after a restart, until an operator takes it back, which a restart does not undo", async (t) => {
  const first = await startQuick(t);
  await marginal(t, first);
  await until("the state file has it", () => first.daemon.state.paths().some(({ isMarginal }) => isMarginal));
  await first.stop();
  const second = await TestDaemon.start(t, "", first.folder);
  const { symbol, conditions, statistics } = await pathOf(t, second);
  t.deepEqual([symbol, conditions, statistics.marginalForS], [" ", ["marginal"], null]);
  await second.change(t, "POST", FAILBACK);
  await second.stop();
  const third = await TestDaemon.start(t, "", first.folder);
  t.deepEqual([(await pathOf(t, third)).symbol, (await pathOf(t, third)).conditions], [">", []]);
});

test("a path that nobody watches any more is not marginal, nor after a restart", async (t) => {
  const first = await startQuick(t);
  await marginal(t, first);
  await until("the state file has it", () => first.daemon.state.paths().some(({ isMarginal }) => isMarginal));
  await first.stop();
  const unwatched = `policy = "static"\nmarginal.enabled = false\n${PATROL}${ARRAY}`;
  const second = await TestDaemon.start(t, unwatched, first.folder);
  t.deepEqual((await pathOf(t, second)).conditions, []);
  await until("the state file has it not", () => {
    const paths = second.daemon.state.paths();
    return paths.length > 0 && paths.every(({ isMarginal }) => !isMarginal);
  });
});

test("with a clean period a marginal path comes back by itself", async (t) => {
  const daemon = await TestDaemon.start(
    t,
    `policy = "static"\nmarginal.count = 1\nmarginal.clean_s = 2\n${PATROL}${ARRAY}`,
  );
  await marginal(t, daemon);
  const { conditions, statistics } = await pathOf(t, daemon);
  t.deepEqual(conditions, ["marginal"]);
  t.true(statistics.marginalForS !== null && statistics.marginalForS > 0);
  await until("it is used again", async () => (await pathOf(t, daemon)).symbol === ">");
});
