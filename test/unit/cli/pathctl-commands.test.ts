import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";

import test from "ava";
import type { Command } from "commander";

import { buildProgram, pathctl } from "../../../host/cli/pathctl/main.ts";
import { POLICY_NAMES } from "../../../host/cli/values.ts";
import { PolicyName } from "../../../host/control/schemas/unit-schema.ts";
import { recordedServer, Refusal, run, type Seen } from "./server.ts";
import { MODE, pathView, unitView } from "./views.ts";

const PATH = pathView(0, "4:0:0:0", 2, "standby");
const UNIT = unitView(0, "round-robin", [PATH]);
const PATH_LINE = "path 4:0:0:0 of #0: standby, priority 2, disabled\n";
const UNIT_LINE = "#0 lu0: ok, policy round-robin\n";
const PATROL_LINE = "patrol    both, every 60 s, paths idle for 60 s, answer within 120 s\n";
const MODE_LINES = `failback  active\ncluster   off\n${PATROL_LINE}`;
const ATTACHMENT = { device: "/dev/nbd0", index: 0, sinceMs: 0 };

const calls: readonly (readonly [string, string, unknown, unknown, string])[] = [
  ["path enable 4:0:0:0", "POST /v1/paths/4:0:0:0/enable", undefined, PATH, PATH_LINE],
  ["path disable 4:0:0:0", "POST /v1/paths/4:0:0:0/disable", undefined, PATH, PATH_LINE],
  ["path use 4:0:0:0", "POST /v1/paths/4:0:0:0/use", undefined, PATH, PATH_LINE],
  ["path use 4:::", "POST /v1/paths/use-matching", { pattern: "4:::" }, { paths: [PATH] }, PATH_LINE],
  ["path priority 4:0:0:0 9", "POST /v1/paths/4:0:0:0/priority", { priority: 9 }, PATH, PATH_LINE],
  [
    "path swap 4:0:0:0 5:0:1:0",
    "POST /v1/paths/swap",
    { a: "4:0:0:0", b: "5:0:1:0" },
    { paths: [PATH, PATH] },
    PATH_LINE + PATH_LINE,
  ],
  ["path failback 4:0:0:0", "POST /v1/paths/4:0:0:0/failback", undefined, PATH, PATH_LINE],
  [
    "path failback --all",
    "POST /v1/failback-all",
    undefined,
    { results: [{ path: "4:0:0:0", done: true, reason: null }] },
    "path 4:0:0:0: taken back\n",
  ],
  ["path forget 4:0:0:0", "POST /v1/paths/4:0:0:0/forget", undefined, { done: true }, "path 4:0:0:0: forgotten\n"],
  ["unit policy 0 Round-Robin", "PATCH /v1/units/0", { policy: "round-robin" }, UNIT, UNIT_LINE],
  [
    "unit policy #0 round-robin --ios 8",
    "PATCH /v1/units/0",
    { policy: "round-robin", parameters: { ios: 8 } },
    UNIT,
    UNIT_LINE,
  ],
  [
    "unit policy 0 weighted --weights 4:0:0:0=3,5:0:1:0=1",
    "PATCH /v1/units/0",
    { policy: "weighted", parameters: { weights: { "4:0:0:0": 3, "5:0:1:0": 1 } } },
    UNIT,
    UNIT_LINE,
  ],
  ["unit rename lu0 database", "PATCH /v1/units/lu0", { name: "database" }, UNIT, UNIT_LINE],
  ["unit hedge 0 2.5", "PATCH /v1/units/0", { hedgeBudgetPercent: 2.5 }, UNIT, UNIT_LINE],
  ["unit reset 0", "PATCH /v1/units/0", { resetStatistics: true }, UNIT, UNIT_LINE],
  ["unit release 0", "POST /v1/units/0/release", undefined, UNIT, UNIT_LINE],
  ["unit move 0 1", "POST /v1/units/0/move", { reactor: 1 }, { ...UNIT, reactor: 1 }, "#0 lu0: on reactor 1\n"],
  ["unit attach 0", "POST /v1/units/0/attach", {}, ATTACHMENT, "/dev/nbd0\n"],
  ["attach #0 /dev/nbd0", "POST /v1/units/0/attach", { device: "/dev/nbd0" }, ATTACHMENT, "/dev/nbd0\n"],
  [
    "attach 0 --read-only --connections 2 --dead-timeout 60",
    "POST /v1/units/0/attach",
    { readOnly: true, connections: 2, deadConnectionTimeoutS: 60 },
    ATTACHMENT,
    "/dev/nbd0\n",
  ],
  ["detach 0", "POST /v1/units/0/detach", {}, { attachments: [] }, ""],
  [
    "unit detach 0 /dev/nbd1",
    "POST /v1/units/0/detach",
    { device: "/dev/nbd1" },
    { attachments: [ATTACHMENT] },
    "still attached: /dev/nbd0\n",
  ],
  ["mode", "GET /v1/mode", undefined, MODE, MODE_LINES],
  ["mode --failback Standby", "PATCH /v1/mode", { failback: "standby" }, MODE, MODE_LINES],
  ["mode --cluster on", "PATCH /v1/mode", { cluster: true }, MODE, MODE_LINES],
  ["patrol", "GET /v1/patrol", undefined, MODE.patrol, PATROL_LINE],
  [
    "patrol --mode recovery --interval 5 --threshold 6 --timeout 7",
    "PATCH /v1/patrol",
    { mode: 2, intervalS: 5, thresholdS: 6, timeoutS: 7 },
    MODE.patrol,
    PATROL_LINE,
  ],
  [
    "config reload",
    "POST /v1/config/reload",
    undefined,
    { changed: ["policy", "limits.units"], applied: ["policy"], restartNeeded: ["limits.units"], kept: [] },
    "policy: applied\nlimits.units: needs a restart of the daemon\n",
  ],
  [
    "config revert",
    "POST /v1/config/revert",
    undefined,
    { reverted: ["failback", "policy of #1"] },
    "failback: as configured\npolicy of #1: as configured\n",
  ],
  [
    "config show",
    "GET /v1/config",
    undefined,
    { file: "/etc/x.toml", configuration: { policy: "static", patrol: { mode: "both" } }, restartNeeded: [] },
    '# /etc/x.toml\npolicy = "static"\n\n[patrol]\nmode = "both"\n',
  ],
  [
    "array fault add port-down --controller 1 --for 5000",
    "POST /v1/array/faults",
    { fault: { kind: "port-down" }, where: { controller: 1 }, forMs: 5000 },
    { id: 3 },
    "fault 3\n",
  ],
  [
    "array fault add alua state=standby silent=true --target-port 0 --unit #1",
    "POST /v1/array/faults",
    { fault: { kind: "alua", state: 2, silent: true }, where: { unit: 1, targetPort: 0 } },
    { id: 4 },
    "fault 4\n",
  ],
  ["array fault list", "GET /v1/array/faults", undefined, { faults: [] }, "no fault\n"],
  [
    "array fault clear 3",
    "DELETE /v1/array/faults?id=3",
    undefined,
    {
      faults: [{ id: 4, fault: { kind: "slow", delayMs: 20 }, where: { path: "4:0:0:0" }, state: "active", ports: 1 }],
    },
    "fault 4: slow, path 4:0:0:0, delayMs 20, active, strikes 1 port\n",
  ],
];

for (const [line, call, body, answer, out] of calls) {
  test(`pathctl ${line}`, async (t) => {
    // Failback asks first how long the checks may take.
    const before = line.includes(" failback") ? [{ call: "GET /v1/patrol", body: undefined }] : [];
    await using server = await recordedServer({ "GET /v1/patrol": MODE.patrol, [call]: answer });
    const args = line.split(" ");
    t.deepEqual(await run(pathctl, args, server.socket), { status: 0, out, err: "" });
    const seen: Seen = { call, body };
    t.deepEqual(server.seen, [...before, seen]);
    const json = await run(pathctl, [...args, "--json"], server.socket);
    t.deepEqual(JSON.parse(json.out), answer);
  });
}

test("the options of every command may stand before it", async (t) => {
  await using server = await recordedServer({ "GET /v1/mode": MODE });
  for (const args of [
    ["--json", "mode"],
    ["--socket", server.socket, "--json", "mode"],
    ["--json", `--socket=${server.socket}`, "mode"],
  ]) {
    const { status, out, err } = await run(pathctl, args, server.socket);
    t.deepEqual([status, err, JSON.parse(out)], [0, "", MODE], args.join(" "));
  }
  for (const args of [["--json"], ["--socket"], ["--socket", server.socket]]) {
    t.is((await run(pathctl, args, server.socket)).status, 2, args.join(" "));
  }
});

test("detach /dev/nbd0: a device alone names its unit; one that nothing is attached to is detached already", async (t) => {
  const unit = { ...unitView(7, "adaptive", [PATH]), attachments: [ATTACHMENT] };
  await using server = await recordedServer({
    "GET /v1/units": { units: [UNIT, unit] },
    "POST /v1/units/7/detach": { attachments: [] },
    [`POST /v1/units/${UNIT.number}/detach`]: { attachments: [] },
  });
  t.deepEqual(await run(pathctl, ["detach", "/dev/nbd0"], server.socket), { status: 0, out: "", err: "" });
  t.deepEqual(server.seen.at(-1), { call: "POST /v1/units/7/detach", body: { device: "/dev/nbd0" } });
  t.deepEqual(await run(pathctl, ["detach", "/dev/nbd1"], server.socket), { status: 0, out: "", err: "" });
  t.deepEqual(server.seen.at(-1), { call: `POST /v1/units/${UNIT.number}/detach`, body: { device: "/dev/nbd1" } });
});

const refused: readonly (readonly [string, RegExp])[] = [
  ["path enable 4:0:0", /4:0:0 is no path number/],
  ["path use x:::", /x::: is no path number/],
  ["path priority 4:0:0:0 0", /4:0:0:0.*1 to 254, not 0/],
  ["path priority 4:0:0:0 255", /1 to 254, not 255/],
  ["path priority 4:0:0:0 1.5", /1 to 254, not 1\.5/],
  ["path swap 4:0:0:0 x", /x is no path number/],
  ["path failback", /either a path or --all/],
  ["path failback 4:0:0:0 --all", /either a path or --all/],
  ["unit policy 0 fastest", /unknown policy fastest; there are static, .*power-of-two/],
  ["unit policy 0 weighted --weights 4:0:0:0=0", /weight of 4:0:0:0 is a whole number from 1/],
  ["unit policy 0 round-robin --ios 0", /--ios is a whole number from 1/],
  ["unit hedge 0 101", /percent is a number from 0 to 100, not 101/],
  ["unit hedge 0 NaN", /not NaN/],
  ["attach 0 --connections 17", /--connections is a whole number from 1 to 16/],
  ["mode --failback off", /--failback is one of active, standby, not off/],
  ["patrol --mode all", /--mode is one of none, health, recovery, both, not all/],
  ["patrol --interval 0", /--interval is a whole number from 1 to 3600, not 0/],
  ["events --limit 0", /--limit is a whole number from 1/],
  ["top --interval 0", /--interval is a number from 0\.1/],
  ["show paths 0", /show paths takes no further argument/],
  ["array fault add error", /say where/],
  ["array fault add boom --path 4:0:0:0", /the kind of fault is one of error, no-answer/],
  ["array fault add slow 20 --path 4:0:0:0", /20 is no parameter: write name=value/],
  ["config check /nonexistent.toml", /cannot read \/nonexistent\.toml \(ENOENT\)/],
  ["import multipath.conf /nonexistent.conf", /cannot read \/nonexistent\.conf \(ENOENT\)/],
  ["completion csh", /the shell is one of bash, zsh, fish, not csh/],
];

for (const [line, reason] of refused) {
  test(`refused with one line: pathctl ${line}`, async (t) => {
    const { status, out, err } = await run(pathctl, line.split(" "));
    t.is(status, 1);
    t.is(out, "");
    t.regex(err, /^pathctl: [^\n]*\n$/);
    t.regex(err, reason);
  });
}

test("what the daemon refuses: one line with its remedy; --json gives the code", async (t) => {
  const refusal = new Refusal(409, "PRIORITY_IN_USE", "priority 1 belongs to 5:0:1:0");
  await using server = await recordedServer({ "POST /v1/paths/4:0:0:0/priority": refusal });
  const args = ["path", "priority", "4:0:0:0", "1"];
  const plain = await run(pathctl, args, server.socket);
  t.deepEqual(plain, { status: 1, out: "", err: "pathctl: path 4:0:0:0: priority 1 belongs to 5:0:1:0\n" });
  const json = await run(pathctl, [...args, "--json"], server.socket);
  t.is(json.status, 1);
  t.deepEqual(JSON.parse(json.out), {
    error: { code: "PRIORITY_IN_USE", message: refusal.error.message, parameter: null, remedy: null },
  });
});

test("failback --all: exit status 1 when one could not be taken back", async (t) => {
  const results = [{ path: "4:0:0:0", done: false, reason: "no answer" }];
  await using server = await recordedServer({
    "GET /v1/patrol": MODE.patrol,
    "POST /v1/failback-all": { results },
  });
  const { status, out } = await run(pathctl, ["path", "failback", "--all"], server.socket);
  t.deepEqual([status, out], [1, "path 4:0:0:0: no answer\n"]);
});

test("without a daemon: which socket, and how to start it", async (t) => {
  const { status, err } = await run(pathctl, ["show", "--socket", "/nonexistent/other.sock"]);
  t.is(status, 1);
  t.regex(err, /^pathctl: the daemon is not running .*\/nonexistent\/other\.sock.*pathmanagerd.*\n$/);
});

test("wrong usage ends with status 2", async (t) => {
  for (const line of ["", "nosuch", "path", "path enable", "path enable 1 2 3", "show --nosuch", "attach"]) {
    const { status, out, err } = await run(pathctl, line === "" ? [] : line.split(" "));
    t.is(status, 2, line);
    t.is(out, "", line);
    t.not(err, "", line);
  }
  t.regex((await run(pathctl, ["shwo"])).err, /Did you mean show/);
});

test("--version and --help end with status 0", async (t) => {
  t.regex((await run(pathctl, ["--version"])).out, /^\d+\.\d+\.\d+\n$/);
  t.like(await run(pathctl, ["--help"]), { status: 0, err: "" });
});

const SILENT = { out: () => undefined, err: () => undefined, env: {}, terminal: false, columns: 80, rows: 24 };

/** Every command that does something. */
function leaves(command: Command, prefix: readonly string[] = []): (readonly string[])[] {
  const visible = command.commands.filter((child) => !child.name().startsWith("__"));
  if (visible.length === 0) return [prefix];
  return visible.flatMap((child) => leaves(child, [...prefix, child.name()]));
}

test("every command has --json, --socket, and help with an example", async (t) => {
  const names = leaves(await buildProgram({ io: SILENT, status: 0 }));
  t.true(names.length > 30, String(names.length));
  for (const name of names) {
    const { status, out } = await run(pathctl, [...name, "--help"]);
    const title = name.join(" ");
    t.is(status, 0, title);
    t.regex(out, /--json/, title);
    t.regex(out, /--socket/, title);
    t.true(out.includes(`\nExample:\n`) && out.includes("pathctl"), title);
  }
});

test("the policies of the commands are those of the API", (t) => {
  t.deepEqual([...POLICY_NAMES], [...PolicyName.options]);
});

test("output that cannot be written is one line and status 1; nobody who reads errors is no crash", async (t) => {
  const program = new URL("../../../host/cli/bin/pathctl.js", import.meta.url).pathname;
  const ended = async (...stdio: ("pipe" | number)[]): Promise<{ status: unknown; err: string }> => {
    const child = spawn(process.execPath, [program, "completion", "bash"], { stdio: ["ignore", ...stdio] });
    let err = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (err += text));
    const [status] = (await once(child, "close")) as [unknown];
    return { status, err };
  };
  const full = openSync("/dev/full", "w");
  t.teardown(() => closeSync(full));
  t.deepEqual(await ended(full, "pipe"), {
    status: 1,
    err: "cannot write the output: ENOSPC: no space left on device, write\n",
  });
  t.like(await ended(full, full), { status: 1 });
});
