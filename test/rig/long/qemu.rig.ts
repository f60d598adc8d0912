// The real QEMU hands a unit's SCSI device to its guest, and passes the guest's reservations to our socket; beside it the real
// qemu-pr-helper on a bare path does the same. The guest sees no difference.

import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { until } from "../../until.ts";
import { Client } from "../../../host/cli/api-client.ts";
import {
  reserveInCdb,
  reserveOutCommand,
  type InAction,
  type ReserveOut,
} from "../../../host/discovery/persistent-reservations.ts";
import { attempt, run, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon } from "../lib/pathmanager.ts";
import { QemuGuest, type ScsiAnswer } from "../lib/qemu.ts";
import { scsiDevices, type ScsiDevice } from "../lib/scsi.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 2, timeLimitS: 300 };

const [OURS, THEIRS] = ["/run/pathmanager/pr-helper.sock", "/run/qemu-pr-helper.sock"];
const [KEY, OTHER] = ["0xa1", "0xb2"];
const CHECK_CONDITION = 2;
const array = new LioArray();
const client = new Client("/run/pathmanager/api.sock");

/** One answer, as far as both have to agree; a unit has two paths, a bare path is one. */
function said({ response, status, sense, data }: ScsiAnswer, isKeys: boolean): string {
  const code = sense.length === 0 ? "" : [sense[2], sense[12], sense[13]].map((byte) => byte?.toString(16)).join("/");
  const listed = isKeys
    ? [
        ...new Set(
          data
            .subarray(8, 8 + data.readUInt32BE(4))
            .toString("hex")
            .match(/.{16}/g),
        ),
      ]
    : [];
  // PRGENERATION grows with each path's registration.
  const rest = isKeys ? listed.join(" ") : data.subarray(4, 64).toString("hex");
  return `${response} ${status} ${code} ${rest}`;
}

/** What a guest does, and what it hears. */
async function day(guest: QemuGuest): Promise<string[]> {
  const heard: string[] = [];
  const ready = async (): Promise<boolean> => (await guest.command([0, 0, 0, 0, 0, 0])).status !== CHECK_CONDITION;
  await until("the guest's disk has told what it had to tell", ready);
  const ask = async (action: InAction, bytes = 255): Promise<void> => {
    const answer = await guest.command([...reserveInCdb(action, bytes)]);
    heard.push(`${action}: ${said(answer, action === "keys" && answer.status === 0)}`);
  };
  const order = async (out: ReserveOut): Promise<void> => {
    const { cdb, list } = reserveOutCommand(out);
    heard.push(`${out.action}: ${said(await guest.command([...cdb], list), false)}`);
  };
  await ask("capabilities", 8);
  await ask("keys");
  await order({ action: "register", key: OTHER, serviceActionKey: KEY });
  await order({ action: "register", key: "0x0", serviceActionKey: KEY });
  await order({ action: "reserve", key: OTHER, type: 5 });
  await order({ action: "reserve", key: KEY, type: 5 });
  await ask("keys");
  await ask("reservation");
  await order({ action: "reserve", key: KEY, type: 1 });
  await order({ action: "register", key: KEY, serviceActionKey: OTHER });
  await ask("reservation");
  await order({ action: "release", key: OTHER, type: 5 });
  await order({ action: "register-ignore", key: "0x0", serviceActionKey: KEY });
  await order({ action: "clear", key: KEY });
  await ask("keys");
  return heard;
}

const own = (): ScsiDevice => scsiDevices().find(({ host }) => host > 1) ?? assert.fail("the unit has no SCSI device");

/** A guest's day with a device. */
async function dayOf(
  kind: "scsi-block" | "scsi-generic",
  { sd = "", sg }: ScsiDevice,
  socket: string,
): Promise<string[]> {
  const guest = await QemuGuest.start(kind, kind === "scsi-block" ? sd : sg, socket);
  try {
    return await day(guest);
  } finally {
    await guest.stop();
  }
}

const events = async (): Promise<string[]> =>
  (await client.call<{ events: { kind: string }[] }>("GET", "/v1/events?limit=200")).events.map(({ kind }) => kind);

test("a guest of QEMU reserves a unit by our socket as it reserves a bare path by qemu-pr-helper", async () => {
  mkdirSync("/var/target/pr", { recursive: true });
  run("modprobe", "target_core_user");
  const helper = start("qemu-pr-helper", "-k", THEIRS);
  afterwards(async () => {
    helper.kill("SIGTERM");
    await helper;
  });
  const paths = array.devices(0).map(({ pathNumber }) => `{ path = "${pathNumber}" }`);
  const daemon = await Daemon.start(`sockets.pr_helper = "${OURS}"\ndevices = [${paths.join(", ")}]\n`);
  afterwards(async () => void (await daemon.stop()));
  await client.call("POST", "/v1/units/0/attach", { driver: "scsi" });
  await until("qemu-pr-helper listens", () => existsSync(THEIRS));
  // The array's other unit, over one path of it.
  const bare = array.disk(0, 1);
  for (const kind of ["scsi-block", "scsi-generic"] as const) {
    const theirs = await dayOf(kind, bare, THEIRS);
    assert.deepEqual(await dayOf(kind, own(), OURS), theirs, kind);
  }
  assert.ok(!(await events()).includes("path-failed"));
  // A guest registers: all paths are, and another host knows.
  const guest = await QemuGuest.start("scsi-block", own().sd ?? "", OURS);
  const { cdb, list } = reserveOutCommand({ action: "register-ignore", key: "0x0", serviceActionKey: KEY });
  await until("it is registered", async () => (await guest.command([...cdb], list)).status === 0);
  await guest.stop();
  attempt("sg_persist", ["-n", "-i", "-k", array.disk(1, 0).sd]);
  assert.equal([...run("sg_persist", "-n", "-i", "-k", array.disk(1, 0).sd).matchAll(/0xa1/g)].length, 2);
  await client.call("POST", "/v1/units/0/detach", {});
});
