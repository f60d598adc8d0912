// Every change leaves a message that names its caller, and events can be chosen by unit, path, level, caller and time.

import test, { type ExecutionContext } from "ava";
import { callerOfMessage, inTheNameOf } from "../../../host/control/ground/caller.ts";
import { ROUTES, type Route } from "../../../host/control/schemas/routes.ts";
import type { EventList } from "../../../host/control/schemas/event-schema.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ARRAY = "policy = 'static'\n[array]\nunits = 2\npaths = 2\nunit_mib = 1\n";
const ME = `uid ${process.getuid?.()}`;

const list = async (t: ExecutionContext, daemon: TestDaemon, query: string) =>
  (await daemon.get<"events">(t, `/v1/events?limit=1000${query}`)).events;

test("what an operator changes is recorded with the uid, and what happens by itself without one", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  t.true((await list(t, daemon, "")).every((event) => event.detail["by"] === undefined));
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/disable");
  await daemon.change(t, "PATCH", "/v1/mode", { failback: "standby" });
  await daemon.change(t, "PATCH", "/v1/units/1", { name: "archive" });
  const by = await list(t, daemon, `&by=${encodeURIComponent(ME)}`);
  t.deepEqual(
    // What follows from a change, as 278 does here, may name its caller as well.
    by.map(({ message }) => message).filter((message) => message !== 278),
    [275, 277, 621],
  );
  t.regex(by[0]?.text ?? "", new RegExp(`^Effectiveness was changed: .*path 4:0:0:0 \\(enabled false, by ${ME}\\)$`));
  t.deepEqual(await list(t, daemon, "&by=uid%2012345"), []);
});

test("a change without a message of its own is recorded, too", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  await daemon.change(t, "PATCH", "/v1/units/0", { hedgeBudgetPercent: 5 });
  await daemon.change(t, "POST", "/v1/failback-all");
  const told = (await list(t, daemon, "")).filter(({ message }) => message === 677);
  t.deepEqual(
    told.map(({ detail }) => detail),
    [
      { command: "patchUnit", with: '{"unit":"0","hedgeBudgetPercent":5}', by: ME },
      { command: "failbackAll", with: null, by: ME },
    ],
  );
});

test("reading says nothing", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const { last } = (await daemon.call<EventList>("GET", "/v1/events")).body;
  for (const { method, path, change } of Object.values<Route>(ROUTES))
    // Numbers for a monitor and pages for a browser are not JSON: their own tests read them.
    if (!change && path.startsWith("/v1/") && !path.includes("stream"))
      await daemon.call(method, path.replace(":n", "0"));
  t.is((await daemon.call<EventList>("GET", "/v1/events")).body.last, last);
});

test("events are chosen by unit, path, level and time, and all conditions hold at once", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const { hub } = daemon.daemon;
  const at = (timeMs: number, kind: "failover-done" | "failover-failed" | "unit-renamed", unit: number, path: string) =>
    hub.publish({ kind, timeMs, unit, path, detail: {} });
  at(1_000, "failover-done", 7, "9:0:0:0");
  at(2_000, "failover-failed", 7, "9:0:0:1");
  at(3_000, "unit-renamed", 7, "9:0:0:0");
  at(4_000, "failover-failed", 8, "9:0:0:0");
  const times = async (query: string): Promise<number[]> =>
    (await list(t, daemon, query)).map(({ time }) => time).filter((time) => time < 10_000);
  t.deepEqual(await times(""), [1_000, 2_000, 3_000, 4_000]);
  t.deepEqual(await times("&unit=7"), [1_000, 2_000, 3_000]);
  t.deepEqual(await times("&unit=%237&path=9:0:0:0"), [1_000, 3_000]);
  t.deepEqual(await times("&level=warning"), [1_000, 2_000, 4_000]);
  t.deepEqual(await times("&level=error&unit=8"), [4_000]);
  t.deepEqual(await times("&from=2000&path=9:0:0:0"), [3_000, 4_000]);
  t.is((await daemon.call("GET", "/v1/events?unit=nobody")).status, 404);
  // A unit's name means its number.
  t.deepEqual(
    (await list(t, daemon, "&unit=lu1")).map(({ unit }) => unit),
    (await list(t, daemon, "&unit=1")).map(({ unit }) => unit),
  );
  t.true((await list(t, daemon, "&unit=lu1")).length > 0);
});

test("what a change leaves behind is nobody's", async (t) => {
  const later = Promise.withResolvers<string | null>();
  const [answer, said] = await inTheNameOf("uid 1", async () => {
    setTimeout(() => later.resolve(callerOfMessage()), 5);
    await Promise.resolve();
    return callerOfMessage();
  });
  t.is(answer, "uid 1");
  t.true(said);
  t.is(await later.promise, null);
  t.is(callerOfMessage(), null);
});
