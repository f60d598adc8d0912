// Two portals of a real iSCSI target, logged in to by the real open-iscsi: who is who, a link that is lost, a session that ends.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ArrayView } from "../../../host/control/schemas/status-schema.ts";
import type { PathView } from "../../../host/control/schemas/path-schema.ts";
import { until } from "../../until.ts";
import { attempt, run, start } from "../lib/command.ts";
import { writeText } from "../lib/files.ts";
import { verifiedLoad, type Load } from "../lib/fio.ts";
import { Daemon, mustPathctl, pathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 400 };

const CORE = "/sys/kernel/config/target/core/fileio_0/u0";
const TARGET = "iqn.2026-01.com.example:array";
const INITIATOR = "iqn.2026-01.com.example:host";
const GROUP = `/sys/kernel/config/target/iscsi/${TARGET}/tpgt_1`;
const ADDRESSES = ["192.0.2.1", "192.0.2.2"] as const;
const portalOf = (address: string): string => `${address}:3260`;

/** The address of a portal is there, or its link is down. */
const setLink = (address: string, isUp: boolean): string =>
  run("ip", "address", isUp ? "add" : "delete", `${address}/32`, "dev", "lo");

/** One unit in a file, behind both portals of one target port. */
function createTarget(): void {
  run("modprobe", "-a", "iscsi_tcp", "iscsi_target_mod", "target_core_mod", "target_core_file", "sd_mod", "sg");
  writeFileSync("/tmp/unit", "");
  truncateSync("/tmp/unit", 64 << 20);
  mkdirSync(CORE, { recursive: true });
  writeText(join(CORE, "control"), "fd_dev_name=/tmp/unit,fd_dev_size=67108864");
  writeText(join(CORE, "wwn/vpd_unit_serial"), "12345678-aaaa-bbbb");
  writeText(join(CORE, "enable"), 1);
  mkdirSync("/sys/kernel/config/target/iscsi", { recursive: true });
  mkdirSync(GROUP, { recursive: true });
  const attributes = { authentication: 0, demo_mode_write_protect: 0, generate_node_acls: 1, cache_dynamic_acls: 1 };
  for (const [name, value] of Object.entries(attributes)) writeText(join(GROUP, "attrib", name), value);
  mkdirSync(join(GROUP, "lun/lun_0"));
  symlinkSync(CORE, join(GROUP, "lun/lun_0/u0"));
  for (const address of ADDRESSES) {
    setLink(address, true);
    mkdirSync(join(GROUP, "np", portalOf(address)));
  }
  writeText(join(GROUP, "enable"), 1);
}

const iscsiadm = (...args: readonly string[]): string => run("iscsiadm", ...args);
const atPortal = (address: string, ...args: readonly string[]): string =>
  iscsiadm("-m", "node", "-T", TARGET, "-p", portalOf(address), ...args);

async function logIn(): Promise<void> {
  rmSync("/etc/iscsi/nodes", { recursive: true, force: true });
  mkdirSync("/etc/iscsi", { recursive: true });
  mkdirSync("/run/lock/iscsi", { recursive: true });
  writeFileSync("/etc/iscsi/initiatorname.iscsi", `InitiatorName=${INITIATOR}\n`);
  start("iscsid", "-f").catch(() => undefined);
  await until(
    "iscsid answers",
    () => attempt("iscsiadm", ["-m", "discovery", "-t", "st", "-p", ADDRESSES[0]]).status === 0,
  );
  const settings = {
    "node.session.timeo.replacement_timeout": 2,
    "node.conn[0].timeo.noop_out_interval": 1,
    "node.conn[0].timeo.noop_out_timeout": 1,
  };
  for (const [name, value] of Object.entries(settings))
    iscsiadm("-m", "node", "-o", "update", "-n", name, "-v", String(value));
  iscsiadm("-m", "node", "--login");
  await until("both paths are there", () => existsSync("/dev/sg1"));
}

const paths = (): PathView[] =>
  (JSON.parse(mustPathctl("show", "paths", "--json")) as { paths: PathView[] }).paths.toSorted((a, b) =>
    (a.portal ?? "").localeCompare(b.portal ?? ""),
  );
const targetPorts = (): ArrayView["targetPorts"] =>
  (JSON.parse(mustPathctl("show", "arrays", "--json")) as { arrays: ArrayView[] }).arrays
    .flatMap((array) => array.targetPorts)
    .toSorted((a, b) => (a.portal ?? "").localeCompare(b.portal ?? ""));
/** The state of the path over the second portal. */
const second = (): string => {
  const path = paths().find(({ portal }) => portal === portalOf(ADDRESSES[1]));
  return path === undefined ? "gone" : path.state;
};
const isServing = (): boolean => ["active", "in use"].includes(second());

let daemon: Daemon | undefined;

/** What has ended. */
const done: Load[] = [];
let isOver = false;

/** Verified loads, one after another, until it is over. */
async function loadOn(): Promise<void> {
  done.push(await verifiedLoad("/dev/nbd0", 4));
  if (!isOver) await loadOn();
}
let loads = Promise.resolve();

/** The load goes on: the one that is under way now ends. */
function goesOn(): Promise<unknown> {
  const before = done.length;
  return until("the load goes on", () => done.length > before);
}

test("paths, ports and portals have iSCSI's names, in every display", async () => {
  createTarget();
  await logIn();
  daemon = await Daemon.start('devices = "all"\npatrol.interval_s = 1\n');
  await until("both paths serve", () => paths().length === 2 && isServing());
  assert.deepEqual(
    paths().map(({ initiatorName, targetName, portal }) => [initiatorName, targetName, portal]),
    ADDRESSES.map((address) => [`${INITIATOR},default`, `${TARGET},t,1`, portalOf(address)]),
  );
  assert.deepEqual(
    targetPorts().map(({ portName, portal, state, paths: count }) => [portName, portal, state, count]),
    ADDRESSES.map((address) => [`${TARGET},t,1`, portalOf(address), "LOGGED_IN", 1]),
  );
  const text = mustPathctl("show", "arrays");
  for (const address of ADDRESSES)
    assert.match(text, new RegExp(`^  target +${TARGET},t,0x0001 .* ${portalOf(address)} +LOGGED_IN `, "m"));
  assert.equal(text.match(new RegExp(` ${INITIATOR},default +- +LOGGED_IN `, "g"))?.length, 2, text);
});

test("a path is named by its initiator and its portal", () => {
  const name = `${INITIATOR},default@${portalOf(ADDRESSES[1])}`;
  assert.match(mustPathctl("path", "check", name), /: answers in /);
  const both = pathctl("path", "check", `${INITIATOR},default@${TARGET},t,1`);
  assert.match(both.stderr, /means 2 paths/);
});

test("under load a portal's link is lost and returns: the portal is told, no I/O fails", async () => {
  mustPathctl("attach", "0", "/dev/nbd0");
  loads = loadOn();
  setLink(ADDRESSES[1], false);
  await until("the path has failed", () => second() === "failed");
  await until("the kernel has given the session up", () => targetPorts()[1]?.state !== "LOGGED_IN");
  assert.match(pathctl("status").stdout, /path \S+ of LogicalUnit #0 has failed/);
  assert.deepEqual(
    targetPorts().map(({ pathsFailed }) => pathsFailed),
    [0, 1],
  );
  setLink(ADDRESSES[1], true);
  await until("the path is back", isServing);
  await goesOn();
});

test("under load a session ends and begins again: its path is gone and comes back, no I/O fails", async () => {
  atPortal(ADDRESSES[1], "--logout");
  await until("the path is gone", () => second() === "gone");
  atPortal(ADDRESSES[1], "--login");
  await until("the path is back", isServing);
  await goesOn();
  isOver = true;
  await loads;
  for (const { errors, status, complaint } of done) assert.deepEqual([status, errors], [0, 0], complaint);
  afterwards(async () => void (await daemon?.stop()));
  mustPathctl("detach", "0");
});
