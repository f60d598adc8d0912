// Failback mode Standby: a path that comes back stays disabled until an operator enables it, whatever it was that was
// lost, and over a restart of the daemon as well (reference sections 2 and 7).

import test from "ava";
import { removeGone } from "../../../host/control/devices/reconcile.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const STANDBY =
  "policy = 'static'\nfailback = 'standby'\npatrol = { interval_s = 1, threshold_s = 1, timeout_s = 1 }\n" +
  "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";
const WHOLE = [">2 5:0:2:0", " 1 4:0:0:0"];
const WAITING = ["@2 5:0:2:0", ">1 4:0:0:0"];

const showsWaiting = async (t: Parameters<TestDaemon["shown"]>[0], daemon: TestDaemon): Promise<boolean> =>
  (await daemon.shown(t)).join() === WAITING.join();

/** The device of 5:0:2:0 disappears, and is there again with the next rescan. */
async function loseDevice({ daemon }: TestDaemon): Promise<void> {
  await daemon.change(() => removeGone(daemon, new Set(["4:0:0:0"])));
}

test("a path that failed and recovered is in standby, also after a restart, until an operator enables it", async (t) => {
  const first = await TestDaemon.start(t, STANDBY);
  const where = { path: "5:0:2:0" };
  await first.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where });
  await until("it has failed", async () => (await first.shown(t))[0] === "X2 5:0:2:0");
  await first.change(t, "DELETE", "/v1/array/faults");
  await until("it has recovered and waits", () => showsWaiting(t, first));
  await until("the state file has it", () =>
    first.daemon.state.paths().some(({ number, enabled }) => number === "5:0:2:0" && !enabled),
  );
  await first.stop();
  const second = await TestDaemon.start(t, "", first.folder);
  t.deepEqual(await second.shown(t), WAITING);
  await second.change(t, "POST", "/v1/paths/5:0:2:0/enable");
  await second.stop();
  const third = await TestDaemon.start(t, "", first.folder);
  t.deepEqual(await third.shown(t), WHOLE);
});

test("a path whose device disappeared and returned waits as well; one that an operator enables does not wait again", async (t) => {
  const daemon = await TestDaemon.start(t, STANDBY);
  await loseDevice(daemon);
  await daemon.daemon.rescan();
  t.deepEqual(await daemon.shown(t), WAITING);
  t.true(daemon.daemon.state.paths().some(({ number, enabled }) => number === "5:0:2:0" && !enabled));
  const { events } = await daemon.get<"events">(t, "/v1/events");
  t.true(
    events.some(({ message, path, detail }) => message === 275 && path === "5:0:2:0" && detail["enabled"] === false),
  );
  await daemon.change(t, "POST", "/v1/paths/5:0:2:0/enable");
  await daemon.daemon.rescan();
  t.deepEqual(await daemon.shown(t), WHOLE);
});

test("in failback mode Active a device that returns has what was set for it", async (t) => {
  const slow = `${STANDBY}service.latency_us = 40_000\n`;
  const daemon = await TestDaemon.start(t, slow.replace("'standby'", "'active'"));
  await daemon.change(t, "POST", "/v1/paths/5:0:2:0/priority", { priority: 77 });
  await loseDevice(daemon);
  await daemon.daemon.rescan();
  t.deepEqual(await daemon.shown(t), [">77 5:0:2:0", " 1 4:0:0:0"]);
});

test("a path that leads home again after it led to another unit waits as well", async (t) => {
  const daemon = await TestDaemon.start(t, STANDBY.replace("units = 1", "units = 2"));
  const where = { path: "5:0:2:0" };
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "remap", unit: 1 }, where });
  await until("it is known to lead elsewhere", () => {
    const path = daemon.daemon.inventory.findPath("5:0:2:0");
    return path !== undefined && path.foreignIdentity !== null;
  });
  await daemon.change(t, "DELETE", "/v1/array/faults");
  await until("it waits", async () => {
    await daemon.daemon.rescan();
    return showsWaiting(t, daemon);
  });
});

test("a path that an operator takes back does not wait", async (t) => {
  const daemon = await TestDaemon.start(t, STANDBY.replace("interval_s = 1", "mode = 'health', interval_s = 1"));
  const where = { path: "5:0:2:0" };
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where });
  await until("it has failed", async () => (await daemon.shown(t))[0] === "X2 5:0:2:0");
  await daemon.change(t, "DELETE", "/v1/array/faults");
  await daemon.change(t, "POST", "/v1/paths/5:0:2:0/failback");
  t.deepEqual(await daemon.shown(t), WHOLE);
});
