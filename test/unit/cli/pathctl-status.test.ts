// `pathctl status` and `show --failed`: whether all is well, for people, scripts and monitors.

import test from "ava";

import { pathctl } from "../../../host/cli/pathctl/main.ts";
import type { Status } from "../../../host/control/schemas/status-schema.ts";
import { recordedServer, Refusal, run } from "./server.ts";
import { STATUS, STATUS_OF_TWO, UNIT } from "./status-views.ts";
import { pathView, unitView } from "./views.ts";

const answers = { "GET /v1/units": { units: [UNIT] }, "GET /v1/status": STATUS };

const DEGRADED: Status = {
  ...STATUS,
  units: 20,
  paths: 80,
  pathsUsable: 40,
  attention: ["host 5 lost: 40 paths of 20 units", "a | b"],
  health: {
    level: "degraded",
    unitsDegraded: 20,
    unitsNotRedundant: 0,
    unitsWithoutPath: 0,
    pathsFaulty: 40,
    causes: [{ text: "host 5 lost: 40 paths of 20 units", components: ["host 5"], paths: 40, units: [0] }],
    singlePoints: [],
  },
};

test("status ends with 0, 1 or 2: ok, degraded, critical; also with --json", async (t) => {
  const levels = [
    [STATUS, 0, /^health +ok$/m],
    [DEGRADED, 1, /^health +degraded, 20 units with fewer paths$/m],
    [
      { ...DEGRADED, health: { ...DEGRADED.health, level: "critical", unitsWithoutPath: 1 } },
      2,
      /^health +critical, 1 unit without a path, 19 units with fewer paths$/m,
    ],
  ] as const;
  for (const [answer, expected, line] of levels) {
    await using server = await recordedServer({ "GET /v1/status": answer });
    const plain = await run(pathctl, ["status"], server.socket);
    t.is(plain.status, expected);
    t.regex(plain.out, line);
    t.is((await run(pathctl, ["status", "--json"], server.socket)).status, expected);
  }
  t.is((await run(pathctl, ["status"])).status, 2, "no daemon");
});

const check = async (answer: unknown) => {
  await using server = await recordedServer({ "GET /v1/status": answer });
  return await run(pathctl, ["status", "--check"], server.socket);
};

test("status --check is one line that Nagios and its like read, whatever happens", async (t) => {
  t.deepEqual(await check(DEGRADED), {
    status: 1,
    out:
      "PATHMANAGER WARNING - 40 of 80 paths usable, 20 units; host 5 lost: 40 paths of 20 units; a / b | units=20;;;0 " +
      "units_degraded=20;0;;0;20 units_without_path=0;;0;0;20 paths=80;;;0 paths_usable=40;;;0;80 paths_faulty=40;0;;0\n",
    err: "",
  });
  t.regex((await check(STATUS)).out, /^PATHMANAGER OK - [^|\n]* \| [^|\n]*\n$/);
  const gone = await run(pathctl, ["status", "--check"]);
  t.is(gone.status, 2);
  t.regex(gone.out, /^PATHMANAGER CRITICAL - the daemon is not running [^|\n]*\n$/);
  t.is(gone.err, "");
  const refused = await check(new Refusal(403, "NOT_ALLOWED", "no"));
  t.deepEqual([refused.status, refused.out], [3, "PATHMANAGER UNKNOWN - no\n"]);
});

test("show --failed: units that have lost paths, and of their paths only those", async (t) => {
  const sound = unitView(1, "adaptive", [pathView(1, "4:0:0:1", 2, "in use"), pathView(1, "5:0:1:1", 1, "standby")]);
  await using server = await recordedServer({
    ...answers,
    "GET /v1/units": { units: [UNIT, sound] },
    "GET /v1/paths": { paths: [...UNIT.paths, ...sound.paths] },
  });
  const { out } = await run(pathctl, ["show", "--failed"], server.socket);
  t.regex(out, /^#0 database {2}not redundant {2}1 of 2 paths usable/);
  t.regex(out, /^ {2}X {2}5:0:1:0 /m);
  t.notRegex(out, /4:0:0:0|#1/);
  const paths = (await run(pathctl, ["show", "paths", "--failed"], server.socket)).out;
  t.regex(paths, /^X {2}5:0:1:0 /m);
  t.is(paths.trimEnd().split("\n").length, 2);
  await using other = await recordedServer({ ...answers, "GET /v1/units": { units: [sound] } });
  const nothing = await run(pathctl, ["show", "--failed"], other.socket);
  t.deepEqual([nothing.status, nothing.out], [0, "No path of 1 unit is failed, marginal or gone.\n"]);
});

test("status: each of several reactors has a line, and the only one its busy share", async (t) => {
  await using one = await recordedServer({ "GET /v1/status": STATUS });
  t.regex((await run(pathctl, ["status"], one.socket)).out, /^reactor +answering, io_uring, 12\.5 % busy$/m);
  await using two = await recordedServer({
    "GET /v1/status": STATUS_OF_TWO,
    "GET /v1/units": { units: [{ ...UNIT, reactor: 1 }] },
  });
  const { out } = await run(pathctl, ["status"], two.socket);
  const rest = "2 of 1,024 requests, 4 of 4,096 commands, pool 1 MiB of 64 MiB";
  t.regex(out, /^reactors +2, io_uring$/m);
  t.regex(out, new RegExp(`^reactor 0 +answering, 12\\.5 % busy, 1 unit, 1 connection, ${rest}$`, "m"));
  t.regex(out, new RegExp(`^reactor 1 +not answering, 2 units, 1 connection, ${rest}$`, "m"));
  t.regex((await run(pathctl, ["show"], two.socket)).out, /^#0 .* reactor 1 /m);
});

test("doctor names a reactor that does not turn, once", async (t) => {
  await using server = await recordedServer({ "GET /v1/status": STATUS_OF_TWO });
  const { status, out } = await run(pathctl, ["doctor", "--json"], server.socket);
  const { findings } = JSON.parse(out) as { findings: { level: string; text: string; remedy: string | null }[] };
  const found = findings.filter(({ text }) => text.startsWith("reactor 1 "));
  t.deepEqual(
    found.map(({ level, text }) => [level, text]),
    [["error", "reactor 1 does not answer: no I/O goes on for its units (2)"]],
  );
  t.regex(found[0]?.remedy ?? "", /messages 669 and 696/);
  t.is(status, 1);
});
