// `devices` and `exclude` are read again at a reload: what they do not name any more is let go, what they name again is taken.

import test, { type ExecutionContext } from "ava";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";
import { passesFilter } from "../../../host/control/devices/device-filter.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ARRAY = "policy = 'static'\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";
const WHOLE = [">2 5:0:2:0", " 1 4:0:0:0"];

async function reloaded(t: ExecutionContext, daemon: TestDaemon, configuration: string, shown: readonly string[]) {
  TestDaemon.configure(daemon.folder, configuration);
  await daemon.change(t, "POST", "/v1/config/reload");
  await until(`shown: ${shown.join()}`, async () => (await daemon.shown(t)).join() === shown.join());
}

test("a path that is excluded leaves at a reload, and comes back with its settings when it is not", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  t.deepEqual(await daemon.shown(t), WHOLE);
  const fault = { fault: { kind: "no-answer" }, where: { path: "5:0:2:0" } };
  await daemon.change(t, "POST", "/v1/array/faults", fault);
  await reloaded(t, daemon, `exclude = [{ path = "5:0:2:0" }]\n${ARRAY}`, [">1 4:0:0:0"]);
  const { events } = await daemon.get<"events">(t, "/v1/events");
  const removed = events.find(({ message, path }) => message === 274 && path === "5:0:2:0");
  t.regex(removed?.text ?? "", /devices and exclude do not name it/);
  await daemon.change(t, "DELETE", "/v1/array/faults");
  await reloaded(t, daemon, `failback = "standby"\n${ARRAY}`, WHOLE);
});

test("a reload that would leave an attached unit no path is refused and changes nothing", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  daemon.daemon.attachments.of = () => [{ device: "/dev/nbd7", index: 7, sinceMs: 0 }];
  const before = daemon.daemon.effective.configuration;
  TestDaemon.configure(daemon.folder, `exclude = [{ vendor = "*" }]\n${ARRAY}`);
  const error = await daemon.refused(t, "POST", "/v1/config/reload");
  t.is(error.code, "ATTACHED");
  t.regex(error.message, /leave LogicalUnit #0 no path, and it is attached to \/dev\/nbd7/);
  t.is(daemon.daemon.effective.configuration, before);
  await daemon.daemon.rescan();
  t.deepEqual(await daemon.shown(t), WHOLE);
  await reloaded(t, daemon, `exclude = [{ path = "4:0:0:0" }]\n${ARRAY}`, [">2 5:0:2:0"]);
});

test("whether a path is chosen is judged by its unit: identity, vendor and product, or by its own numbers", async (t) => {
  const { daemon } = await TestDaemon.start(t, ARRAY);
  const path = daemon.inventory.path("4:0:0:0");
  const { identity, facts } = path.unit;
  const chosen = (keys: object): boolean => passesFilter(path, Configuration.parse(keys));
  t.true(chosen({ emulated: true }));
  t.true(chosen({ array: {} }));
  t.false(chosen({}));
  t.true(chosen({ devices: "all" }));
  t.true(chosen({ devices: [{ identity: identity.text }] }));
  t.true(chosen({ devices: [{ vendor: facts.vendor, product: facts.product, path: path.number }] }));
  t.false(chosen({ devices: [{ identity: "naa.1" }] }));
  t.false(chosen({ devices: [{ vendor: facts.vendor, path: "5:0:2:0" }] }));
  t.false(chosen({ devices: "all", exclude: [{ product: facts.product }] }));
});
