// PREEMPT with the key of the host that sends it: who holds the reservation alone moves it, and stays registered; anybody else gives its
// registrations up (SPC-4 5.13.11.4), as on a bare path.

import test, { type ExecutionContext } from "ava";
import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import type { ReservationView } from "../../../host/control/schemas/reservation-schema.ts";
import { reserveOutCommand, type ReserveOut } from "../../../host/discovery/persistent-reservations.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ONE = "policy = 'round-robin'\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\n[patrol]\ninterval_s = 1\n";
const ROUTE = "/v1/units/0/reservation";
const OTHER = 3;
const [OURS, THEIRS] = ["0xa1", "0xb2"];

const order = (daemon: TestDaemon, t: ExecutionContext, body: Record<string, unknown>): Promise<ReservationView> =>
  daemon.change(t, "POST", ROUTE, body) as Promise<ReservationView>;

/** What another host does by its path. A unit attention comes first. */
async function other(daemon: TestDaemon, out: ReserveOut): Promise<number> {
  const { cdb, list } = reserveOutCommand(out);
  for (let tries = 0; tries < 8; tries++) {
    const { status } = await daemon.daemon.reactor.arrayCommand(OTHER, cdb, list);
    if (status !== 2) return status;
  }
  return 2;
}

/** A daemon whose unit is registered, beside another host that has the last path. */
async function registered(t: ExecutionContext): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(t, ONE);
  await order(daemon, t, { action: "register", serviceActionKey: OURS });
  t.is(await other(daemon, { action: "register-ignore", key: "0x0", serviceActionKey: THEIRS }), 0);
  return daemon;
}

/** What a client gets for a write; null: it is done. */
async function write(daemon: TestDaemon): Promise<string | null> {
  const client = await NbdClient.connect(`${daemon.folder}/nbd.sock`, "0");
  try {
    await client.write(0, Buffer.alloc(4096, 7));
    return null;
  } catch (thrown) {
    return String(thrown);
  } finally {
    client.close();
  }
}

const HELD = [
  { by: "nobody", type: null, after: null },
  { by: "another host", type: 5, after: { key: THEIRS, scope: 0, type: 5 } },
  { by: "all registrants", type: 7, after: { key: "0x0", scope: 0, type: 7 } },
] as const;

for (const action of ["preempt", "preempt-abort"] as const) {
  for (const { by, type, after } of HELD) {
    test(`${action} of one's own key, with a reservation held by ${by}, ends this host's registrations`, async (t) => {
      const daemon = await registered(t);
      if (type !== null) t.is(await other(daemon, { action: "reserve", key: THEIRS, type }), 0);
      const now = await order(daemon, t, { action, key: OURS, serviceActionKey: OURS, type: 5 });
      t.like(now, { state: "none", key: null, device: { keys: [THEIRS] } });
      t.deepEqual(now.device?.held, after);
      // From now on it is a host like any other: the device alone decides what it may do.
      const refused = await write(daemon);
      if (type === null) t.is(refused, null);
      else t.regex(refused ?? "", /error 1$/);
      const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
      t.false(events.some(({ kind }) => kind === "registration-preempted"));
      // It may come back.
      t.is(await other(daemon, { action: "register", key: THEIRS, serviceActionKey: "0x0" }), 0);
      await order(daemon, t, { action: "register", serviceActionKey: OURS });
      await until("it carries I/O", async () => (await write(daemon)) === null);
    });
  }
}

test("the last of all registrants that preempts its own key ends the reservation", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  await order(daemon, t, { action: "register", serviceActionKey: OURS });
  await order(daemon, t, { action: "reserve", type: 8 });
  const now = await order(daemon, t, { action: "preempt", key: OURS, serviceActionKey: OURS, type: 8 });
  t.like(now, { state: "none", device: { keys: [], held: null } });
});

test("who holds the reservation alone keeps it, and stays registered on every path", async (t) => {
  for (const type of [3, 5]) {
    const daemon = await TestDaemon.start(t, ONE);
    await order(daemon, t, { action: "register", serviceActionKey: OURS });
    await order(daemon, t, { action: "reserve", type });
    const now = await order(daemon, t, { action: "preempt", key: OURS, serviceActionKey: OURS, type });
    t.like(now, { state: "registered", device: { held: { key: OURS, type } } });
    t.deepEqual(now.device?.keys, [OURS, OURS, OURS, OURS]);
    await daemon.stop();
  }
});
