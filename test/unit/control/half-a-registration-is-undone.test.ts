// A daemon that ends in the middle of registering a unit leaves what its successor finds in the file of keys: that one undoes it, and a unit
// that was another host's before still is.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { reserveOutCommand, type ReserveOut } from "../../../host/discovery/persistent-reservations.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ONE = "[array]\nunits = 1\npaths = 4\nunit_mib = 1\n[patrol]\ninterval_s = 1\nthreshold_s = 1\ntimeout_s = 1\n";
const ROUTE = "/v1/units/0/reservation";
const OTHER = 3;
const [OURS, THEIRS] = ["0xa1", "0xb2"];
const RESERVE_OUT = 0x5f;

const stateOf = async (daemon: TestDaemon, t: ExecutionContext): Promise<string> =>
  (await daemon.get<"reservation">(t, ROUTE)).state;

const register = (daemon: TestDaemon, t: ExecutionContext): Promise<unknown> =>
  daemon.change(t, "POST", ROUTE, { action: "register-ignore", serviceActionKey: OURS });

/** A command of the other host. A unit attention comes first. */
async function byOther(daemon: TestDaemon, out: ReserveOut): Promise<void> {
  const { cdb, list } = reserveOutCommand(out);
  for (let tries = 0; tries < 8; tries++) {
    if ((await daemon.daemon.reactor.arrayCommand(OTHER, cdb, list)).status === 0) return;
  }
  throw new Error(`${out.action} of the other host is refused`);
}

/** Another host removes our key. */
async function preempted(daemon: TestDaemon, t: ExecutionContext): Promise<void> {
  await register(daemon, t);
  await byOther(daemon, { action: "register-ignore", key: "0x0", serviceActionKey: THEIRS });
  await byOther(daemon, { action: "preempt", key: THEIRS, serviceActionKey: OURS, type: 5 });
  await until("the unit is preempted", async () => (await stateOf(daemon, t)) === "preempted");
}

/** Registers; returns the file of keys as it was at the daemon's second command, when one path had the key. */
async function keysInBetween(daemon: TestDaemon, t: ExecutionContext): Promise<string> {
  const { reactor } = daemon.daemon;
  const command = reactor.arrayCommand.bind(reactor);
  const file = join(daemon.folder, "state", "reservation-keys");
  const copy = `${file}.copy`;
  let sent = 0;
  reactor.arrayCommand = async (port, cdb, data) => {
    if (cdb[0] === RESERVE_OUT && ++sent === 2) copyFileSync(file, copy);
    return command(port, cdb, data);
  };
  await register(daemon, t);
  t.true(sent >= 2);
  await daemon.stop();
  copyFileSync(copy, file);
  return daemon.folder;
}

test("a first registration that was not finished is none, and the unit is used", async (t) => {
  const first = await TestDaemon.start(t, ONE);
  const second = await TestDaemon.start(t, "", await keysInBetween(first, t));
  await until("it is undone", async () => (await stateOf(second, t)) === "none");
  await until("every path is usable", async () => {
    const { paths } = await second.get<"paths">(t, "/v1/paths");
    return paths.length === 4 && paths.every(({ conditions }) => conditions.length === 0);
  });
});

test("a unit that was another host's when its registration was not finished is another host's still", async (t) => {
  const first = await TestDaemon.start(t, ONE);
  await preempted(first, t);
  const second = await TestDaemon.start(t, "", await keysInBetween(first, t));
  await until("it is undone", async () => (await stateOf(second, t)) !== "registered");
  t.is(await stateOf(second, t), "preempted");
  t.is((await second.get<"unit">(t, "/v1/units/0")).state, "preempted");
  await register(second, t);
  t.is(await stateOf(second, t), "registered");
});
