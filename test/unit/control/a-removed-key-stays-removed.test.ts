// Another host that has removed this host's key owns the unit: whatever this host was about to do, and whatever else the device has
// forgotten since, its key is not registered again.

import test, { type ExecutionContext } from "ava";
import type { ReservationView } from "../../../host/control/schemas/reservation-schema.ts";
import {
  parseKeys,
  reserveInCdb,
  reserveOutCommand,
  type ReserveOut,
} from "../../../host/discovery/persistent-reservations.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

/** The device has told nobody of the first event when the second happens: patrol comes seldom enough for that. */
const ONE =
  "policy = 'round-robin'\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\n[patrol]\ninterval_s = 4\nthreshold_s = 4\ntimeout_s = 4\n";
const ROUTE = "/v1/units/0/reservation";
/** The port that plays the other host, and the keys. */
const OTHER = 3;
const [OURS, THEIRS] = ["0xa1", "0xb2"];
const RESERVE_COMMANDS: ReadonlySet<number> = new Set([0x5e, 0x5f]);

type Command = TestDaemon["daemon"]["reactor"]["arrayCommand"];

const order = (daemon: TestDaemon, t: ExecutionContext, body: Record<string, unknown>): Promise<ReservationView> =>
  daemon.change(t, "POST", ROUTE, body) as Promise<ReservationView>;

const stateOf = async (daemon: TestDaemon, t: ExecutionContext): Promise<string> =>
  (await daemon.get<"reservation">(t, ROUTE)).state;

/** What goes by the daemon. A unit attention comes first. */
async function other(command: Command, out: ReserveOut): Promise<number> {
  const { cdb, list } = reserveOutCommand(out);
  for (let tries = 0; tries < 8; tries++) {
    const { status } = await command(OTHER, cdb, list);
    if (status !== 2) return status;
  }
  return 2;
}

const join = (command: Command): Promise<number> =>
  other(command, { action: "register-ignore", key: "0x0", serviceActionKey: THEIRS });

const preempt = (command: Command, type: number): Promise<number> =>
  other(command, { action: "preempt-abort", key: THEIRS, serviceActionKey: OURS, type });

async function keysAt(command: Command): Promise<readonly string[]> {
  const { data } = await command(OTHER, reserveInCdb("keys", 1024), 1024);
  const keys = parseKeys(data);
  return keys.ok ? keys.value.keys : [];
}

const commandOf = (daemon: TestDaemon): Command => {
  const { reactor } = daemon.daemon;
  return reactor.arrayCommand.bind(reactor);
};

test("a unit whose key another host removed stops, although the device has lost all keys with the power since", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const command = commandOf(daemon);
  await order(daemon, t, { action: "register", serviceActionKey: OURS, aptpl: false });
  await order(daemon, t, { action: "reserve", type: 5 });
  t.is(await join(command), 0);
  t.is(await preempt(command, 5), 0);
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "power-loss" } });
  await until("the unit has stopped, or is registered again", async () => {
    return (await stateOf(daemon, t)) === "preempted" || (await keysAt(command)).length > 0;
  });
  t.is(await stateOf(daemon, t), "preempted");
  t.deepEqual(await keysAt(command), []);
});

/** What came of the preemption; it cannot work once the daemon has removed the other host. */
type Preemption = "not yet" | "done" | "refused";

/** Puts the other host's preemption before the n-th command of the daemon's operation. */
async function preemptedBefore(
  daemon: TestDaemon,
  nth: number,
  type: number,
  operation: () => Promise<unknown>,
): Promise<Preemption> {
  const { reactor } = daemon.daemon;
  const command = commandOf(daemon);
  let sent = 0;
  let preemption: Preemption = "not yet";
  reactor.arrayCommand = async (port, cdb, data) => {
    if (RESERVE_COMMANDS.has(cdb[0] ?? 0) && ++sent === nth)
      preemption = (await preempt(command, type)) === 0 ? "done" : "refused";
    return command(port, cdb, data);
  };
  // Refused or not: that depends on the moment.
  await operation();
  reactor.arrayCommand = command;
  return preemption;
}

const OPERATIONS: readonly { readonly name: string; readonly type: number; readonly body: Record<string, unknown> }[] =
  [
    {
      name: "moves the reservation by its own key",
      type: 3,
      body: { action: "preempt", key: OURS, serviceActionKey: OURS, type: 3 },
    },
    { name: "releases", type: 1, body: { action: "release", key: OURS, type: 1 } },
    { name: "reserves again", type: 5, body: { action: "reserve", key: OURS, type: 5 } },
    {
      name: "takes everybody's place",
      type: 7,
      body: { action: "preempt", key: OURS, serviceActionKey: "0x0", type: 7 },
    },
  ];

for (const { name, type, body } of OPERATIONS) {
  test(`preempted before any of the commands with which it ${name}, a host is not registered again`, async (t) => {
    const daemon = await TestDaemon.start(t, ONE);
    const command = commandOf(daemon);
    let preemptions = 0;
    for (let nth = 1; ; nth++) {
      await order(daemon, t, { action: "register-ignore", serviceActionKey: OURS });
      await order(daemon, t, { action: "reserve", key: OURS, type });
      t.is(await join(command), 0);
      const preemption = await preemptedBefore(daemon, nth, type, () => daemon.call("POST", ROUTE, body));
      if (preemption === "not yet") break;
      if (preemption === "done") {
        preemptions++;
        await until(`the unit is preempted, at command ${nth}`, async () => (await stateOf(daemon, t)) === "preempted");
        t.deepEqual(await keysAt(command), [THEIRS], `command ${nth}`);
        t.is(await other(command, { action: "clear", key: THEIRS }), 0);
      } else await order(daemon, t, { action: "clear", key: OURS });
    }
    t.true(preemptions >= 2, `${preemptions} preemptions`);
  });
}

test("a host that leaves does not let the device forget the other hosts' keys with the power", async (t) => {
  const daemon = await TestDaemon.start(t, ONE.replace("paths = 4", "paths = 2"));
  const { reactor } = daemon.daemon;
  // The other host has the last path.
  const command: Command = (_, ...rest) => reactor.arrayCommand(1, ...rest);
  await order(daemon, t, { action: "register", serviceActionKey: OURS, aptpl: true });
  t.is(await other(command, { action: "register-ignore", key: "0x0", serviceActionKey: THEIRS, aptpl: true }), 0);
  await order(daemon, t, { action: "register", serviceActionKey: "0x0" });
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "power-loss" } });
  // A unit attention comes first.
  for (let tries = 0; tries < 3; tries++) await command(OTHER, reserveInCdb("keys", 1024), 1024);
  t.deepEqual(await keysAt(command), [THEIRS]);
});
