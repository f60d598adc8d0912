// `pathctl logs collect` on a host with a fault: the archive says which path failed, over what, why, and what to do.

import { join } from "node:path";
import test from "ava";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { spscmd } from "../../../host/cli/spscmd/main.ts";
import { until } from "../../until.ts";
import { run } from "../cli/server.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

test("the archive of a host with a failed path names it, its ports, its last error and the remedy", async (t) => {
  const patrol = "patrol.interval_s = 1\npatrol.threshold_s = 1\npatrol.timeout_s = 1\n";
  const daemon = await TestDaemon.start(t, `${patrol}[array]\nunits = 2\npaths = 2\nunit_mib = 1\n`);
  const { paths } = await daemon.get<"paths">(t, "/v1/paths");
  const victim = paths[0]?.number ?? "";
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where: { path: victim } });
  await until("the loss of redundancy is told", async () => {
    const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
    return events.some(({ message }) => message === 278);
  });
  const file = join(daemon.folder, "logs.tar.gz");
  const made = await run(pathctl, ["logs", "collect", file], daemon.socket);
  t.is(made.status, 0, made.err);
  const { status, out } = await run(pathctl, ["logs", "show", file]);
  t.is(status, 0);
  t.regex(out, /daemon {5}it answered/);
  t.regex(out, new RegExp(`${victim} over .+ and naa\\.\\w+: failed; last error: \\S`));
  t.regex(out, /not redundant, 2 paths/);
  t.regex(out, /278 Some paths are not redundant/);
  t.regex(out, /what to do: Repair or enable a second path now/);
  const log = await run(pathctl, ["logs", "--path", victim], daemon.socket);
  t.regex(log.out, / 27[01] info Path error/);
  const { units } = await daemon.get<"units">(t, "/v1/units");
  const { number = -1, name = "" } = units.find((unit) => unit.number === paths[0]?.unit) ?? {};
  t.true(log.out.includes(`: LogicalUnit #${number} (${name}), path ${victim}`), log.out);
  const written = await run(pathctl, ["logs", "--file", join(daemon.folder, "spsevent.log")], daemon.socket);
  t.true(written.out.includes(`: LogicalUnit #${number}, path ${victim}`), "the file has the reference's own form");
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  t.is(events.find(({ unit }) => unit === number)?.unitName, name);
  const told = await run(pathctl, ["events", "--path", victim], daemon.socket);
  t.true(told.out.includes(`LogicalUnit #${number} (${name}), path ${victim}`), told.out);
});

test("spscmd collects the same, also where the daemon is dead; who was not there reads how it ended", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n");
  const file = join(daemon.folder, "alive.tar.gz");
  const made = await run(spscmd, ["-getlog", file], daemon.socket);
  t.is(made.status, 0, made.err);
  t.regex(made.out, /alive\.tar\.gz: \d+ files, \d+ bytes/);
  t.regex((await run(pathctl, ["logs", "show", file])).out, /daemon {5}it answered/);
  const again = await run(spscmd, ["-getlog", file], daemon.socket);
  t.is(again.status, 1);
  t.regex(again.err, /alive\.tar\.gz exists; name another file, or remove it\n$/);
  t.is((await run(spscmd, ["-getlog"])).status, 2);
  daemon.daemon.die("the core has ended: an assertion at assembly/request/pool.ts:77");
  const dead = join(daemon.folder, "dead.tar.gz");
  const config = ["--config", daemon.configurationFile];
  const after = await run(pathctl, ["logs", "collect", dead, ...config], join(daemon.folder, "nobody.sock"));
  t.is(after.status, 0, after.err);
  const { out } = await run(pathctl, ["logs", "show", dead]);
  t.regex(out, /The daemon's last words\n {2}the core has ended: an assertion at assembly\/request\/pool\.ts:77\n/);
  t.notRegex(out, /daemon {5}it answered/);
  t.regex(out, /Not collected\n(?: {2}.*\n)* {2}the daemon's status: /);
});
