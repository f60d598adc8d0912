// An array that knows no command with a CDB of 16 bytes is served like any other: a whole daemon, its clients, its faults.

import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import { findDevices } from "../../../host/control/devices/device-scan.ts";
import { statusOf } from "../../../host/control/daemon-status.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const MIB = 1 << 20;
const OLD = '[array]\nunits = 2\npaths = 4\nunit_mib = 16\nwrite_cache = true\ncommands = "10-byte"\n';

async function clientOf(t: ExecutionContext, daemon: TestDaemon, unit: string): Promise<NbdClient> {
  const client = await NbdClient.connect(join(daemon.folder, "nbd.sock"), unit);
  t.teardown(() => client.close());
  return client;
}

async function everyPathIsUsed(t: ExecutionContext, daemon: TestDaemon): Promise<void> {
  for (const unit of [0, 1]) {
    const { paths } = await daemon.get<"unit">(t, `/v1/units/${unit}`);
    t.deepEqual(
      paths.filter(({ state }) => state === "failed").map(({ number }) => number),
      [],
    );
    t.is(paths.length, 4);
  }
}

for (const block of [512, 4096]) {
  test(`units of an array with ${block}-byte blocks that knows no READ(16) have their size, and keep what is written`, async (t) => {
    const daemon = await TestDaemon.start(t, `${OLD}block_bytes = ${block}\n`);
    const first = await clientOf(t, daemon, "lu0");
    t.is(first.bytes, 16 * MIB);
    const data = Buffer.alloc(3 * MIB, 0xa5);
    // Many at once: all of the first ones are refused, and none of them may be lost.
    await Promise.all(Array.from({ length: 4 }, (_, i) => first.write(i * 4 * MIB, data)));
    await first.flush();
    const other = await clientOf(t, daemon, "lu0");
    for (let i = 0; i < 4; i++) {
      t.true((await other.read(i * 4 * MIB, 3 * MIB)).equals(data));
      t.true((await other.read((i * 4 + 3) * MIB, MIB)).equals(Buffer.alloc(MIB)));
    }
    const second = await clientOf(t, daemon, "lu1");
    t.true((await second.read(0, 4 * MIB)).equals(Buffer.alloc(4 * MIB)));
    await everyPathIsUsed(t, daemon);
    t.deepEqual((await statusOf(daemon.daemon, "0.0.0")).attention, []);
  });
}

test("a size that neither READ CAPACITY tells is unknown, and a rescan says why", async (t) => {
  const daemon = await TestDaemon.start(t, '[array]\nunits = 1\npaths = 2\ncommands = "10-byte"\n');
  t.is((await daemon.shown(t)).length, 2);
  const { daemon: inside } = daemon;
  const devices = await findDevices(inside.reactor, inside.effective.configuration, () => undefined);
  await daemon.change(t, "POST", "/v1/array/faults", {
    fault: { kind: "error", status: 2, senseKey: 5, asc: 0x20, ascq: 0 },
    when: { opcode: 0x25 },
  });
  const found = await devices.ask(new Set());
  t.deepEqual(
    found.paths.map(({ probe }) => [probe.capacity, probe.problems]),
    Array.from({ length: 2 }, () => [null, ["READ CAPACITY(10): sense 5/20/00"]]),
  );
});

test("such a unit outlives the loss of a controller: no I/O fails, and the paths come back", async (t) => {
  const daemon = await TestDaemon.start(t, `patrol.interval_s = 1\n${OLD}`);
  const client = await clientOf(t, daemon, "lu0");
  await client.write(0, Buffer.alloc(MIB, 1));
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where: { controller: 1 } });
  for (let i = 1; i < 8; i++) await client.write(i * MIB, Buffer.alloc(MIB, i + 1));
  for (let i = 0; i < 8; i++) t.true((await client.read(i * MIB, MIB)).equals(Buffer.alloc(MIB, i + 1)));
  await daemon.change(t, "DELETE", "/v1/array/faults");
  await until("the paths are back", async () =>
    (await daemon.get<"unit">(t, "/v1/units/0")).paths.every(({ state }) => state !== "failed"),
  );
});
