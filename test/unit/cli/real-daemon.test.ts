// The commands against the real daemon, on the emulated array. One daemon at a time: each has a core of its own in memory.

import test from "ava";

import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import { VerifiedLoad } from "../../../host/cli/demo/load.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { spscmd } from "../../../host/cli/spscmd/main.ts";
import type { UnitView } from "../../../host/control/schemas/unit-schema.ts";
import { until } from "../../until.ts";
import { RealDaemon } from "./daemon.ts";
import { run, type Run } from "./server.ts";

const QUICK_PATROL = "[patrol]\ninterval_s = 1\nthreshold_s = 1\ntimeout_s = 2\n";

const shell = (daemon: RealDaemon) => ({
  sps: (line: string): Promise<Run> => run(spscmd, line.split(" "), daemon.socket),
  ctl: (line: string): Promise<Run> => run(pathctl, line.split(" "), daemon.socket),
});

/** Everything that was told since the start. */
async function eventsOf(daemon: RealDaemon): Promise<readonly { message: number; path: string | null }[]> {
  const { out } = await shell(daemon).ctl("events --limit 1000 --json");
  return (JSON.parse(out) as { events: { message: number; path: string | null }[] }).events;
}

test.serial("a session: setting commands print nothing, what they set is shown, and survives a restart", async (t) => {
  await using daemon = await RealDaemon.start('policy = "static"\n');
  const { sps } = shell(daemon);
  t.is(
    (await sps("-getlun")).out,
    `*** LogicalUnit #0 ***
    0: Priority=1, PathNumber=4:0:0:0
    1: Priority=2, PathNumber=4:0:1:0
    2: Priority=3, PathNumber=5:0:2:0
>   3: Priority=4, PathNumber=5:0:3:0
*** LogicalUnit #1 ***
    0: Priority=1, PathNumber=4:0:0:1
    1: Priority=2, PathNumber=4:0:1:1
    2: Priority=3, PathNumber=5:0:2:1
>   3: Priority=4, PathNumber=5:0:3:1
`,
  );
  const settings = [
    "-notavail 5:0:3:0",
    "-swap 4:0:0:0 4:0:1:0",
    "-priority 5:0:2:0 100",
    "-path ::1:1",
    "-lbmode 4:0:0:1 1",
    "-setfbmode Standby",
    "-setwatcher :90::",
  ];
  for (const line of settings) t.deepEqual(await sps(line), { status: 0, out: "", err: "" }, line);
  const shown = `*** LogicalUnit #0 ***
    0: Priority=2, PathNumber=4:0:0:0
    1: Priority=1, PathNumber=4:0:1:0
>   2: Priority=100, PathNumber=5:0:2:0
 @  3: Priority=4, PathNumber=5:0:3:0
+++ LogicalUnit #1 +++ [round robin]
>   0: Priority=4, PathNumber=4:0:1:1
>   1: Priority=3, PathNumber=5:0:2:1
>   2: Priority=2, PathNumber=5:0:3:1
>   3: Priority=1, PathNumber=4:0:0:1
`;
  t.is((await sps("-getlun")).out, shown);
  t.is(await daemon.end("SIGKILL"), "SIGKILL");
  await daemon.begin();
  t.is((await sps("-getlun")).out, shown);
  t.is((await sps("-getmode")).out, "   Class : Enterprise\nFailback : Standby\n    MSCS : Disable\n");
  t.regex((await sps("-getwatcher")).out, /Request interval : 90 sec\n/);
  t.is(await daemon.end("SIGTERM"), 0);
});

test.serial("what is refused changes nothing, and is said in one line", async (t) => {
  await using daemon = await RealDaemon.start('policy = "static"\n');
  const { sps } = shell(daemon);
  const before = (await sps("-getlun")).out;
  const refused: readonly (readonly [string, RegExp])[] = [
    ["-avail 9:9:9:9", /9:9:9:9/],
    ["-priority 4:0:0:0 4", /4:0:0:0.*5:0:3:0|5:0:3:0.*4:0:0:0|priority 4/],
    ["-priority 4:0:0:0 255", /1 to 254/],
    ["-swap 4:0:0:0 4:0:0:1", /4:0:0:0.*4:0:0:1/],
    ["-path 5:::", /5:0:2:0.*5:0:3:0/],
    ["-path 77:::", /77:::/],
    ["-failback 4:0:0:0", /4:0:0:0 is not failed/],
    ["-lbmode 9:9:9:9 1", /9:9:9:9/],
  ];
  for (const [line, reason] of refused) {
    const { status, out, err } = await sps(line);
    t.is(status, 1, line);
    t.is(out, "", line);
    t.regex(err, /^spscmd: [^\n]+\n$/, line);
    t.regex(err, reason, line);
  }
  t.is((await sps("-getlun")).out, before);
  t.is((await sps("-setmscsmode E")).status, 0);
  const { status, err } = await sps("-lbmode 4:0:0:0 1");
  t.is(status, 1);
  t.regex(err, /4:0:0:0.*cluster mode/);
});

test.serial(
  "a controller dies under verified load and comes back: signs and events tell, the client sees nothing",
  async (t) => {
    await using daemon = await RealDaemon.start(QUICK_PATROL);
    const { sps, ctl } = shell(daemon);
    const load = await VerifiedLoad.start(daemon.nbdSocket, "lu0");
    const added = await ctl("array fault add port-down --controller 0");
    t.is(added.status, 0, added.err);
    const signs = async (): Promise<string> => (await sps("-getlun -s1")).out.replaceAll(/:.*|^[*+].*\n/gm, "");
    const failed = " X  0\n X  1\n>   2\n>   3\n";
    await until("the paths of the controller fail", async () => (await signs()).startsWith(failed));
    t.regex((await ctl("show 0")).out, /^#0 lu0 {2}\S.* {2}2 of 4 paths usable/);
    t.is((await ctl("array fault clear")).status, 0);
    const healthy = ">   0\n>   1\n>   2\n>   3\n";
    await until("they come back", async () => (await signs()).startsWith(healthy));
    await load.stop();
    t.like(load.counts, { errors: 0, mismatches: 0, firstError: undefined });
    t.true(load.counts.writes > 0 && load.counts.reads > 0);
    const numbers = new Set((await eventsOf(daemon)).map((event) => event.message));
    // Found by an I/O, or by a check of a path that had none, or that was late and stood aside: whichever came first.
    t.true(numbers.has(270) || numbers.has(271), "path error");
    t.true(numbers.has(273), "automatic failback was done");
  },
);

test.serial("a path that fails an I/O is told as that, with nothing else that looks", async (t) => {
  const nothingElse = '[patrol]\nmode = "none"\n[timeouts]\nstall_max_ms = 0\n';
  await using daemon = await RealDaemon.start(`policy = "round-robin"\n${nothingElse}`);
  const { ctl } = shell(daemon);
  const load = await VerifiedLoad.start(daemon.nbdSocket, "lu0");
  t.is((await ctl("array fault add port-down --path 5:0:3:0")).status, 0);
  const told = async () => {
    const events = await eventsOf(daemon);
    return events
      .filter(({ message }) => message === 270 || message === 271)
      .map(({ message, path }) => [message, path]);
  };
  await until("the path has failed", async () => (await told()).length > 0);
  t.deepEqual(await told(), [[270, "5:0:3:0"]]);
  await load.stop();
  t.like(load.counts, { errors: 0, mismatches: 0, firstError: undefined });
});

test.serial("failback by hand, with recovery checks off: refused until the path answers", async (t) => {
  await using daemon = await RealDaemon.start(
    'policy = "static"\n[patrol]\nmode = "health"\ninterval_s = 1\nthreshold_s = 1\ntimeout_s = 2\n',
  );
  const { sps, ctl } = shell(daemon);
  await ctl("array fault add port-down --path 5:0:3:0");
  const lineOf = async (path: string): Promise<string> =>
    (await sps("-getlun")).out.split("\n").find((line) => line.endsWith(`=${path}`)) ?? "";
  await until("the health check fails the path", async () => (await lineOf("5:0:3:0")).startsWith(" X"));
  t.true((await lineOf("5:0:2:0")).startsWith(">"));
  const early = await sps("-failback 5:0:3:0");
  t.is(early.status, 1);
  t.regex(early.err, /^spscmd: .*5:0:3:0.*\n$/);
  await ctl("array fault clear");
  t.deepEqual(await sps("-failback 5:0:3:0"), { status: 0, out: "", err: "" });
  t.true((await lineOf("5:0:3:0")).startsWith(">"));
});

test.serial("events --follow tells what happens, as it happens", async (t) => {
  await using daemon = await RealDaemon.start();
  const { ctl } = shell(daemon);
  const last = (JSON.parse((await ctl("events --json")).out) as { last: number }).last;
  const follow = ctl(`events --follow --since ${last} --count 1 --json`);
  t.is((await ctl("path disable 4:0:0:0")).status, 0);
  const { status, out, err } = await follow;
  t.deepEqual([status, err], [0, ""]);
  t.like(JSON.parse(out), { id: last + 1, path: "4:0:0:0", unit: 0 });
});

test.serial("unit commands: policy, name, statistics; the export has the new name", async (t) => {
  await using daemon = await RealDaemon.start();
  const { ctl } = shell(daemon);
  t.is((await ctl("unit policy 0 weighted --weights 4:0:0:0=3,5:0:3:0=1")).status, 0);
  t.is((await ctl("unit rename 0 database")).status, 0);
  t.is((await ctl("unit hedge database 2.5")).status, 0);
  const { units } = JSON.parse((await ctl("show database --json")).out) as { units: UnitView[] };
  t.like(units[0], { number: 0, name: "database", hedgeBudgetPercent: 2.5, policy: { name: "weighted" } });
  const client = await NbdClient.connect(daemon.nbdSocket, "database");
  await client.write(0, Buffer.alloc(4096, 7));
  t.deepEqual(await client.read(0, 4096), Buffer.alloc(4096, 7));
  client.close();
  await t.throwsAsync(NbdClient.connect(daemon.nbdSocket, "nosuch"), { message: /refuses export nosuch/ });
  const taken = await ctl("unit rename 1 database");
  t.is(taken.status, 1);
  t.regex(taken.err, /database/);
});

test.serial("top counts what a client does", async (t) => {
  await using daemon = await RealDaemon.start();
  const { ctl } = shell(daemon);
  const load = await VerifiedLoad.start(daemon.nbdSocket, "lu1");
  const { out } = await ctl("top --interval 0.5 --count 2 --json");
  await load.stop();
  const samples = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { paths: { unit: number; iops: number }[] });
  const iops = (unit: number): number =>
    samples.flatMap((sample) => sample.paths).reduce((sum, path) => sum + (path.unit === unit ? path.iops : 0), 0);
  t.true(iops(1) > 0);
  t.is(iops(0), 0);
});

test.serial("config: shown as TOML that checks, reloaded without a restart", async (t) => {
  await using daemon = await RealDaemon.start();
  const { ctl } = shell(daemon);
  const shown = await ctl("config show");
  t.is(shown.status, 0, shown.err);
  t.regex(shown.out, /^# .*pathmanager\.toml\n/);
  t.is((await ctl(`config check ${daemon.configuration}`)).status, 0);
  t.is((await ctl("config reload")).out, "nothing changed\n");
  t.is((await ctl("config revert")).status, 0);
  t.is((await ctl("config revert")).out, "no command has set anything\n");
});
