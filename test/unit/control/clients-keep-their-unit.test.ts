// Settings of a path that is gone can be forgotten, and with the last one the unit. A unit that has clients stays: they wait
// for it, and it may come back under the number they know.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import test from "ava";
import { removeGone } from "../../../host/control/devices/reconcile.ts";
import { until } from "../../until.ts";
import { infoData, option, u32 } from "../export/client.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

/** FIXED_NEWSTYLE and NO_ZEROES, then GO. */
async function connected(socket: string, name: string): Promise<Socket> {
  const client = connect(socket);
  await once(client, "connect");
  client.write(Buffer.concat([u32(3), option(7, infoData(name))]));
  return client;
}

test("a unit with an NBD client is not forgotten with its last path; without it is, and its place is free", async (t) => {
  // An array that takes its time: whoever looks too early would see the path before it is known who answers there.
  const service = "service.latency_us = 40_000";
  const daemon = await TestDaemon.start(t, `[array]\nunits = 2\npaths = 1\nunit_mib = 1\n${service}\n`);
  const client = await connected(`${daemon.folder}/nbd.sock`, "1");
  t.teardown(() => client.destroy());
  const connections = async () => (await daemon.get<"unit">(t, "/v1/units/1")).statistics.connections;
  await until("the client is connected", async () => (await connections()) === 1);
  await daemon.daemon.change(() => removeGone(daemon.daemon, new Set(["4:0:0:0"])));
  const error = await daemon.refused(t, "POST", "/v1/paths/4:0:0:1/forget");
  t.like(error, { code: "BUSY", parameter: "4:0:0:1" });
  t.regex(error.message, /LogicalUnit #1 has no other path, and 1 NBD connection/);
  t.is((await daemon.get<"unit">(t, "/v1/units/1")).remembered.length, 1);
  client.destroy();
  await until("the client is gone", async () => (await connections()) === 0);
  await daemon.change(t, "POST", "/v1/paths/4:0:0:1/forget");
  // What is found again afterwards is new, under the place that was left.
  t.deepEqual(await daemon.shown(t, 1), [">1 4:0:0:1"]);
});
