// A path may be named by its device or by its ports, and a name that means several paths is refused.

import test from "ava";

import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { recordedServer, run } from "./server.ts";
import { pathView } from "./views.ts";

const named = (unit: number, number: string, blockDevice: string, device: string, ports: [string, string]) =>
  pathView(unit, number, 1, "active", { blockDevice, device, initiatorName: ports[0], targetName: ports[1] });

const A: [string, string] = ["wwpn.21000024ff4a5b6c", "wwpn.50060e8010203040"];
const B: [string, string] = ["iqn.1993-08.org.debian:01:abc,iface0", "iqn.2003-01.org.linux-iscsi:t1,t,1"];
const PATHS = [
  named(0, "4:0:1:0", "sda", "/dev/sg1", A),
  named(1, "4:0:1:1", "sdb", "/dev/sg2", A),
  named(0, "9:0:0:0", "sdaa", "/dev/sg10", B),
];

test("a path is named by number, device or ports", async (t) => {
  const answers = Object.fromEntries(PATHS.map((path) => [`POST /v1/paths/${path.number}/disable`, path]));
  await using server = await recordedServer({ ...answers, "GET /v1/paths": { paths: PATHS } });
  const names: readonly (readonly [string, string])[] = [
    ["4:0:1:01", "4:0:1:1"],
    ["sda", "4:0:1:0"],
    ["/dev/sdaa", "9:0:0:0"],
    ["sg2", "4:0:1:1"],
    ["/dev/sg10", "9:0:0:0"],
    ["wwpn.21000024ff4a5b6c@wwpn.50060e8010203040/1", "4:0:1:1"],
    ["21:00:00:24:FF:4A:5B:6C@0x50060e8010203040/#0", "4:0:1:0"],
    [B.join("@"), "9:0:0:0"],
  ];
  for (const [name, number] of names) {
    const { status, out, err } = await run(pathctl, ["path", "disable", name], server.socket);
    t.deepEqual([status, err], [0, ""], name);
    t.true(out.startsWith(`path ${number} of `), name);
  }
});

test("a name that means several paths, or none, is refused, and nothing is sent", async (t) => {
  await using server = await recordedServer({ "GET /v1/paths": { paths: PATHS } });
  const refused = async (name: string, reason: RegExp): Promise<void> => {
    const { status, err } = await run(pathctl, ["path", "disable", name], server.socket);
    t.is(status, 1, name);
    t.regex(err, reason);
    t.regex(err, /^pathctl: [^\n]*\n$/);
  };
  await refused(
    "21000024ff4a5b6c@50060e8010203040",
    /means 2 paths: 4:0:1:0 \(#0\), 4:0:1:1 \(#1\); add the unit: .*\/0/,
  );
  await refused("sdz", /no path is sdz/);
  await refused("a@b", /no path is a@b/);
  await refused("database", /database is no path number: a path is its number .*, its device .*, or its ports/);
  t.true(server.seen.every(({ call }) => call === "GET /v1/paths"));
});
