// A unit that has lost paths is not ok, and what is lost is told by component: one sentence for a dead host, not one for each path.

import test, { type ExecutionContext } from "ava";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const QUICK = "[patrol]\ninterval_s = 1\nthreshold_s = 1\ntimeout_s = 1\n";
const ARRAY = `${QUICK}[array]\nunits = 3\nunit_mib = 1\n`;

const health = async (t: ExecutionContext, daemon: TestDaemon) => (await daemon.get<"status">(t, "/v1/status")).health;

async function fail(t: ExecutionContext, daemon: TestDaemon, where: object): Promise<void> {
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where });
}

test("four sound paths are ok; two of them lost are degraded; none left is critical", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  t.like(await health(t, daemon), { level: "ok", unitsDegraded: 0, pathsFaulty: 0, causes: [] });
  await fail(t, daemon, { controller: 0 });
  await until("its paths fail", async () => (await health(t, daemon)).pathsFaulty === 6);
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).state, "degraded");
  const degraded = await health(t, daemon);
  t.like(degraded, { level: "degraded", unitsDegraded: 3, unitsNotRedundant: 0, unitsWithoutPath: 0 });
  // In this array the paths of one host are those of one controller.
  t.deepEqual(degraded.causes, [
    {
      text: "host 4 or port group 1 of PATHMGR EMULATED DISK lost: 6 paths of 3 units",
      components: ["host 4", "port group 1 of PATHMGR EMULATED DISK"],
      paths: 6,
      units: [0, 1, 2],
    },
  ]);
  const { attention } = await daemon.get<"status">(t, "/v1/status");
  t.deepEqual(attention, [degraded.causes[0]?.text]);
  await fail(t, daemon, { controller: 1 });
  await until("no path is left", async () => (await health(t, daemon)).pathsFaulty === 12);
  t.is((await health(t, daemon)).level, "critical");
  t.like((await health(t, daemon)).causes, {
    0: { text: "array PATHMGR EMULATED DISK lost: 12 paths of 3 units" },
    length: 1,
  });
});

test("a single failed path is named, with what happened to it", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  await daemon.change(t, "POST", "/v1/array/faults", {
    fault: { kind: "port-down" },
    where: { path: "5:0:3:1" },
  });
  await until("the path fails", async () => (await health(t, daemon)).pathsFaulty === 1);
  const { level, causes } = await health(t, daemon);
  t.is(level, "degraded");
  t.regex(causes[0]?.text ?? "", /^path 5:0:3:1 of LogicalUnit #1 has failed: /);
  t.deepEqual(causes[0]?.components, []);
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).state, "ok");
  t.is((await daemon.get<"unit">(t, "/v1/units/1")).state, "degraded");
});

test("what an operator disabled is no fault, as long as the unit is redundant", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/disable");
  t.is((await health(t, daemon)).level, "ok");
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).state, "ok");
  for (const path of ["4:0:1:0", "5:0:2:0"]) await daemon.change(t, "POST", `/v1/paths/${path}/disable`);
  t.like(await health(t, daemon), { level: "degraded", unitsNotRedundant: 1, causes: [] });
});
