// The monitors of the agent by which a cluster moves a unit between nodes: each call starts a Python, which takes minutes here.

import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../../until.ts";
import { AGENTS, attachments, daemonOf, DEVICE, keys, other, OTHERS, OURS } from "../lib/cluster-node.ts";
import { start } from "../lib/command.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 900 };

test("the resource agent's monitors fail when no path is left or another node has the unit, and stop gets by", async () => {
  const daemon = await daemonOf();
  const folder = join(daemon.folder, "notes");
  const environment = {
    OCF_RESOURCE_INSTANCE: "unit",
    OCF_RESKEY_unit: "0",
    OCF_RESKEY_api_socket: daemon.socket,
    OCF_RESKEY_device: DEVICE,
    OCF_RESKEY_read_timeout: "5",
    HA_RSCTMP: folder,
  };
  const named = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const agent = async (action: string, depth = 0): Promise<number> => {
    const { status } = await start("env", ...named, `OCF_CHECK_LEVEL=${depth}`, join(AGENTS, "Unit"), action);
    return status;
  };
  const [running, failed, stopped] = [0, 1, 7];
  assert.equal(await agent("monitor"), stopped);
  assert.equal(await agent("start"), 0);
  for (const depth of [0, 10, 20]) assert.equal(await agent("monitor", depth), running, `depth ${depth}`);
  // Detached behind its back.
  assert.equal((await attachments(daemon, "detach")).status, 200);
  for (const depth of [0, 10]) assert.equal(await agent("monitor", depth), stopped);
  assert.equal(await agent("start"), 0);
  // While a single path is left nothing is told. Without any, I/O waits here for an hour: only the deepest monitor notices, and an
  // operator who releases the unit tells all of them.
  const fault = (where: object): Promise<unknown> =>
    daemon.call("POST", "/v1/array/faults", { fault: { kind: "port-down" }, where });
  await fault({ path: "4:0:0:0" });
  for (const depth of [0, 10, 20]) assert.equal(await agent("monitor", depth), running, `depth ${depth}`);
  await fault({ unit: 0 });
  assert.equal(await agent("monitor", 20), failed);
  assert.equal((await daemon.call("POST", "/v1/units/0/release")).status, 200);
  await until("the monitor fails", async () => (await agent("monitor")) === failed);
  assert.equal(await agent("stop"), 0);
  assert.equal(await agent("monitor"), stopped);
  assert.equal(await agent("start"), failed, "there is no path");
  await daemon.call("DELETE", "/v1/array/faults");
  await until("a path is back", async () => (await agent("start")) === 0);
  // Another node takes the unit.
  assert.equal(await agent("stop"), 0);
  const order = (body: object): Promise<{ status: number }> => daemon.call("POST", "/v1/units/0/reservation", body);
  assert.equal((await order({ action: "register", serviceActionKey: OURS })).status, 200);
  assert.equal((await order({ action: "reserve", type: 5 })).status, 200);
  assert.equal(await agent("start"), 0);
  assert.equal(await other(daemon, { action: "register", key: "0x0", serviceActionKey: OTHERS }), 0);
  assert.equal(await other(daemon, { action: "preempt-abort", key: OTHERS, serviceActionKey: OURS, type: 5 }), 0);
  await until("the monitor fails", async () => (await agent("monitor")) === failed);
  assert.equal(await agent("stop"), 0);
  assert.equal(await agent("start"), failed, "a node that was fenced does not start it again");
  assert.deepEqual(await keys(daemon), [OTHERS]);
});
