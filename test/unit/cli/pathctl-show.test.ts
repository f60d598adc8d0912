import test from "ava";

import { pathctl } from "../../../host/cli/pathctl/main.ts";
import type { ArrayView, Status } from "../../../host/control/schemas/status-schema.ts";
import { recordedServer, Refusal, run } from "./server.ts";
import { STATUS, UNIT } from "./status-views.ts";
import { MODE, pathView, REFERENCE_UNITS, unitView } from "./views.ts";

const answers = { "GET /v1/units": { units: [UNIT] }, "GET /v1/status": STATUS, "GET /v1/mode": MODE };

test("show: a block for each unit, a line for each path", async (t) => {
  await using server = await recordedServer(answers);
  const { status, out, err } = await run(pathctl, ["show"], server.socket);
  t.deepEqual([status, err], [0, ""]);
  t.is(
    out,
    `#0 database  not redundant  1 of 2 paths usable  64 MiB  adaptive  /dev/nbd0
  PATHMGR EMULATED ARRAY  EMU-0  naa.6001405a1b2c3d4e5f60718293a4b500
     PATH     PRIO  STATE             ACCESS     DEVICE      INITIATOR  TARGET            IN FLIGHT   I/OS  ERRORS    P50     P99
  >  4:0:0:0     2  in use            optimized  emulated:2  host4      5000000000000001          2  1,000       0  85 us  240 us
  X  5:0:1:0     1  failed, marginal  -          -           host5      5000000000000001          2  1,000       0  85 us  240 us
`,
  );
});

test("colour on a terminal only, and never with NO_COLOR or TERM=dumb", async (t) => {
  await using server = await recordedServer(answers);
  const show = async (terminal: boolean, env: Record<string, string>): Promise<string> =>
    (
      await run(pathctl, ["show"], server.socket, {
        terminal,
        columns: 200,
        env: { ...env, PATHMANAGER_SOCKET: server.socket },
      })
    ).out;
  const plain = await show(false, {});
  const coloured = await show(true, {});
  t.false(plain.includes("\u001B"));
  t.true(coloured.includes("\u001B[31mfailed, marginal\u001B[39m"));
  // eslint-disable-next-line no-control-regex
  t.is(coloured.replaceAll(/\u001B\[\d+m/g, ""), plain);
  t.is(await show(true, { NO_COLOR: "1" }), plain);
  t.is(await show(true, { TERM: "dumb" }), plain);
  t.is(await show(true, { NO_COLOR: "" }), coloured);
});

test("on a narrow terminal no row is wider than it, and path, priority and state stay", async (t) => {
  await using server = await recordedServer(answers);
  for (const columns of [120, 100, 80, 60]) {
    const { out } = await run(pathctl, ["show"], server.socket, {
      terminal: true,
      columns,
      env: { ...env(server.socket) },
    });
    const rows = out.split("\n").slice(2);
    t.true(Math.max(...rows.map((row) => row.length)) <= columns, `${columns}\n${out}`);
    t.regex(out, /PATH +PRIO +STATE/);
  }
});

const env = (socket: string) => ({ PATHMANAGER_SOCKET: socket, NO_COLOR: "1" });

test("show names what needs attention, and devices that are not used", async (t) => {
  const status: Status = {
    ...STATUS,
    attention: ["#0 database is not redundant"],
    refused: [
      {
        device: "/dev/sg7",
        number: "6:0:0:0",
        reason: "/dev/sdh is mounted on /srv; unmount it",
        inUse: false,
        sinceMs: 0,
      },
    ],
  };
  await using server = await recordedServer({ ...answers, "GET /v1/status": status });
  const { out } = await run(pathctl, ["show"], server.socket);
  t.true(
    out.endsWith("\n! #0 database is not redundant\n! /dev/sg7 is not used: /dev/sdh is mounted on /srv; unmount it\n"),
    out,
  );
});

test("a removed path is not displayed; what is kept of it is", async (t) => {
  const remembered = [{ number: "5:0:1:3", priority: 1, enabled: false }];
  const partly = unitView(3, "static", [pathView(3, "4:0:0:3", 2, "in use")], { remembered });
  const wholly = unitView(4, "static", [], { remembered: [{ number: "4:0:0:4", priority: 1, enabled: true }] });
  await using server = await recordedServer({
    ...answers,
    "GET /v1/units": { units: [partly, wholly] },
    "GET /v1/units/4": { ...wholly, state: "gone" },
  });
  t.is(
    (await run(pathctl, ["show"], server.socket)).out,
    `#3 lu3  ok  1 of 1 path usable  64 MiB  static
  PATHMGR EMULATED ARRAY  EMU-3  naa.6001405a1b2c3d4e5f60718293a4b503
     PATH     PRIO  STATE   ACCESS     DEVICE      INITIATOR  TARGET            IN FLIGHT   I/OS  ERRORS    P50     P99
  >  4:0:0:3     2  in use  optimized  emulated:2  host4      5000000000000001          2  1,000       0  85 us  240 us
  gone, settings kept: 5:0:1:3 (priority 1, disabled)
`,
  );
  t.regex(
    (await run(pathctl, ["show", "4"], server.socket)).out,
    /^#4 lu4 {2}gone {2}0 of 0 paths usable[^]*\n {2}gone, settings kept: 4:0:0:4 \(priority 1, enabled\)\n$/,
  );
});

test("show KEY: by number, #number and name, and nothing else is asked for; an unknown one is refused", async (t) => {
  await using server = await recordedServer({
    "GET /v1/status": STATUS,
    "GET /v1/units/0": UNIT,
    "GET /v1/units/database": UNIT,
    "GET /v1/units/1": REFERENCE_UNITS[1],
    "GET /v1/units/2": REFERENCE_UNITS[2],
    "GET /v1/units/7": new Refusal(404, "UNKNOWN_UNIT", "there is no logical unit 7"),
  });
  for (const key of ["0", "#0", "database"]) {
    const { out } = await run(pathctl, ["show", key], server.socket);
    t.true(out.startsWith("#0 database  ") && !out.includes("#1"), out);
  }
  t.true((await run(pathctl, ["show", "units", "1", "2"], server.socket)).out.includes("#2 lu2"));
  t.deepEqual(await run(pathctl, ["show", "7"], server.socket), {
    status: 1,
    out: "",
    err: "pathctl: there is no logical unit 7\n",
  });
});

test("no unit at all: what to do", async (t) => {
  await using server = await recordedServer({ ...answers, "GET /v1/units": { units: [] } });
  t.regex((await run(pathctl, ["show"], server.socket)).out, /^No logical units\..*pathmanager\.toml/);
});

test("show paths: one table, by path number", async (t) => {
  const paths = REFERENCE_UNITS.flatMap((unit) => unit.paths);
  await using server = await recordedServer({ "GET /v1/paths": { paths } });
  const { out } = await run(pathctl, ["show", "paths"], server.socket);
  const rows = out.trimEnd().split("\n");
  t.is(rows.length, 7);
  t.regex(rows[0] ?? "", /^ +PATH +LU +PRIO +STATE/);
  t.deepEqual(
    rows.slice(1).map((row) => row.match(/\d+:\d+:\d+:\d+ +#\d/)?.[0].replaceAll(/ +/g, " ")),
    ["4:0:0:0 #0", "4:0:0:1 #1", "4:0:0:2 #2", "5:0:1:0 #0", "5:0:1:1 #1", "5:0:1:2 #2"],
  );
});

test("show arrays: ports on both sides", async (t) => {
  const array: ArrayView = {
    vendor: "PATHMGR",
    product: "EMULATED ARRAY",
    units: [0, 1],
    targetPorts: [
      {
        name: "naa.5000000000000001",
        portName: null,
        portal: null,
        state: null,
        speed: null,
        group: 1,
        alua: ["optimized"],
        paths: 2,
        pathsFailed: 1,
      },
    ],
    initiatorPorts: [
      { name: "host4", portName: null, adapter: null, state: null, speed: null, paths: 2, pathsFailed: 0 },
    ],
  };
  await using server = await recordedServer({ "GET /v1/arrays": { arrays: [array] } });
  t.is(
    (await run(pathctl, ["show", "arrays"], server.socket)).out,
    `PATHMGR EMULATED ARRAY  2 units: #0 #1
  PORT       NAME              GROUP  ACCESS     PATHS  FAILED
  target     5000000000000001      1  optimized      2       1
  initiator  host4                 -  -              2       0
`,
  );
  const [target, initiator] = [array.targetPorts[0], array.initiatorPorts[0]];
  if (target === undefined || initiator === undefined) throw new Error("the array has ports");
  const fibre: ArrayView = {
    ...array,
    targetPorts: [{ ...target, portName: "wwpn.50060e8010203040", state: "Online" }],
    initiatorPorts: [
      {
        ...initiator,
        name: "host4 qla2xxx",
        portName: "wwpn.21000024ff4a5b6c",
        adapter: "0000:3b:00",
        state: "Linkdown",
        speed: "16 Gbit",
      },
    ],
  };
  await using other = await recordedServer({ "GET /v1/arrays": { arrays: [fibre] } });
  t.is(
    (await run(pathctl, ["show", "arrays"], other.socket)).out,
    `PATHMGR EMULATED ARRAY  2 units: #0 #1
  PORT       NAME              WORLD-WIDE NAME   AT          STATE              GROUP  ACCESS     PATHS  FAILED
  target     5000000000000001  50060e8010203040  -           Online                 1  optimized      2       1
  initiator  host4 qla2xxx     21000024ff4a5b6c  0000:3b:00  Linkdown, 16 Gbit      -  -              2       0
`,
  );
});

test("--json is what the API answers", async (t) => {
  const paths = { paths: UNIT.paths };
  await using server = await recordedServer({ ...answers, "GET /v1/paths": paths, "GET /v1/arrays": { arrays: [] } });
  const json = async (...args: string[]): Promise<unknown> =>
    JSON.parse((await run(pathctl, [...args, "--json"], server.socket)).out);
  t.deepEqual(await json("show"), { units: [UNIT] });
  t.deepEqual(await json("show", "paths"), paths);
  t.deepEqual(await json("show", "arrays"), { arrays: [] });
  t.deepEqual(await json("status"), STATUS);
});

test("status: the daemon at a glance", async (t) => {
  await using server = await recordedServer(answers);
  const { out } = await run(pathctl, ["status"], server.socket);
  t.regex(out, /^version +0\.1\.0 \(Node v24\.21\.0\)\n/);
  t.regex(out, /\npaths +4 of 6 usable, 3 units, from emulated\n/);
});

/** A unit over four paths, each with a story: used, on standby in the array, disabled by an operator, failed. */
const STORIES = unitView(
  1,
  "round-robin",
  [
    pathView(1, "5:0:0:1", 2, "active", {
      device: "/dev/sg7",
      blockDevice: "sdf",
      deviceNumber: "8:80",
      alua: { state: "standby", group: 2, preferred: false },
      targetName: "wwpn.50001234abcd0001",
    }),
    pathView(1, "4:0:0:1", 4, "in use", {
      device: "/dev/sg4",
      blockDevice: "sdc",
      deviceNumber: "8:32",
      initiatorName: "wwpn.2100001b32a1b2c3",
      targetName: "iqn.2003-01.org:x",
    }),
    pathView(1, "10:0:1:1", 3, "standby", { device: "/dev/sg5", deviceNumber: "21:5" }),
    pathView(1, "4:0:2:1", 1, "failed", { device: null }),
  ],
  { attachments: [{ device: "/dev/nbd3", index: 3, sinceMs: 0 }] },
);

test("show --multipath: as multipath -ll, with the columns that scripts read", async (t) => {
  await using server = await recordedServer({ ...answers, "GET /v1/units/1": STORIES });
  const { out } = await run(pathctl, ["show", "--multipath", "1"], server.socket);
  t.is(
    out,
    `lu1 (36001405a1b2c3d4e5f60718293a4b501) nbd3 PATHMGR,EMULATED ARRAY
size=64M features='1 queue_if_no_path' hwhandler='1 alua' wp=rw
|-+- policy='round-robin 0' prio=50 status=active
| |- 4:0:0:1  sdc 8:32 active ready  running
| |- 10:0:1:1 sg5 21:5 failed faulty running
| \`- 4:0:2:1  -   #:#  failed faulty running
\`-+- policy='round-robin 0' prio=1 status=enabled
  \`- 5:0:0:1  sdf 8:80 active ghost  running
`,
  );
});

test("what check_multipath and os-brick look for is found in show --multipath, emulated or not", async (t) => {
  const emulated = unitView(2, "static", [pathView(2, "4:0:0:2", 1, "in use"), pathView(2, "5:0:1:2", 2)], {
    identity: { type: "serial", text: "serial.LIO-ORG:lu0:abc" },
  });
  await using server = await recordedServer({ ...answers, "GET /v1/units": { units: [STORIES, emulated] } });
  const { out } = await run(pathctl, ["show", "--multipath"], server.socket);
  const lines = out.trimEnd().split("\n");
  const maps = lines.filter((line) => /^([\w-]+) \(([\w-]+)\) ([\w-]+) \S+,/.test(line));
  t.deepEqual(
    maps.map((line) => line.split(" ")[1]),
    ["(36001405a1b2c3d4e5f60718293a4b501)", "(SLIO-ORG_lu0_abc)"],
  );
  const paths = lines.filter((line) => /^[ |`-]+[#\d:]+ +([\w-]+) +[#\d:]+ +\w+/.test(line));
  t.is(paths.length, 6);
  t.is(paths.filter((line) => !/fail|fault/.test(line) && /\sactive\s/.test(line)).length, 4);
  t.is(lines.filter((line) => /^size=[\w.]+ features=/.test(line)).length, 2);
  const policies = lines.filter((line) => /^[|`\-+ ]+ policy='[\w.-]+ \d' prio=\d+ status=/.test(line));
  t.is(maps.length + paths.length + policies.length + 2, lines.length, out);
});

test("show --json=maps: as multipathd show maps json, with the words of multipathd", async (t) => {
  const alone = unitView(2, "static", [pathView(2, "4:0:0:2", 1, "failed")]);
  const failing = unitView(3, "static", [pathView(3, "4:0:0:3", 1)], {
    timeouts: { ...STORIES.timeouts, noPathMs: 0 },
  });
  await using server = await recordedServer({
    ...answers,
    "GET /v1/units": { units: [UNIT, STORIES, alone, failing] },
  });
  const { out } = await run(pathctl, ["show", "--json=maps"], server.socket);
  const { maps, ...version } = JSON.parse(out);
  t.deepEqual(version, { major_version: 0, minor_version: 1 });
  const checks = `${Math.round(30 / MODE.patrol.intervalS)} chk`;
  t.like(maps[0], {
    name: "database",
    uuid: "36001405a1b2c3d4e5f60718293a4b500",
    sysfs: "nbd0",
    paths: 1,
    queueing: checks,
  });
  t.like(maps[1], { sysfs: "nbd3", paths: 2, path_faults: 1, queueing: checks, features: "1 queue_if_no_path" });
  t.like(maps[2], { sysfs: "[undef]", paths: 0, queueing: "30 sec" });
  t.like(maps[3], { paths: 1, queueing: "off", features: "0" });
  const [first, second] = maps[1].path_groups;
  t.like(first, { pri: 50, dm_st: "active" });
  t.like(second, { pri: 1, dm_st: "enabled" });
  t.like(first.paths[0], {
    dev: "sdc",
    dev_t: "8:32",
    chk_st: "ready",
    host_wwpn: "0x2100001b32a1b2c3",
    target_wwpn: "[undef]",
  });
  t.like(first.paths[1], { dev: "sg5", dev_t: "21:5", dm_st: "failed", chk_st: "faulty", host_wwpn: "[undef]" });
  t.like(first.paths[2], { dm_st: "failed", dev_st: "running", chk_st: "faulty", checker: "tur" });
  t.like(second.paths[0], { dm_st: "active", chk_st: "ghost", target_wwpn: "0x50001234abcd0001" });
  const wrong = await run(pathctl, ["show", "--json=map"], server.socket);
  t.is(wrong.status, 1);
  t.regex(wrong.err, /--json is one of maps, not map/);
});

test("show of a LU with 32 paths stays a table of as wide columns", async (t) => {
  const wide = unitView(
    3,
    "round-robin",
    Array.from({ length: 32 }, (_, index) => pathView(3, `${index}:0:0:3`, index + 1, "in use")),
  );
  await using server = await recordedServer({ ...answers, "GET /v1/units": { units: [wide] } });
  const { out } = await run(pathctl, ["show"], server.socket);
  const rows = out.trimEnd().split("\n").slice(2);
  t.is(new Set(rows.map((row) => row.length)).size, 1);
});
