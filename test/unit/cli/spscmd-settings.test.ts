import { execFile } from "node:child_process";
import { promisify } from "node:util";

import test from "ava";

import { SYNOPSIS } from "../../../host/cli/spscmd/command-line.ts";
import { spscmd } from "../../../host/cli/spscmd/main.ts";
import { recordedServer, Refusal, run, type Seen } from "./server.ts";
import { MODE, pathView, REFERENCE_UNITS } from "./views.ts";

const PATH = pathView(0, "4:0:0:0", 1);
const paths = { paths: REFERENCE_UNITS.flatMap((unit) => unit.paths) };

const settings: readonly (readonly [string, Seen])[] = [
  ["-setfbmode Standby", { call: "PATCH /v1/mode", body: { failback: "standby" } }],
  ["-setfbmode s", { call: "PATCH /v1/mode", body: { failback: "standby" } }],
  ["-SETFBMODE ACTIVE", { call: "PATCH /v1/mode", body: { failback: "active" } }],
  ["-setfbmode A", { call: "PATCH /v1/mode", body: { failback: "active" } }],
  ["-setmscsmode enable", { call: "PATCH /v1/mode", body: { cluster: true } }],
  ["-setmscsmode E", { call: "PATCH /v1/mode", body: { cluster: true } }],
  ["-setmscsmode d", { call: "PATCH /v1/mode", body: { cluster: false } }],
  ["-setwatcher :90::", { call: "PATCH /v1/patrol", body: { intervalS: 90 } }],
  [
    "-setwatcher 0:1:3600:7",
    { call: "PATCH /v1/patrol", body: { mode: 0, intervalS: 1, thresholdS: 3600, timeoutS: 7 } },
  ],
  ["-setwatcher :::", { call: "PATCH /v1/patrol", body: {} }],
  ["-avail 4:0:0:0", { call: "POST /v1/paths/4:0:0:0/enable", body: undefined }],
  ["-NotAvail 4:0:0:0", { call: "POST /v1/paths/4:0:0:0/disable", body: undefined }],
  ["-avail 04:00:0:0", { call: "POST /v1/paths/4:0:0:0/enable", body: undefined }],
  ["-path 4:0:0:0", { call: "POST /v1/paths/4:0:0:0/use", body: undefined }],
  ["-path 5:::", { call: "POST /v1/paths/use-matching", body: { pattern: "5:::" } }],
  ["-swap 4:0:0:0 5:0:1:0", { call: "POST /v1/paths/swap", body: { a: "4:0:0:0", b: "5:0:1:0" } }],
  ["-priority 4:0:0:0 254", { call: "POST /v1/paths/4:0:0:0/priority", body: { priority: 254 } }],
  ["-failback 4:0:0:0", { call: "POST /v1/paths/4:0:0:0/failback", body: undefined }],
  ["-failbackall", { call: "POST /v1/failback-all", body: undefined }],
  ["-lbmode 5:0:1:2 0", { call: "PATCH /v1/units/2", body: { policy: "static" } }],
  ["-lbmode 5:0:1:2 1", { call: "PATCH /v1/units/2", body: { policy: "round-robin" } }],
  ["-lbmode 5:0:1:2 2", { call: "PATCH /v1/units/2", body: { policy: "least-sectors" } }],
  ["-lbmode 5:0:1:2 3", { call: "PATCH /v1/units/2", body: { policy: "adaptive" } }],
];

for (const [line, expected] of settings) {
  test(`spscmd ${line} asks for the change and prints nothing`, async (t) => {
    await using server = await recordedServer({
      "GET /v1/paths": paths,
      "GET /v1/patrol": MODE.patrol,
      "PATCH /v1/mode": MODE,
      "PATCH /v1/patrol": MODE.patrol,
      "PATCH /v1/units/2": REFERENCE_UNITS[2],
      "POST /v1/failback-all": { results: [{ path: "4:0:0:1", done: true, reason: null }] },
      "POST /v1/paths/use-matching": paths,
      "POST /v1/paths/swap": paths,
      [expected.call]: PATH,
      ...(expected.call === "POST /v1/failback-all" ? { [expected.call]: { results: [] } } : {}),
    });
    t.deepEqual(await run(spscmd, line.split(" "), server.socket), { status: 0, out: "", err: "" });
    t.deepEqual(server.seen.at(-1), expected);
  });
}

const wrongUsage = [
  "",
  "-nosuch",
  "getlun",
  "-getlun -getmode",
  "-getlun -s0 -s1",
  "-getlun -v -v",
  "-getlun -s3",
  "-getmode -getfbmode",
  "-avail 4:0:0:0 -notavail",
  "-getver 1",
  "-avail",
  "-avail 4:0:0:0 5:0:1:0",
  "-swap 4:0:0:0",
  "-priority 4:0:0:0",
  "-setfbmode",
  "-setfbmode off",
  "-lbmode 4:0:0:0 4",
  "-lbmode 4:0:0:0 adaptive",
  "-setmscsmode on",
  "-setwatcher 1:2:3",
  "-setwatcher 1:2:3:4:5",
];

for (const line of wrongUsage) {
  test(`wrong usage: spscmd ${line}`, async (t) => {
    const { status, out, err } = await run(spscmd, line === "" ? [] : line.split(" "));
    t.is(status, 2);
    t.is(out, "");
    const [first = "", ...rest] = err.split("\n");
    t.regex(first, /^spscmd: ./);
    t.is(rest.join("\n"), SYNOPSIS);
  });
}

test("a mistyped option is named as it should be", async (t) => {
  const hints: readonly (readonly [string, string])[] = [
    ["swap", "-swap"],
    ["getlun", "-getlun"],
    ["-getlunn", "-getlun"],
    ["-notavial", "-notavail"],
    ["-LBMOD", "-lbmode"],
    ["path", "-path"],
  ];
  for (const [given, meant] of hints) {
    const { status, err } = await run(spscmd, [given, "4:0:0:0"]);
    t.is(status, 2);
    t.is(err.split("\n")[0], `spscmd: unknown option ${given}; did you mean ${meant}?`);
  }
  t.is((await run(spscmd, ["-frobnicate"])).err.split("\n")[0], "spscmd: unknown option -frobnicate");
  const mode = await run(spscmd, ["-lbmode", "4:0:0:0", "4"]);
  t.regex(mode.err, /^spscmd: path 4:0:0:0: no balancing mode 4: 0 off/);
});

const impossible: readonly (readonly [string, RegExp])[] = [
  ["-priority 4:0:0:0 0", /4:0:0:0.*1 to 254.*0/],
  ["-priority 4:0:0:0 255", /4:0:0:0.*1 to 254.*255/],
  ["-priority 4:0:0:0 1.5", /4:0:0:0.*1 to 254.*1\.5/],
  ["-priority 4:0:0:0 x", /4:0:0:0.*1 to 254.*x/],
  ["-priority 4:0:0:0 -1", /4:0:0:0.*1 to 254.*-1/],
  ["-avail 4:0:0", /4:0:0 is no path number/],
  ["-avail 4:0:0:", /4:0:0: is no path number/],
  ["-avail #1", /#1 is no path number/],
  ["-swap 4:0:0:0 x", /x is no path number/],
  ["-path 4:0:0", /4:0:0 is no path number/],
  ["-path a:::", /a::: is no path number/],
  ["-setwatcher 4:::", /n1.*not 4/],
  ["-setwatcher :0::", /n2.*1 to 3600.*not 0/],
  ["-setwatcher ::3601:", /n3.*not 3601/],
  ["-setwatcher :::1.5", /n4.*not 1\.5/],
];

for (const [line, reason] of impossible) {
  test(`refused with one line: spscmd ${line}`, async (t) => {
    const { status, out, err } = await run(spscmd, line.split(" "));
    t.is(status, 1);
    t.is(out, "");
    t.regex(err, /^spscmd: [^\n]*\n$/);
    t.regex(err, reason);
  });
}

test("what the daemon refuses is one line that names the path and the reason", async (t) => {
  await using server = await recordedServer({
    "POST /v1/paths/9:0:0:0/enable": new Refusal(404, "UNKNOWN_PATH", "there is no path 9:0:0:0", "9:0:0:0"),
    "POST /v1/paths/4:0:0:0/priority": new Refusal(409, "PRIORITY_IN_USE", "priority 1 is in use\nby another path"),
    "POST /v1/paths/swap": new Refusal(409, "NOT_ONE_UNIT", "the paths belong to different units"),
    "POST /v1/failback-all": {
      results: [
        { path: "4:0:0:1", done: false, reason: "no answer to the check" },
        { path: "4:0:0:2", done: true, reason: null },
      ],
    },
    "GET /v1/patrol": MODE.patrol,
    "GET /v1/paths": paths,
  });
  const errorOf = async (line: string): Promise<string> => {
    const { status, out, err } = await run(spscmd, line.split(" "), server.socket);
    t.is(status, 1, line);
    t.is(out, "", line);
    return err;
  };
  t.is(await errorOf("-avail 9:0:0:0"), "spscmd: there is no path 9:0:0:0\n");
  t.is(await errorOf("-priority 4:0:0:0 1"), "spscmd: path 4:0:0:0: priority 1 is in use by another path\n");
  t.is(await errorOf("-swap 4:0:0:0 4:0:0:1"), "spscmd: path 4:0:0:0, 4:0:0:1: the paths belong to different units\n");
  t.is(await errorOf("-failbackall"), "spscmd: path 4:0:0:1: no answer to the check\n");
  t.is(await errorOf("-lbmode 9:0:0:0 1"), "spscmd: path 9:0:0:0: there is no such path\n");
});

test("without a daemon: one line that says which socket and how to start it", async (t) => {
  const { status, out, err } = await run(spscmd, ["-getlun"], "/nonexistent/api.sock");
  t.is(status, 1);
  t.is(out, "");
  t.regex(err, /^spscmd: the daemon is not running .*\/nonexistent\/api\.sock.*pathmanagerd.*\n$/);
});

test("a file that is no socket, and something else that answers", async (t) => {
  const notSocket = await run(spscmd, ["-getlun"], import.meta.filename);
  t.is(notSocket.status, 1);
  t.regex(notSocket.err, /^spscmd: .*spscmd-settings\.test\.ts.*\n$/);
  await using other = await recordedServer({ "GET /v1/units": "<html>" });
  const html = await run(spscmd, ["-getlun"], other.socket);
  t.is(html.status, 1);
  t.regex(html.err, /not the daemon/);
});

test("the program itself: exit status and streams", async (t) => {
  const program = new URL("../../../host/cli/bin/spscmd.js", import.meta.url).pathname;
  const call = promisify(execFile);
  t.regex((await call(process.execPath, [program, "-getver"])).stdout, /^PathManager /);
  const wrong = await t.throwsAsync(call(process.execPath, [program, "-nosuch"]));
  t.like(wrong, { code: 2, stdout: "" });
  const refused = await t.throwsAsync(call(process.execPath, [program, "-priority", "4:0:0:0", "0"]));
  t.like(refused, { code: 1, stdout: "" });
});
