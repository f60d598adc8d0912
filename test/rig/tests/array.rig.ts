// The rig's array is what the other tests believe it to be.

import assert from "node:assert/strict";
import { until } from "../../until.ts";
import { attempt, run } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { CONTROLLERS } from "../lib/stores.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 4, timeLimitS: 90, isEssential: true };

const array = new LioArray();

/** A path's answer to TEST UNIT READY, after the unit attentions that were waiting: "ready", or what sg_turs says. */
function answer(sg: string): string {
  const { status, stdout, stderr } = attempt("sg_turs", ["-v", sg]);
  // sg_turs ends with status 0 after a transport error, too.
  return status === 0 && !stderr.includes("Host_status") ? "ready" : stdout + stderr;
}

function settle(sg: string): void {
  for (let attention = 0; attention < 10 && answer(sg) !== "ready"; attention++);
  assert.equal(answer(sg), "ready");
}

const designator = (sg: string): string =>
  /0x6001405[0-9a-f]{25}/.exec(run("sg_vpd", "-p", "di_lu", sg))?.[0] ?? "none";
const portGroup = (sg: string): number =>
  Number(/Target port group: (0x[0-9a-f]+)/.exec(run("sg_vpd", "-p", "di_port", sg))?.[1]);

/** "id state" of each group that has ports, as REPORT TARGET PORT GROUPS says it through one path. */
function portGroupStates(sg: string): string[] {
  const groups = /id : (0x[12]) ,.*?\n.*?access state : (0x[0-9a-f]+)/gs;
  return [...run("sg_rtpg", "-d", sg).matchAll(groups)].map(([, id, state]) => `${id} ${state}`);
}

test("each unit has four paths, each an sg device of its own", () => {
  for (const unit of [0, 1]) assert.equal(new Set(array.devices(unit).map(({ sg }) => sg)).size, 4);
});

test("all paths of a unit show one designator, and another unit another one", () => {
  for (const { sg } of [...array.devices(0), ...array.devices(1)]) settle(sg);
  const [first, second] = [0, 1].map((unit) => new Set(array.devices(unit).map(({ sg }) => designator(sg))));
  assert.equal(first?.size, 1);
  assert.equal(second?.size, 1);
  assert.notDeepEqual(first, second);
  assert.ok(!first?.has("none"));
});

test("the paths of the two controllers are in different target port groups", () => {
  const groups = array.devices(0).map(({ sg }) => portGroup(sg));
  const { A, B } = CONTROLLERS;
  assert.deepEqual(groups, [A.id, A.id, B.id, B.id]);
});

test("REPORT TARGET PORT GROUPS says the states that were set, on every path", () => {
  afterwards(() => array.setAlua("A", "optimized"));
  afterwards(() => array.setAlua("B", "non-optimized"));
  for (const { sg } of array.devices(0)) {
    settle(sg);
    assert.deepEqual(portGroupStates(sg), ["0x1 0x00", "0x2 0x01"]);
  }
  array.setAlua("A", "standby");
  array.setAlua("B", "optimized");
  for (const [path, { sg }] of array.devices(0).entries()) {
    assert.match(answer(sg), /Unit Attention[^]*Asymmetric access state changed/);
    if (path < 2) assert.match(answer(sg), /Not Ready[^]*target port in standby state/);
    else settle(sg);
    assert.deepEqual(portGroupStates(sg), ["0x1 0x02", "0x2 0x00"]);
  }
});

test("a path that goes offline answers host status 0x0e, the others go on, online again meets a unit attention", () => {
  afterwards(() => array.setPath(1, true));
  const devices = array.devices(0).map(({ sg }) => sg);
  devices.forEach(settle);
  array.setPath(1, false);
  for (const [path, sg] of devices.entries()) {
    if (path === 1) assert.match(answer(sg), /Host_status=0x0e/);
    else assert.equal(answer(sg), "ready");
  }
  array.setPath(1, true);
  const back = devices[1] ?? assert.fail("no path 1");
  assert.match(answer(back), /Unit Attention/);
  settle(back);
});

test("a controller takes half of the paths with it", () => {
  afterwards(() => array.setController("B", true));
  const devices = array.devices(0).map(({ sg }) => sg);
  devices.forEach(settle);
  array.setController("B", false);
  assert.deepEqual(
    devices.map((sg) => answer(sg) === "ready"),
    [true, true, false, false],
  );
  assert.deepEqual(
    array.paths().map(({ online }) => online),
    [true, true, false, false],
  );
});

test("what one path has written, the others read", () => {
  const [first, ...others] = array.devices(0);
  assert.ok(first !== undefined && others.length === 3);
  for (const { sg } of array.devices(0)) settle(sg);
  const blocks = ["bs=512", "count=128", "bpt=128"];
  run("sg_dd", "if=/dev/urandom", "of=/tmp/written", ...blocks);
  run("sg_dd", "if=/tmp/written", `of=${first.sg}`, ...blocks);
  for (const { sg } of others) {
    run("sg_dd", `if=${sg}`, "of=/tmp/read", ...blocks);
    run("cmp", "/tmp/written", "/tmp/read");
  }
});

test("units come and go", async () => {
  await array.addUnit(7, 8);
  const added = array.devices(7);
  assert.equal(added.length, 4);
  assert.ok(added.every(({ lun }) => lun === 7));
  array.removeUnit(7);
  await until("the devices are gone", () => !array.units().includes(7));
  assert.equal(array.devices(1).length, 4);
});

test("a remapped LUN has its old path number and another unit's designator", async () => {
  const before = array.device(3, 1) ?? assert.fail("no device");
  settle(before.sg);
  const other = designator(array.device(0, 0)?.sg ?? "");
  assert.notEqual(designator(before.sg), other);
  array.remap(3, 1, 0);
  afterwards(() => array.remap(3, 1, 1));
  const after = await until("the device is back", () => array.paths()[3]?.luns.get(1) === 0).then(() =>
    run("lsscsi", "-g", before.pathNumber),
  );
  const sg = /\/dev\/sg\d+/.exec(after)?.[0] ?? assert.fail(`no sg device: ${after}`);
  settle(sg);
  assert.equal(designator(sg), other);
});
