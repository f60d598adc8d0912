// What holds is what a command has set; for the rest the configuration file, also one that is written after the start.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { checkConfiguration } from "../../../host/control/settings/configuration.ts";
import { Daemon } from "../../../host/control/daemon.ts";
import { placesOf } from "../../../host/control/settings/places.ts";
import { statusOf } from "../../../host/control/daemon-status.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ARRAY = "policy = 'static'\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";

test("a file that is written after the start is found by a reload where the start looked for it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-reload-"));
  const file = join(folder, "pathmanager.toml");
  TestDaemon.configure(folder, ARRAY);
  const checked = checkConfiguration(readFileSync(file, "utf8"), file);
  if (!checked.ok) return t.fail();
  const { configuration } = checked;
  rmSync(file);
  const daemon = await Daemon.start({
    configuration,
    configurationFile: null,
    configurationPlace: file,
    places: placesOf(configuration, 1000, {}),
    group: null,
    logger: { error: t.log, warning: t.log, info: () => undefined, debug: () => undefined },
  });
  t.teardown(() => daemon.stop());
  t.is((await statusOf(daemon, "0")).configuration.file, null);
  TestDaemon.configure(folder, `failback = "standby"\n${ARRAY}`);
  t.deepEqual((await daemon.reload()).applied, ["failback"]);
  t.is(daemon.effective.mode.failback, "standby");
  t.is((await statusOf(daemon, "0")).configuration.file, file);
});

test("a command keeps what it set, and leaves the rest of path patrol to the file", async (t) => {
  const patrol = "patrol.interval_s = 7\npatrol.threshold_s = 8\npatrol.timeout_s = 9\n";
  const daemon = await TestDaemon.start(t, `${patrol}${ARRAY}`);
  await daemon.change(t, "PATCH", "/v1/patrol", {});
  await daemon.change(t, "PATCH", "/v1/patrol", { intervalS: 90 });
  const changed = patrol.replace("7", "17").replace("8", "18").replace("9", "19");
  TestDaemon.configure(daemon.folder, `profile = "classic"\n${changed}${ARRAY}`);
  const report = await daemon.change<{ applied: string[]; kept: string[] }>(t, "POST", "/v1/config/reload");
  t.deepEqual(report.kept, ["patrol.interval_s"]);
  t.deepEqual(report.applied.toSorted(), ["patrol.threshold_s", "patrol.timeout_s", "profile"]);
  const shown = { mode: 3, intervalS: 90, thresholdS: 18, timeoutS: 19 };
  t.deepEqual((await daemon.get<"mode">(t, "/v1/mode")).patrol, shown);
  await daemon.stop();
  const again = await TestDaemon.start(t, "", daemon.folder);
  t.deepEqual((await again.get<"mode">(t, "/v1/mode")).patrol, shown);
});
