// No device is served that nobody chose: not the emulated array either, unless the file asks for it. That nothing is left is told.

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { checkConfiguration, loadConfiguration } from "../../../host/control/settings/configuration.ts";
import { whyNothingEver, whyNothingHere } from "../../../host/control/settings/empty-filter.ts";
import { isEmulated, type Configuration } from "../../../host/control/schemas/configuration-schema.ts";
import { banner } from "../../../host/control/banner.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

function read(text: string): Configuration {
  const checked = checkConfiguration(text, "f.toml");
  if (!checked.ok) throw new Error(checked.mistakes.map(({ problem }) => problem).join());
  return checked.configuration;
}

test("the emulated array is served where there is no file, and where the file says so", (t) => {
  const missing = join(mkdtempSync(join(tmpdir(), "pm-")), "none.toml");
  t.true(isEmulated(loadConfiguration(missing, false).configuration));
  for (const text of ["emulated = true", "[array]", "[array]\nunits = 3", "devices = []\n[array]"]) {
    t.true(isEmulated(read(text)), text);
  }
});

test("an empty file, and devices that name nothing, are no emulated array", (t) => {
  for (const text of [
    "",
    "devices = []",
    "failback = 'active'",
    "emulated = false\n[array]",
    "devices = 'all'\n[array]",
  ]) {
    t.false(isEmulated(read(text)), text);
  }
});

test("real devices and the emulated array at once are a mistake, with its line", (t) => {
  const checked = checkConfiguration("failback = 'active'\nemulated = true\ndevices = 'all'", "f.toml");
  t.false(checked.ok);
  t.like(checked.ok ? [] : checked.mistakes, [{ line: 2, key: "emulated" }]);
});

test("a file that can leave nothing says so, and says what to do", (t) => {
  t.regex(whyNothingEver(read("")) ?? "", /devices names no device.*or set emulated = true/);
  t.regex(whyNothingEver(read("devices = 'all'\nexclude = [{ vendor = '*' }]")) ?? "", /exclude takes away all/);
  const twice = "devices = [{ vendor = 'A' }]\nexclude = [{ product = 'x' }, { vendor = 'A' }]";
  t.regex(whyNothingEver(read(twice)) ?? "", /exclude takes away all/);
  for (const text of ["devices = 'all'", "[array]", "devices = [{ vendor = 'A' }]\nexclude = [{ vendor = 'B' }]"]) {
    t.is(whyNothingEver(read(text)), null, text);
  }
});

test("disks of which none is named are told; a machine without disks is not", (t) => {
  const named = read("devices = [{ vendor = 'A' }]");
  t.regex(whyNothingHere(named, 3) ?? "", /leave nothing of the 3 SCSI disks of this machine/);
  t.is(whyNothingHere(named, 0), null);
  t.regex(whyNothingHere(read(""), 0) ?? "", /devices names no device/);
});

test("a daemon that has nothing to serve says so in its status and its messages, once", async (t) => {
  const daemon = await TestDaemon.start(t, "devices = []\n");
  const status = await daemon.get<"status">(t, "/v1/status");
  t.is(status.source, "devices");
  t.is(status.units, 0);
  t.regex(status.attention.join(), /devices names no device, so nothing is served/);
  await daemon.daemon.rescan();
  const { events } = await daemon.get<"events">(t, "/v1/events");
  t.is(events.filter(({ message }) => message === 665).length, 1);
  t.notRegex(banner(daemon.daemon, "1.2.3"), /nbdinfo/, "no unit is named that cannot be read");
});

test("a reload that turns between the array and real devices needs a restart, and nothing goes meanwhile", async (t) => {
  const daemon = await TestDaemon.start(t, "emulated = true\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n");
  const before = await daemon.shown(t);
  TestDaemon.configure(daemon.folder, "devices = [{ vendor = 'nobody' }]\n");
  const { body } = await daemon.call<{ restartNeeded: string[] }>("POST", "/v1/config/reload");
  t.true(body.restartNeeded.includes("devices"));
  await daemon.daemon.rescan();
  t.deepEqual(await daemon.shown(t), before);
  TestDaemon.configure(daemon.folder, "emulated = true\n");
  await daemon.call("POST", "/v1/config/reload");
  await daemon.daemon.rescan();
  t.deepEqual(await daemon.shown(t), before);
});

test("pathctl config check and doctor tell a file that leaves nothing", async (t) => {
  const { pathctl } = await import("../../../host/cli/pathctl/main.ts");
  const { run } = await import("../cli/server.ts");
  const file = join(mkdtempSync(join(tmpdir(), "pm-")), "pathmanager.toml");
  writeFileSync(file, "devices = []\n");
  const checked = await run(pathctl, ["config", "check", file]);
  t.is(checked.status, 0);
  t.regex(checked.out, /no mistake\n.*devices names no device, so nothing is served; name the devices/);
  t.regex((await run(pathctl, ["doctor", "--config", file])).out, /WARNING\s+configuration: devices names no device/);
});
