// An iSCSI target port has several portals; each is cabled by itself, fails by itself, and is displayed by itself.

import test from "ava";
import type { PortStates } from "../../../host/discovery/port-states.ts";
import { arrayViews } from "../../../host/control/views/overviews.ts";
import { cablingOf } from "../../../host/page/model/cabling.ts";
import { pathView, unitView } from "../cli/views.ts";

const TARGET = "iqn.2026-01.com.example:array,t,0x0001";
const units = [0, 1].map((unit) =>
  unitView(
    unit,
    "adaptive",
    ["192.0.2.1:3260", "192.0.2.2:3260"].map((portal, host) =>
      pathView(unit, `${host}:0:0:${unit}`, 1, host === 1 ? "failed" : "active", { targetPort: TARGET, portal }),
    ),
  ),
);
const state = (text: string) => ({ state: text, speed: null });
const states = (targets: Readonly<Record<string, string>>): PortStates => ({
  initiators: new Map(),
  targets: new Map(Object.entries(targets).map(([target, text]) => [target, state(text)])),
});
const portsOf = async (targets: Readonly<Record<string, string>>, of = units) =>
  (await arrayViews(of, states(targets))).flatMap(({ targetPorts }) =>
    targetPorts.map((port) => [port.name, port.portal, port.state, port.paths, port.pathsFailed]),
  );

test("every portal of a target port is told with its own state and paths", async (t) => {
  t.deepEqual(await portsOf({ "0:0:0": "LOGGED_IN", "1:0:0": "FAILED" }), [
    [TARGET, "192.0.2.1:3260", "LOGGED_IN", 2, 0],
    [TARGET, "192.0.2.2:3260", "FAILED", 2, 2],
  ]);
});

test("a port that two initiators see differently is told with both words", async (t) => {
  const fibre = [
    unitView(
      0,
      "adaptive",
      ["4:0:1:0", "5:0:1:0"].map((number) =>
        pathView(0, number, 1, "active", { targetPort: "naa.5001", portal: null }),
      ),
    ),
  ];
  t.deepEqual(await portsOf({ "4:0:1": "Online", "5:0:1": "Blocked" }, fibre), [
    ["naa.5001", null, "Online, Blocked", 2, 0],
  ]);
  t.deepEqual(await portsOf({ "4:0:1": "Online", "5:0:1": "Online" }, fibre), [["naa.5001", null, "Online", 2, 0]]);
  t.deepEqual(await portsOf({ "5:0:1": "Online" }, fibre), [["naa.5001", null, "Online", 2, 0]]);
});

test("the status page shows portals as components of their own", (t) => {
  const { components } = cablingOf(units);
  t.deepEqual(
    components.filter(({ column }) => column === "target").map(({ name, alias }) => [name, alias]),
    [
      ["portal 192.0.2.1:3260", TARGET],
      ["portal 192.0.2.2:3260", TARGET],
    ],
  );
});
