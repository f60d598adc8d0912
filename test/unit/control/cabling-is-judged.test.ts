// A component through which every path of a unit goes is told, once, and doctor says it again.

import test, { type ExecutionContext } from "ava";
import { TestDaemon } from "./fixtures/daemon.ts";

const told = async (t: ExecutionContext, daemon: TestDaemon) =>
  (await daemon.get<"events">(t, "/v1/events?limit=1000")).events.filter(({ message }) => message === 685);

test("two hosts and two controllers have no single point of failure", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 2\nunit_mib = 1\n");
  t.deepEqual((await daemon.get<"status">(t, "/v1/status")).health.singlePoints, []);
  t.deepEqual(await told(t, daemon), []);
});

test("one host for all paths is a single point of every unit, told once", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 2\nunit_mib = 1\ninitiator_ports = 1\n");
  const { health } = await daemon.get<"status">(t, "/v1/status");
  t.deepEqual(health.singlePoints, [{ component: "host 4", units: [0, 1] }]);
  // The cabling is as someone wanted it, perhaps: it is no fault.
  t.is(health.level, "ok");
  await daemon.change(t, "POST", "/v1/rescan");
  const messages = await told(t, daemon);
  t.deepEqual(
    messages.map(({ detail, unit }) => [detail["component"], detail["units"], unit]),
    [["host 4", "#0, #1", null]],
  );
});

test("a unit with one path has no redundancy that could end anywhere", async (t) => {
  const daemon = await TestDaemon.start(
    t,
    "[array]\nunits = 1\nunit_mib = 1\npaths = 1\ninitiator_ports = 1\ncontrollers = 1\n",
  );
  t.deepEqual((await daemon.get<"status">(t, "/v1/status")).health.singlePoints, []);
});

test("a path is checked: it answers and leads to its unit, or elsewhere, or not at all; nothing changes", async (t) => {
  const daemon = await TestDaemon.start(t, "patrol.mode = 'none'\n[array]\nunits = 2\nunit_mib = 1\n");
  const check = () =>
    daemon.change<{ answered: boolean; isOwnUnit: boolean | null; reason: string | null }>(
      t,
      "POST",
      "/v1/paths/4:0:0:0/check",
    );
  t.like(await check(), { answered: true, isOwnUnit: true, reason: null });
  await daemon.change(t, "POST", "/v1/array/faults", {
    fault: { kind: "remap", unit: 1, silent: true },
    where: { path: "4:0:0:0" },
  });
  t.like(await check(), { answered: true, isOwnUnit: false });
  await daemon.change(t, "DELETE", "/v1/array/faults");
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where: { path: "4:0:0:0" } });
  const dead = await check();
  t.like(dead, { answered: false, isOwnUnit: null });
  t.truthy(dead.reason);
});
