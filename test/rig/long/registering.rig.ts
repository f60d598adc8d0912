// Registrations where the kernel's target is the array: PREEMPT of one's own key by who does not alone hold the reservation, on a bare path,
// through the unit's SCSI device and by pathpersist; registering while half of the paths, or all but one, are away.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { Client } from "../../../host/cli/api-client.ts";
import { pathpersist } from "../../../host/cli/pathpersist/main.ts";
import type { PathView } from "../../../host/control/schemas/path-schema.ts";
import type { ReservationView } from "../../../host/control/schemas/reservation-schema.ts";
import type { UnitView } from "../../../host/control/schemas/unit-schema.ts";
import { attempt, run } from "../lib/command.ts";
import { verifiedLoad } from "../lib/fio.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl } from "../lib/pathmanager.ts";
import { ScsiDebug } from "../lib/scsi-debug.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 3, paths: 4, timeLimitS: 400 };

/** Nothing but the bare paths; what another host shares with us by its last path; ours alone. */
const [BARE, SHARED, OURS] = [0, 1, 2];
const OTHER = 3;
/** Exit statuses of sg_persist. */
const [UNIT_ATTENTION, INVALID_OPERATION] = [6, 9];

const array = new LioArray();
const client = new Client("/run/pathmanager/api.sock");

const sgOf = (path: number, unit: number): string => array.device(path, unit)?.sg ?? "";
const numberOf = (path: number, unit: number): string => array.device(path, unit)?.pathNumber ?? "";

/** One command; true: it was carried out. */
type Sender = (...args: readonly string[]) => Promise<boolean>;

/** What sg_persist says on a device; a unit attention comes first. */
function persist(device: string, args: readonly string[]): { readonly status: number; readonly stdout: string } {
  for (;;) {
    const outcome = attempt("sg_persist", ["-n", ...args, device]);
    if (outcome.status !== UNIT_ATTENTION) return outcome;
  }
}

const by =
  (device: string): Sender =>
  (...args) =>
    Promise.resolve(persist(device, args).status === 0);

const quiet = (): void => undefined;

/** In this process: to start one takes the guest seconds. */
const byPathpersist =
  (device: string): Sender =>
  async (...args) => {
    return (
      (await pathpersist([...args, device], {
        out: quiet,
        err: quiet,
        env: {},
        terminal: false,
        columns: 80,
        rows: 24,
      })) === 0
    );
  };

interface Seen {
  readonly isDone: boolean;
  readonly keys: readonly string[];
  /** Who holds what, as sg_persist prints it. */
  readonly held: string;
}

const HOLDERS = [
  { by: "nobody", reserve: null, type: "5" },
  { by: "another host", reserve: "b2", type: "5" },
  { by: "all registrants", reserve: "b2", type: "7" },
  { by: "this host", reserve: "a1", type: "5" },
  { by: "this host, exclusively", reserve: "a1", type: "3" },
] as const;

/** Registers both hosts, lets one reserve, and then the first preempt its own key. */
async function play(ours: Sender, unit: number, { reserve, type }: (typeof HOLDERS)[number]): Promise<Seen> {
  const witness = sgOf(OTHER, unit);
  const theirs = by(witness);
  assert.ok(await theirs("-o", "-I", "-S", "b2"));
  assert.ok(await ours("-o", "-I", "-S", "a1"));
  if (reserve === "a1") assert.ok(await ours("-o", "-R", "-K", "a1", "-T", type));
  if (reserve === "b2") assert.ok(await theirs("-o", "-R", "-K", "b2", "-T", type));
  const isDone = await ours("-o", "-P", "-K", "a1", "-S", "a1", "-T", type);
  const keys = [...persist(witness, ["-i", "-k"]).stdout.matchAll(/^ +(0x[0-9a-f]+)$/gm)].map(([, key = ""]) => key);
  const held = persist(witness, ["-i", "-r"])
    .stdout.replaceAll(/PR generation=\S+|\s+/g, " ")
    .trim();
  await ours("-o", "-I", "-S", "0");
  assert.ok(await theirs("-o", "-I", "-S", "0"));
  return { isDone, keys: [...new Set(keys)].toSorted(), held };
}

/** A host with two bare paths: what it does to both, and its PREEMPT by the second. */
const byTwoPaths: Sender = async (...args) => {
  const [first, second] = [by(sgOf(0, BARE)), by(sgOf(1, BARE))];
  if (args.includes("-I")) return (await first(...args)) && second(...args);
  return args.includes("-P") ? second(...args) : first(...args);
};

let daemon: Daemon | undefined;

async function unitOf(path: string): Promise<number> {
  const { units } = await client.call<{ units: readonly UnitView[] }>("GET", "/v1/units");
  const found = units.find(({ paths }) => paths.some(({ number }) => number === path));
  return found?.number ?? -1;
}

const view = async (unit: number): Promise<ReservationView> =>
  client.call<ReservationView>("GET", `/v1/units/${unit}/reservation`);

test("scsi_debug knows no persistent reservations, so there is nothing to compare with", () => {
  const [device] = ScsiDebug.create({ units: 1, paths: 1, unitMib: 8 }).devices(0);
  assert.equal(persist(device?.sg ?? "", ["-i", "-k"]).status, INVALID_OPERATION);
  run("modprobe", "-r", "scsi_debug");
});

test("one's own key is preempted through the unit's SCSI device and by pathpersist as on a bare path", async () => {
  mkdirSync("/var/target/pr", { recursive: true });
  run("modprobe", "target_core_user");
  const devices = [SHARED, OURS].flatMap((unit) => [0, 1, 2, 3].map((path) => numberOf(path, unit)));
  const mine = devices.filter((number) => number !== numberOf(OTHER, SHARED));
  daemon = await Daemon.start(`devices = [${mine.map((path) => `{ path = "${path}" }`).join(", ")}]\n${QUICK_PATROL}`);
  const unit = await unitOf(numberOf(0, SHARED));
  const { device } = await client.call<{ device: string }>("POST", `/v1/units/${unit}/attach`, { driver: "scsi" });
  for (const holder of HOLDERS) {
    const bare = await play(byTwoPaths, BARE, holder);
    assert.ok(bare.isDone, holder.by);
    assert.deepEqual(await play(by(device), SHARED, holder), bare, `SCSI device, held by ${holder.by}`);
    assert.deepEqual(
      await play(byPathpersist(String(unit)), SHARED, holder),
      bare,
      `pathpersist, held by ${holder.by}`,
    );
    assert.equal((await view(unit)).state, "none");
  }
});

test("with half of the paths away, and with all but one, a unit is registered under load; the rest follow", async () => {
  afterwards(async () => void (await daemon?.stop()));
  const unit = await unitOf(numberOf(0, OURS));
  mustPathctl("attach", String(unit), "/dev/nbd0");
  const states = async (): Promise<readonly PathView[]> => {
    const { paths } = await client.call<{ paths: readonly PathView[] }>("GET", "/v1/paths");
    return paths.filter((path) => path.unit === unit);
  };
  for (const dead of [
    [2, 3],
    [1, 2, 3],
  ]) {
    for (const path of dead) array.setPath(path, false);
    await until(
      "they have failed",
      async () => (await states()).filter(({ state }) => state === "failed").length === dead.length,
    );
    mustPathctl("reservation", "register", String(unit), "a1");
    mustPathctl("reservation", "reserve", String(unit), "5");
    const half = await view(unit);
    assert.deepEqual(half.device?.keys.length, 4 - dead.length);
    assert.equal(half.paths.filter(({ registered }) => registered).length, 4 - dead.length);
    const load = verifiedLoad("/dev/nbd0", 4);
    for (const path of dead) array.setPath(path, true);
    await until("all are registered", async () => (await view(unit)).device?.keys.length === 4);
    await until("all carry I/O", async () =>
      (await states()).every(({ state, conditions }) => state !== "failed" && conditions.length === 0),
    );
    const { status, errors, complaint } = await load;
    assert.deepEqual([status, errors], [0, 0], complaint);
    mustPathctl("reservation", "unregister", String(unit));
    assert.deepEqual((await view(unit)).device?.keys, []);
  }
  mustPathctl("detach", String(unit));
});
