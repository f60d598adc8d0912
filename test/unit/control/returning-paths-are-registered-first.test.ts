// A path that comes back carries no I/O before it is registered, and is not registered where another host has removed the key.

import { once } from "node:events";
import { connect } from "node:net";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import type { PathView } from "../../../host/control/schemas/path-schema.ts";
import type { ReservationView } from "../../../host/control/schemas/reservation-schema.ts";
import {
  parseKeys,
  reserveInCdb,
  reserveOutCommand,
  type ReserveOut,
} from "../../../host/discovery/persistent-reservations.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ONE =
  "policy = 'round-robin'\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\n[patrol]\ninterval_s = 1\nthreshold_s = 1\ntimeout_s = 1\n";
const ROUTE = "/v1/units/0/reservation";
const PATHS = ["4:0:0:0", "4:0:1:0", "5:0:2:0", "5:0:3:0"];

const order = (daemon: TestDaemon, t: ExecutionContext, body: Record<string, unknown>): Promise<ReservationView> =>
  daemon.change(t, "POST", ROUTE, body) as Promise<ReservationView>;

const view = (daemon: TestDaemon, t: ExecutionContext): Promise<ReservationView> => daemon.get<"reservation">(t, ROUTE);

/** What goes by the daemon: the emulated array knows only the port. */
async function onPort(daemon: TestDaemon, port: number, out: ReserveOut): Promise<number> {
  const { cdb, list } = reserveOutCommand(out);
  for (let tries = 0; tries < 8; tries++) {
    const { status } = await daemon.daemon.reactor.arrayCommand(port, cdb, list);
    // A unit attention comes first.
    if (status !== 2) return status;
  }
  return 2;
}

async function keysAt(daemon: TestDaemon, port: number): Promise<readonly string[]> {
  const { data } = await daemon.daemon.reactor.arrayCommand(port, reserveInCdb("keys", 1024), 1024);
  const keys = parseKeys(data);
  return keys.ok ? keys.value.keys : [];
}

async function pathOf(daemon: TestDaemon, t: ExecutionContext, number: string): Promise<PathView> {
  const { paths } = await daemon.get<"paths">(t, "/v1/paths");
  const found = paths.find((path) => path.number === number);
  if (found === undefined) throw new Error(`there is no path ${number}`);
  return found;
}

const conditions = async (daemon: TestDaemon, t: ExecutionContext, path: string): Promise<readonly string[]> =>
  (await pathOf(daemon, t, path)).conditions;

async function said(daemon: TestDaemon, t: ExecutionContext, kind: string): Promise<number> {
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  return events.filter((event) => event.kind === kind).length;
}

const down = (daemon: TestDaemon, t: ExecutionContext, path: string): Promise<unknown> =>
  daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where: { path } });

const failed = (daemon: TestDaemon, t: ExecutionContext, path: string): Promise<unknown> =>
  until(`${path} has failed`, async () => (await pathOf(daemon, t, path)).state === "failed");

const lift = (daemon: TestDaemon, t: ExecutionContext): Promise<unknown> =>
  daemon.change(t, "DELETE", "/v1/array/faults");

const usable = (daemon: TestDaemon, t: ExecutionContext, path: string): Promise<unknown> =>
  until(`${path} is usable`, async () => {
    const { state, conditions: bars } = await pathOf(daemon, t, path);
    return state !== "failed" && bars.length === 0;
  });

test("a path that was away while the unit was registered is registered when it comes back", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await down(daemon, t, "5:0:3:0");
  await failed(daemon, t, "5:0:3:0");
  // With ALL_TG_PT a path that is away would be registered by another one of its initiator port.
  const half = await order(daemon, t, { action: "register", serviceActionKey: "a1", allTargetPorts: false });
  t.is(half.device?.keys.length, 3);
  t.deepEqual(
    half.paths.map(({ registered }) => registered),
    [true, true, true, false],
  );
  await lift(daemon, t);
  await usable(daemon, t, "5:0:3:0");
  t.deepEqual(await keysAt(daemon, 3), ["0xa1", "0xa1", "0xa1", "0xa1"]);
  t.is(await said(daemon, t, "path-registered"), 1);
});

const DEAD: readonly { readonly what: string; readonly dead: readonly string[] }[] = [
  { what: "exactly half of the paths", dead: PATHS.slice(2) },
  { what: "all paths but one", dead: PATHS.slice(1) },
];

for (const { what, dead } of DEAD) {
  for (const allTargetPorts of [false, true]) {
    test(`with ${what} away a unit is registered and reserved; the rest follow (ALL_TG_PT ${allTargetPorts})`, async (t) => {
      const daemon = await TestDaemon.start(t, ONE);
      for (const path of dead) await down(daemon, t, path);
      for (const path of dead) await failed(daemon, t, path);
      const now = await order(daemon, t, { action: "register", serviceActionKey: "a1", allTargetPorts });
      t.deepEqual(
        now.paths.map(({ number, registered }) => [number, registered]),
        PATHS.map((path) => [path, !dead.includes(path)]),
      );
      t.is((await order(daemon, t, { action: "reserve", type: 5 })).device?.held?.key, "0xa1");
      // The paths that are there carry I/O, to a client that comes now.
      const client = await NbdClient.connect(daemon.daemon.options.places.nbdSocket, "0");
      await client.write(0, Buffer.alloc(4096, 1));
      await lift(daemon, t);
      for (const path of PATHS) await usable(daemon, t, path);
      t.deepEqual(await keysAt(daemon, 0), ["0xa1", "0xa1", "0xa1", "0xa1"]);
      t.true((await view(daemon, t)).paths.every(({ registered }) => registered));
      // The first that comes brings the key for the others of its initiator port.
      t.is(await said(daemon, t, "path-registered"), allTargetPorts ? 1 : dead.length);
      await client.close();
    });
  }
}

test("a path that comes back after another host has removed the key is not registered, and the unit stops", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await order(daemon, t, { action: "register", serviceActionKey: "a1" });
  await down(daemon, t, "5:0:3:0");
  await failed(daemon, t, "5:0:3:0");
  // Another host: port 3 plays its path, with a key of its own, and removes ours.
  await lift(daemon, t);
  t.is(await onPort(daemon, 3, { action: "register-ignore", key: "0x0", serviceActionKey: "0xb2" }), 0);
  t.is(await onPort(daemon, 3, { action: "preempt-abort", key: "0xb2", serviceActionKey: "0xa1", type: 5 }), 0);
  await until("the unit is preempted", async () => (await view(daemon, t)).state === "preempted");
  t.deepEqual(await keysAt(daemon, 3), ["0xb2"]);
  t.is(await said(daemon, t, "registration-preempted"), 1);
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).state, "preempted");
  t.regex(readFileSync(join(daemon.folder, "state", "reservation-keys"), "utf8"), /preempted/);
  // A daemon that starts now stops the unit at once.
  await daemon.stop();
  const second = await TestDaemon.start(t, "", daemon.folder);
  t.is((await second.get<"unit">(t, "/v1/units/0")).state, "preempted");
  // The array is new, and knows no key: whoever registers owns the unit.
  const again = await order(second, t, { action: "register", serviceActionKey: "a1" });
  t.is(again.state, "registered");
  for (const path of PATHS) await usable(second, t, path);
  t.not((await second.get<"unit">(t, "/v1/units/0")).state, "preempted");
});

test("of a reservation for its holder alone, another path takes over when the holder dies, and only it carries I/O", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await order(daemon, t, { action: "register", serviceActionKey: "a1" });
  const held = await order(daemon, t, { action: "reserve", type: 3 });
  t.is(held.holder, "4:0:0:0");
  for (const path of PATHS.slice(1)) {
    await until(`${path} waits`, async () => (await conditions(daemon, t, path)).includes("unregistered"));
  }
  await down(daemon, t, "4:0:0:0");
  await until("another path holds it", async () => ![null, "4:0:0:0"].includes((await view(daemon, t)).holder));
  const moved = await view(daemon, t);
  t.is(moved.device?.held?.type, 3);
  t.is(moved.device?.held?.key, "0xa1");
  await usable(daemon, t, moved.holder ?? "");
  await lift(daemon, t);
  await until("the former holder waits", async () => (await conditions(daemon, t, "4:0:0:0")).includes("unregistered"));
  const released = await order(daemon, t, { action: "release", type: 3 });
  t.is(released.device?.held, null);
  for (const path of PATHS) await usable(daemon, t, path);
});

test("a device that has lost its registrations gets them again, and the reservation", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await order(daemon, t, { action: "register", serviceActionKey: "a1", aptpl: false });
  await order(daemon, t, { action: "reserve", type: 5 });
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "power-loss" } });
  await until("all are registered again", async () => (await view(daemon, t)).device?.keys.length === 4);
  const again = await view(daemon, t);
  t.deepEqual(again.device?.held, { key: "0xa1", scope: 0, type: 5 });
  t.is(again.state, "registered");
  for (const path of PATHS) await usable(daemon, t, path);
});

test("the first connection after a start finds registered paths", async (t) => {
  const first = await TestDaemon.start(t, ONE);
  await order(first, t, { action: "register", serviceActionKey: "a1" });
  await first.stop();
  // The new daemon's array has forgotten everything, as one without persistence after a loss of power.
  const second = await TestDaemon.start(t, "", first.folder);
  const socket = connect(second.daemon.options.places.nbdSocket);
  await once(socket, "connect");
  socket.destroy();
  for (const path of PATHS) await usable(second, t, path);
  const now = await view(second, t);
  t.is(now.state, "registered");
  t.deepEqual(now.device?.keys, ["0xa1", "0xa1", "0xa1", "0xa1"]);
});
