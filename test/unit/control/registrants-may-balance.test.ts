// Cluster mode keeps a unit to one path, but while a reservation for registrants is held the policy that is set is in force.

import test, { type ExecutionContext } from "ava";
import type { ReservationView } from "../../../host/control/schemas/reservation-schema.ts";
import type { UnitView } from "../../../host/control/schemas/unit-schema.ts";
import { reserveOutCommand, type ReserveOut } from "../../../host/discovery/persistent-reservations.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const SHARED = `cluster = true
policy = "round-robin"
[patrol]
interval_s = 1
[array]
units = 1
paths = 4
unit_mib = 1
`;
const ROUTE = "/v1/units/0/reservation";

const order = (daemon: TestDaemon, t: ExecutionContext, body: Record<string, unknown>): Promise<ReservationView> =>
  daemon.change(t, "POST", ROUTE, body) as Promise<ReservationView>;

const unit = (daemon: TestDaemon, t: ExecutionContext): Promise<UnitView> => daemon.get<"unit">(t, "/v1/units/0");

async function inForce(daemon: TestDaemon, t: ExecutionContext, policy: string): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    const { policy: now, paths } = await unit(daemon, t);
    const used = paths.filter(({ state }) => state === "in use").length;
    return now.name === policy && (policy === "static" ? used <= 1 : used > 1);
  };
  await until(`the policy in force is ${policy}`, isSo);
}

/** What another host does on one of the ports; it takes the unit attentions that are there for it. */
async function other(daemon: TestDaemon, port: number, out: ReserveOut): Promise<number> {
  const { cdb, list } = reserveOutCommand(out);
  const { status } = await daemon.daemon.reactor.arrayCommand(port, cdb, list);
  return status === 2 ? other(daemon, port, out) : status;
}

/** The last port is another host's; this one does not use its path, and must not register for it, as their initiator port is one. */
async function withOther(t: ExecutionContext): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(t, `exclude = [{ path = "5:0:3:0" }]\n${SHARED}`);
  await inForce(daemon, t, "static");
  return daemon;
}

for (const type of [5, 6, 7, 8]) {
  test(`type ${type}: the policy that is set is in force while it is held, and may be changed`, async (t) => {
    const daemon = await TestDaemon.start(t, SHARED);
    const before = await unit(daemon, t);
    t.is(before.policy.name, "static");
    t.like(before.policySetAside, { policy: { name: "round-robin" } });
    t.regex(before.policySetAside?.why ?? "", /cluster mode.*no reservation for registrants/);
    const refused = await daemon.refused(t, "PATCH", "/v1/units/0", { policy: "adaptive" });
    t.is(refused.code, "CLUSTER_MODE");
    t.regex(refused.remedy ?? "", /type 5, 6, 7 or 8/);
    await order(daemon, t, { action: "register", serviceActionKey: "a1" });
    t.is((await unit(daemon, t)).policy.name, "static", "to be registered is not enough");
    await order(daemon, t, { action: "reserve", type });
    await inForce(daemon, t, "round-robin");
    t.is((await unit(daemon, t)).policySetAside, null);
    await daemon.change(t, "PATCH", "/v1/units/0", { policy: "weighted", parameters: { weights: { "4:0:0:0": 9 } } });
    await inForce(daemon, t, "weighted");
    await order(daemon, t, { action: "release", type });
    await inForce(daemon, t, "static");
  });
}

for (const type of [1, 3]) {
  test(`type ${type} is the holder's alone: static`, async (t) => {
    const daemon = await TestDaemon.start(t, SHARED);
    await order(daemon, t, { action: "register", serviceActionKey: "a1" });
    await order(daemon, t, { action: "reserve", type });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    t.is((await unit(daemon, t)).policy.name, "static");
  });
}

test("another host preempts the reservation and takes a type for itself: static from then on", async (t) => {
  const daemon = await withOther(t);
  await order(daemon, t, { action: "register", serviceActionKey: "a1", allTargetPorts: false });
  await order(daemon, t, { action: "reserve", type: 5 });
  await inForce(daemon, t, "round-robin");
  t.is(await other(daemon, 3, { action: "register", key: "0x0", serviceActionKey: "0xb2" }), 0);
  t.is(await other(daemon, 3, { action: "preempt", key: "0xb2", serviceActionKey: "0xa1", type: 1 }), 0);
  await inForce(daemon, t, "static");
});

test("another host holds it for registrants, then for itself, and tells nobody: that is found out", async (t) => {
  const daemon = await withOther(t);
  t.is(await other(daemon, 3, { action: "register", key: "0x0", serviceActionKey: "0xb2" }), 0);
  t.is(await other(daemon, 3, { action: "reserve", key: "0xb2", type: 5 }), 0);
  await order(daemon, t, { action: "register", serviceActionKey: "a1", allTargetPorts: false });
  await inForce(daemon, t, "round-robin");
  t.is(await other(daemon, 3, { action: "release", key: "0xb2", type: 5 }), 0);
  t.is(await other(daemon, 3, { action: "reserve", key: "0xb2", type: 3 }), 0);
  await inForce(daemon, t, "static");
});

test("the array forgets everything, and gets it again: the policy comes back with the reservation", async (t) => {
  const daemon = await TestDaemon.start(t, SHARED);
  await order(daemon, t, { action: "register", serviceActionKey: "a1", aptpl: false });
  await order(daemon, t, { action: "reserve", type: 7 });
  await inForce(daemon, t, "round-robin");
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "power-loss" } });
  await until("it is reserved again", async () => {
    const { device } = await daemon.get<"reservation">(t, ROUTE);
    return device?.held?.type === 7 && device.keys.length === 4;
  });
  await inForce(daemon, t, "round-robin");
});

test("cluster mode off and on, a restart: the policy follows", async (t) => {
  const daemon = await TestDaemon.start(t, SHARED);
  await order(daemon, t, { action: "register", serviceActionKey: "a1" });
  await order(daemon, t, { action: "reserve", type: 5 });
  await inForce(daemon, t, "round-robin");
  await daemon.change(t, "PATCH", "/v1/mode", { cluster: false });
  await inForce(daemon, t, "round-robin");
  await order(daemon, t, { action: "release", type: 5 });
  await daemon.change(t, "PATCH", "/v1/mode", { cluster: true });
  await inForce(daemon, t, "static");
  await order(daemon, t, { action: "reserve", type: 5 });
  await inForce(daemon, t, "round-robin");
  await daemon.stop();
  const second = await TestDaemon.start(t, "", daemon.folder);
  // The array is new: the path that comes first registers and reserves anew.
  await inForce(second, t, "round-robin");
});
