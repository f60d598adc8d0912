// A reload is applied as a whole or not at all, and what needs a restart is told until there was one.

import test from "ava";
import { MARGINAL_COUNT_MAX } from "../../../host/settings/names.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ARRAY = "policy = 'static'\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";

test("the core takes the largest count of faults that the configuration may have", async (t) => {
  const daemon = await TestDaemon.start(t, `marginal.count = ${MARGINAL_COUNT_MAX}\n${ARRAY}`);
  t.is((await daemon.call("GET", "/v1/mode")).status, 200);
});

test("a reload that the core refuses is taken back: what is shown and what is in force are those of before", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const { reactor } = daemon.daemon;
  const before = daemon.daemon.effective;
  const settings = reactor.settings.bind(reactor);
  const asked: number[] = [];
  reactor.settings = async (calls) => {
    asked.push(calls.length);
    const answers = await settings(calls);
    return asked.length === 1
      ? answers.map((answer, index) => (index === 0 ? { code: "CORE_RANGE", message: "out of range" } : answer))
      : answers;
  };
  TestDaemon.configure(
    daemon.folder,
    `process.nice = 3\nfailback = "standby"\n${ARRAY.replace("static", "round-robin")}`,
  );
  const error = await daemon.refused(t, "POST", "/v1/config/reload");
  t.regex(error.message, /applying the configuration: out of range/);
  t.is(daemon.daemon.effective, before);
  t.deepEqual(daemon.daemon.restartNeeded, []);
  t.deepEqual(await daemon.shown(t), [">2 5:0:2:0", " 1 4:0:0:0"]);
  t.is((await daemon.get<"mode">(t, "/v1/mode")).failback, "active");
  await daemon.change(t, "POST", "/v1/config/reload");
  t.deepEqual(await daemon.shown(t), [">2 5:0:2:0", ">1 4:0:0:0"]);
});

test("a key that needs a restart is shown as it is in force, and told at every reload until then", async (t) => {
  const daemon = await TestDaemon.start(t, `process.nice = 0\n${ARRAY}`);
  TestDaemon.configure(daemon.folder, `process.nice = 3\n${ARRAY}`);
  for (let round = 0; round < 2; round++) {
    const report = await daemon.change<{ restartNeeded: string[] }>(t, "POST", "/v1/config/reload");
    t.deepEqual(report.restartNeeded, ["process.nice"]);
    t.deepEqual(daemon.daemon.restartNeeded, ["process.nice"]);
    t.is(daemon.daemon.effective.configuration.process.nice, 0);
  }
});
