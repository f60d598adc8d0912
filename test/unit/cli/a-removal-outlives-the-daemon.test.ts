// Another host has removed this host's key: that stays true however the daemon ends, and whatever the device forgets meanwhile.

import test from "ava";

import { pathctl } from "../../../host/cli/pathctl/main.ts";
import type { PathView } from "../../../host/control/schemas/path-schema.ts";
import type { ReservationView } from "../../../host/control/schemas/reservation-schema.ts";
import { until } from "../../until.ts";
import { RealDaemon } from "./daemon.ts";
import { run } from "./server.ts";

const ONE =
  "policy = 'round-robin'\npatrol.interval_s = 1\npatrol.threshold_s = 1\npatrol.timeout_s = 1\n[array]\nunits = 1\nunit_mib = 1\n";
/** Operation codes of PERSISTENT RESERVE IN and OUT. */
const RESERVE_COMMANDS = ["5e", "5f"];
const PREEMPTED = ["reservation", "type=5", "preempts=true"];

async function ctl(daemon: RealDaemon, ...words: readonly string[]): Promise<string> {
  const { status, out, err } = await run(pathctl, [...words], daemon.socket);
  if (status !== 0) throw new Error(`pathctl ${words.join(" ")}: ${err}`);
  return out;
}

const fault = (daemon: RealDaemon, ...words: readonly string[]): Promise<string> =>
  ctl(daemon, "array", "fault", "add", ...words, "--unit", "0");

const view = async (daemon: RealDaemon): Promise<ReservationView> =>
  JSON.parse(await ctl(daemon, "reservation", "show", "0", "--json")) as ReservationView;

async function conditions(daemon: RealDaemon): Promise<readonly (readonly string[])[]> {
  const { paths } = await daemon.client.call<{ paths: readonly PathView[] }>("GET", "/v1/paths");
  return paths.map((path) => path.conditions);
}

/** A daemon whose unit is registered, but not so that the array keeps it over a loss of power. */
async function registered(): Promise<RealDaemon> {
  const daemon = await RealDaemon.start(ONE);
  await ctl(daemon, "reservation", "register", "0", "a1", "--no-aptpl");
  await ctl(daemon, "reservation", "reserve", "0", "5");
  return daemon;
}

test.serial(
  "a removal that the device told is remembered over kill -9 and a loss of power, until register",
  async (t) => {
    await using daemon = await registered();
    // The daemon hears of the removal, but cannot ask which keys there are.
    for (const opcode of RESERVE_COMMANDS) await fault(daemon, "error", "hostStatus=1", "--opcode", opcode);
    await fault(daemon, ...PREEMPTED);
    await until("the paths wait to be registered", async () =>
      (await conditions(daemon)).every((bars) => bars.includes("unregistered")),
    );
    t.is((await view(daemon)).state, "registered", "it is not known yet who has the unit");
    t.is(await daemon.end("SIGKILL"), "SIGKILL");
    // The array of the next daemon is new: it has no key and has counted nothing.
    await daemon.begin();
    await until("it is decided", async () => {
      const { state, device } = await view(daemon);
      return state === "preempted" || device?.keys.length !== 0;
    });
    t.like(await view(daemon), { state: "preempted", device: { keys: [] } });
    t.regex(await ctl(daemon, "events", "--limit", "100"), / 706 /);
    await ctl(daemon, "reservation", "register", "0", "a1");
    t.like(await view(daemon), { state: "registered", device: { keys: ["0xa1", "0xa1", "0xa1", "0xa1"] } });
    await until("every path is used", async () => (await conditions(daemon)).every((bars) => bars.length === 0));
    // What was told before has nothing to say about the new registration.
    t.is(await daemon.end("SIGKILL"), "SIGKILL");
    await daemon.begin();
    await until("every path is registered again", async () => (await view(daemon)).device?.keys.length === 4);
  },
);

test.serial("control that was away while another host removed the key reads that, and stops the unit", async (t) => {
  await using daemon = await registered();
  const before = await daemon.control();
  if (before === null) return t.fail("there is no control");
  await fault(daemon, ...PREEMPTED, "--after", "100");
  process.kill(before, "SIGKILL");
  await until("another control serves", async () => {
    const now = await daemon.control();
    if (now === null || now === before) return false;
    return (await run(pathctl, ["status"], daemon.socket)).status === 0;
  });
  await until("the unit is preempted", async () => (await view(daemon)).state === "preempted");
  t.deepEqual((await view(daemon)).device?.keys, ["0xf0f0f0f0f0f0f0f0"]);
});
