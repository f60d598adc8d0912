// A unit that no path leads to: what its I/O does is the operator's choice, and cluster software hears of it by a file.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { UNIT_SET_PREEMPTED } from "../../../host/abi.ts";
import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const QUICK = "[patrol]\ninterval_s = 1\nthreshold_s = 1\ntimeout_s = 1\n";
const ARRAY = `${QUICK}[array]\nunits = 1\npaths = 2\nunit_mib = 1\n`;
/** Longer than any test. */
const FOREVER_MS = 3_600_000;

const down = (daemon: TestDaemon, t: ExecutionContext, path?: string): Promise<unknown> =>
  daemon.change(t, "POST", "/v1/array/faults", {
    fault: { kind: "port-down" },
    where: path === undefined ? { unit: 0 } : { path },
  });
const lift = (daemon: TestDaemon, t: ExecutionContext): Promise<unknown> =>
  daemon.change(t, "DELETE", "/v1/array/faults");

const stateOf = async (daemon: TestDaemon, t: ExecutionContext): Promise<string> =>
  (await daemon.get<"unit">(t, "/v1/units/0")).state;

async function said(daemon: TestDaemon, t: ExecutionContext, kind: string): Promise<number> {
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  return events.filter((event) => event.kind === kind).length;
}

const fileOf = (daemon: TestDaemon): string => join(daemon.folder, "lost", "0");

async function clientOf(daemon: TestDaemon, t: ExecutionContext): Promise<NbdClient> {
  const client = await NbdClient.connect(join(daemon.folder, "nbd.sock"), "0");
  t.teardown(() => client.close());
  return client;
}

/** The error of a read; null when it succeeds. */
const readFails = (client: NbdClient): Promise<string | null> =>
  client.read(0, 4096).then(
    () => null,
    (thrown: Error) => thrown.message,
  );

test("fence: what waits and what comes fails once the time is over, the cluster is told, and a path ends it", async (t) => {
  const daemon = await TestDaemon.start(t, `on_no_path = "fence"\ntimeouts.no_path_ms = 1500\n${ARRAY}`);
  const client = await clientOf(daemon, t);
  await down(daemon, t, "4:0:0:0");
  t.is(await readFails(client), null, "another path carries it");
  t.false(existsSync(fileOf(daemon)));
  await down(daemon, t);
  const waits = readFails(client);
  await until("no path is left", async () => (await stateOf(daemon, t)) !== "not redundant");
  t.truthy(await waits);
  await until("the cluster is told", () => existsSync(fileOf(daemon)));
  t.is(readFileSync(fileOf(daemon), "utf8"), "no path\n");
  t.is(await stateOf(daemon, t), "released");
  t.truthy(await readFails(client), "nothing waits any more");
  await lift(daemon, t);
  await until("the file is gone", () => !existsSync(fileOf(daemon)));
  t.is(await readFails(client), null);
  t.deepEqual([await said(daemon, t, "unit-lost"), await said(daemon, t, "unit-found")], [1, 1]);
});

test("fail: I/O fails at once, though it might wait for long, and the cluster is told at once", async (t) => {
  const daemon = await TestDaemon.start(t, `on_no_path = "fail"\ntimeouts.no_path_ms = ${FOREVER_MS}\n${ARRAY}`);
  const client = await clientOf(daemon, t);
  await down(daemon, t);
  t.truthy(await readFails(client));
  await until("the cluster is told", () => existsSync(fileOf(daemon)));
  await lift(daemon, t);
  await until("the file is gone", () => !existsSync(fileOf(daemon)));
  t.is(await readFails(client), null);
});

test("wait: a path that is back in time leaves no trace", async (t) => {
  const daemon = await TestDaemon.start(t, `timeouts.no_path_ms = ${FOREVER_MS}\n${ARRAY}`);
  const client = await clientOf(daemon, t);
  await down(daemon, t);
  const waits = readFails(client);
  await until("no path is left", async () => (await stateOf(daemon, t)) === "no path");
  await lift(daemon, t);
  t.is(await waits, null);
  t.false(existsSync(fileOf(daemon)));
  t.is(await said(daemon, t, "unit-lost"), 0);
});

test("a single unit may have its own way, and a reload may change it", async (t) => {
  const daemon = await TestDaemon.start(t, `timeouts.no_path_ms = ${FOREVER_MS}\n${ARRAY}`);
  const { identity } = await daemon.get<"unit">(t, "/v1/units/0");
  const own = `[[units]]\nidentity = "${identity.text}"\non_no_path = "fail"\n`;
  TestDaemon.configure(daemon.folder, `timeouts.no_path_ms = ${FOREVER_MS}\n${ARRAY}${own}`);
  await daemon.change(t, "POST", "/v1/config/reload");
  const client = await clientOf(daemon, t);
  await down(daemon, t);
  t.truthy(await readFails(client));
  await until("the cluster is told", () => existsSync(fileOf(daemon)));
});

test("an operator who releases the unit tells the cluster; so does another host that takes it", async (t) => {
  const daemon = await TestDaemon.start(t, `timeouts.no_path_ms = ${FOREVER_MS}\n${ARRAY}`);
  await down(daemon, t);
  await until("no path is left", async () => (await stateOf(daemon, t)) === "no path");
  await daemon.change(t, "POST", "/v1/units/0/release");
  await until("the cluster is told", () => existsSync(fileOf(daemon)));
  await lift(daemon, t);
  await until("the file is gone", () => !existsSync(fileOf(daemon)));
  const handle = daemon.daemon.inventory.unit("0").handle ?? -1;
  await daemon.daemon.reactor.unitSet(handle, UNIT_SET_PREEMPTED, 1);
  await until("the cluster is told", () => existsSync(fileOf(daemon)));
  t.is(readFileSync(fileOf(daemon), "utf8"), "preempted\n");
  await daemon.daemon.reactor.unitSet(handle, UNIT_SET_PREEMPTED, 0);
  await until("the file is gone", () => !existsSync(fileOf(daemon)));
});
