import test from "ava";

import { spscmd } from "../../../host/cli/spscmd/main.ts";
import { balancingOf } from "../../../host/control/settings/policies.ts";
import { POLICY_NAMES } from "../../../host/settings/names.ts";
import { recordedServer, run } from "./server.ts";
import { MODE, pathView, REFERENCE_UNITS, unitView } from "./views.ts";

const EXAMPLE = `*** LogicalUnit #0 ***
>   0: Priority=2, PathNumber=4:0:0:0
    1: Priority=1, PathNumber=5:0:1:0
*** LogicalUnit #1 ***
 X  0: Priority=1, PathNumber=4:0:0:1
>   1: Priority=2, PathNumber=5:0:1:1
+++ LogicalUnit #2 +++ [round robin]
>   0: Priority=2, PathNumber=5:0:1:2
 @  1: Priority=1, PathNumber=4:0:0:2
`;

const BY_PATH = `*** LogicalUnit #0 ***
>   0: Priority=2, PathNumber=4:0:0:0
    1: Priority=1, PathNumber=5:0:1:0
*** LogicalUnit #1 ***
 X  0: Priority=1, PathNumber=4:0:0:1
>   1: Priority=2, PathNumber=5:0:1:1
+++ LogicalUnit #2 +++ [round robin]
 @  0: Priority=1, PathNumber=4:0:0:2
>   1: Priority=2, PathNumber=5:0:1:2
`;

const BY_PRIORITY = `*** LogicalUnit #0 ***
>   0: Priority=2, PathNumber=4:0:0:0
    1: Priority=1, PathNumber=5:0:1:0
*** LogicalUnit #1 ***
>   0: Priority=2, PathNumber=5:0:1:1
 X  1: Priority=1, PathNumber=4:0:0:1
+++ LogicalUnit #2 +++ [round robin]
>   0: Priority=2, PathNumber=5:0:1:2
 @  1: Priority=1, PathNumber=4:0:0:2
`;

for (const [options, expected] of [
  [[], EXAMPLE],
  [["-s0"], EXAMPLE],
  [["-s1"], BY_PATH],
  [["-s2"], BY_PRIORITY],
  [["-S2"], BY_PRIORITY],
] as const) {
  test(`-getlun ${options.join(" ")} shows the reference's example`, async (t) => {
    await using server = await recordedServer({ "GET /v1/units": { units: REFERENCE_UNITS.toReversed() } });
    t.deepEqual(await run(spscmd, ["-getlun", ...options], server.socket), { status: 0, out: expected, err: "" });
  });
}

test("path numbers are sorted as numbers, field by field", async (t) => {
  const numbers = ["10:0:0:1", "4:0:0:10", "4:0:0:9", "4:0:10:0", "4:0:2:0"];
  const unit = unitView(
    0,
    "static",
    numbers.map((number, index) => pathView(0, number, index + 1)),
  );
  await using server = await recordedServer({ "GET /v1/units": { units: [unit] } });
  const { out } = await run(spscmd, ["-getlun", "-s1"], server.socket);
  t.deepEqual(
    out.match(/(?<=PathNumber=).*/g)?.map((number) => number),
    ["4:0:0:9", "4:0:0:10", "4:0:2:0", "4:0:10:0", "10:0:0:1"],
  );
});

test("the running number ends in column 5 with 32 paths, and every balancing mode has its name", async (t) => {
  const many = unitView(
    7,
    "adaptive",
    Array.from({ length: 32 }, (_, index) => pathView(7, `4:0:0:${index}`, index + 1, "in use")),
  );
  const others = [
    unitView(8, "least-sectors", [pathView(8, "4:0:1:0", 254)]),
    unitView(9, "service-time", [pathView(9, "4:0:2:0", 1)]),
  ];
  await using server = await recordedServer({ "GET /v1/units": { units: [many, ...others] } });
  const { out } = await run(spscmd, ["-getlun"], server.socket);
  const lines = out.split("\n");
  t.is(lines[0], "+++ LogicalUnit #7 +++ [adaptive]");
  t.is(lines[1], ">   0: Priority=32, PathNumber=4:0:0:31");
  t.is(lines[11], ">  10: Priority=22, PathNumber=4:0:0:21");
  t.is(lines[33], "+++ LogicalUnit #8 +++ [least sectors]");
  t.is(lines[34], "    0: Priority=254, PathNumber=4:0:1:0");
  t.is(lines[35], "+++ LogicalUnit #9 +++ [service-time]");
});

test("only the modes of -lbmode are written with blanks; every other policy has the name it is set by", (t) => {
  const labels = POLICY_NAMES.map((name) => [name, balancingOf(name).label]).filter(([name, label]) => name !== label);
  t.deepEqual(labels, [
    ["round-robin", "round robin"],
    ["least-sectors", "least sectors"],
  ]);
});

test("-getlun -v adds indented lines and changes no other", async (t) => {
  await using server = await recordedServer({ "GET /v1/units": { units: REFERENCE_UNITS } });
  const { out } = await run(spscmd, ["-GetLUN", "-V", "-s1"], server.socket);
  const plain = out.split("\n").filter((line) => !line.startsWith("       "));
  t.is(plain.join("\n"), BY_PATH);
  t.true(
    out.startsWith(`*** LogicalUnit #0 ***
       Name=lu0, State=ok, Identity=naa.6001405a1b2c3d4e5f60718293a4b500
       Vendor=PATHMGR, Product=EMULATED ARRAY, SerialNumber=EMU-0, Size=64 MiB
>   0: Priority=2, PathNumber=4:0:0:0
       State=in use, Device=emulated:2, Access=optimized
       InitiatorPort=host4, TargetPort=naa.5000000000000001
`),
    out,
  );
});

test("what was removed is not shown: neither a path nor a unit without paths", async (t) => {
  const remembered = [{ number: "5:0:1:0", priority: 1, enabled: true }];
  const partly = unitView(0, "static", [pathView(0, "4:0:0:0", 2, "in use")], { remembered });
  const wholly = unitView(1, "static", [], { remembered, state: "gone" });
  await using server = await recordedServer({ "GET /v1/units": { units: [partly, wholly] } });
  t.deepEqual(await run(spscmd, ["-getlun"], server.socket), {
    status: 0,
    out: "*** LogicalUnit #0 ***\n>   0: Priority=2, PathNumber=4:0:0:0\n",
    err: "",
  });
});

test("no logical unit: nothing is shown", async (t) => {
  await using server = await recordedServer({ "GET /v1/units": { units: [] } });
  t.deepEqual(await run(spscmd, ["-getlun"], server.socket), { status: 0, out: "", err: "" });
});

test("-getmode, -getfbmode, -getmscsmode, -getwatcher", async (t) => {
  await using server = await recordedServer({
    "GET /v1/mode": MODE,
    "GET /v1/patrol": MODE.patrol,
  });
  const show = async (option: string): Promise<string> => (await run(spscmd, [option], server.socket)).out;
  t.is(await show("-getmode"), "   Class : Enterprise\nFailback : Active\n    MSCS : Disable\n");
  t.is(await show("-getfbmode"), "Failback : Active\n");
  t.is(await show("-getmscsmode"), "MSCS : Disable\n");
  t.is(
    await show("-getwatcher"),
    `Health check : Enable
Recovery check : Enable
Request interval : 60 sec
Threshold : 60 sec
Timeout duration : 120 sec
`,
  );
});

for (const [mode, health, recovery] of [
  [0, "Disable", "Disable"],
  [1, "Enable", "Disable"],
  [2, "Disable", "Enable"],
] as const) {
  test(`-getwatcher shows patrol mode ${mode}`, async (t) => {
    await using server = await recordedServer({ "GET /v1/patrol": { ...MODE.patrol, mode } });
    const { out } = await run(spscmd, ["-getwatcher"], server.socket);
    t.true(out.startsWith(`Health check : ${health}\nRecovery check : ${recovery}\n`), out);
  });
}

test("the other modes: standby failback, cluster mode on", async (t) => {
  await using server = await recordedServer({ "GET /v1/mode": { ...MODE, failback: "standby", cluster: true } });
  const { out } = await run(spscmd, ["-GETMODE"], server.socket);
  t.is(out, "   Class : Enterprise\nFailback : Standby\n    MSCS : Enable\n");
});

test("-getver needs no daemon", async (t) => {
  const { status, out } = await run(spscmd, ["-getver"]);
  t.is(status, 0);
  t.regex(out, /^PathManager \d+\.\d+\.\d+\n$/);
});
