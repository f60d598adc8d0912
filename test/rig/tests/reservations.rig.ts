// Persistent reservations of a unit over real paths, with sg_persist on the raw devices as the witness, the kernel's target as the
// array, and the stock fence agent as the one who asks. The last path is not the daemon's: another host plays there.

import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { Client } from "../../../host/cli/api-client.ts";
import type { PathView } from "../../../host/control/schemas/path-schema.ts";
import type { UnitView } from "../../../host/control/schemas/unit-schema.ts";
import { pathpersist } from "../../../host/cli/pathpersist/main.ts";
import { attempt, run, type Outcome } from "../lib/command.ts";
import { verifiedLoad } from "../lib/fio.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl } from "../lib/pathmanager.ts";
import { scsiDevices } from "../lib/scsi.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 4, timeLimitS: 240, isEssential: true };

const OTHER = 3;
const OURS = [0, 1, 2];
const PROGRAM = "/tmp/pathpersist";
const STORE = "/tmp/fence";

const array = new LioArray();

const numberOf = (path: number): string => `${array.path(path).host}:0:1:0`;

function sgOf(path: number): string {
  const device = scsiDevices().find(({ pathNumber }) => pathNumber === numberOf(path));
  if (device === undefined) throw new Error(`path ${path} has no device`);
  return device.sg;
}

const configuration = (): string => `
devices = "all"
exclude = [{ path = "${numberOf(OTHER)}" }]
policy = "round-robin"
${QUICK_PATROL}`;

/** What another host does, on a path that is its own. */
const other = (...args: readonly string[]): Outcome => attempt("sg_persist", ["-n", ...args, sgOf(OTHER)]);

/** The keys the device has, by its own word. */
function witness(): string[] {
  // A unit attention comes first.
  other("-i", "-k");
  const { stdout } = other("-i", "-k");
  return [...stdout.matchAll(/^ +(0x[0-9a-f]+)$/gm)].map(([, key = ""]) => key).toSorted();
}

const client = new Client("/run/pathmanager/api.sock");

/** In this process: to start one takes the guest seconds. */
async function persist(...args: readonly string[]): Promise<Outcome> {
  let [stdout, stderr] = ["", ""];
  const out = (text: string): void => void (stdout += text);
  const err = (text: string): void => void (stderr += text);
  const status = await pathpersist(args, { out, err, env: {}, terminal: false, columns: 80, rows: 24 });
  return { status, stdout, stderr };
}

/** What bars the unit's paths. */
async function bars(): Promise<string> {
  const { paths } = await client.call<{ paths: { state: string; conditions: string[] }[] }>("GET", "/v1/paths");
  return paths.map(({ state, conditions }) => `${state} ${conditions.join(" ")}`).join(" ");
}

function must(outcome: Outcome): string {
  assert.equal(outcome.status, 0, outcome.stderr + outcome.stdout);
  return outcome.stdout;
}

const fence = (action: string, key: string): Outcome =>
  attempt("fence_mpath", [
    `--action=${action}`,
    `--plug=${key}`,
    "--devices=/dev/nbd0",
    `--mpathpersist-path=${PROGRAM}`,
    `--store-path=${STORE}`,
    // The guest's processor is slow, and each call starts a program.
    "--power-timeout=60",
    "--shell-timeout=60",
  ]);

interface View {
  readonly state: string;
  readonly holder: string | null;
}

const view = (): Promise<View> => client.call<View>("GET", "/v1/units/0/reservation");

test("every path is registered, the raw devices say so, and types that do not exist are refused", async () => {
  // The kernel's target keeps registrations there; without the folder it refuses every one, after having taken it.
  mkdirSync("/var/target/pr", { recursive: true });
  await Daemon.start(configuration());
  mustPathctl("attach", "0", "/dev/nbd0");
  writeFileSync(PROGRAM, `#!/bin/sh\nexec node ${join(process.cwd(), "host/cli/bin/pathpersist.js")} "$@"\n`, {
    mode: 0o755,
  });
  must(await persist("--out", "--register", "--param-sark=a1", "/dev/nbd0"));
  assert.deepEqual(witness(), ["0xa1", "0xa1", "0xa1"]);
  assert.equal((await persist("-o", "-R", "-T", "4", "-K", "a1", "/dev/nbd0")).status, 5);
  assert.equal((await persist("-o", "-R", "-T", "5", "-K", "b", "/dev/nbd0")).status, 11);
});

test("a reservation for registrants lets our load through and another host's writes not", async () => {
  must(await persist("-o", "-R", "-T", "5", "-K", "a1", "-d", "/dev/nbd0"));
  assert.match(other("-i", "-r").stdout, /Write Exclusive, registrants only/);
  const load = verifiedLoad("/dev/nbd0", 4);
  assert.notEqual(attempt("sg_dd", [`if=/dev/zero`, `of=${sgOf(OTHER)}`, "bs=512", "count=1", "blk_sgio=1"]).status, 0);
  // The holder goes away meanwhile and comes back: the others go on, and it is registered still.
  array.setPath(0, false);
  await until("path 0 has failed", async () => (await bars()).includes("failed"));
  array.setPath(0, true);
  assert.equal((await load).errors, 0);
  await until("path 0 is back", async () => !/failed|unregistered/.test(await bars()));
  must(await persist("-o", "-L", "-T", "5", "-K", "a1", "-d", "/dev/nbd0"));
  assert.match(other("-i", "-r").stdout, /NO reservation held/);
});

test("cluster mode balances while type 5 is held: every path carries I/O, and another host's write is refused", async () => {
  await client.call("PATCH", "/v1/mode", { cluster: true });
  try {
    const setAside = async (): Promise<boolean> =>
      (await client.call<UnitView>("GET", "/v1/units/0")).policySetAside !== null;
    await until("the unit is static", setAside);
    // The policy spreads I/O over the paths of one priority group.
    array.setAlua("B", "optimized");
    await until("every path is optimized", async () =>
      (await client.call<{ paths: PathView[] }>("GET", "/v1/paths")).paths.every(
        ({ alua }) => alua?.state === "optimized",
      ),
    );
    must(await persist("-o", "-R", "-T", "5", "-K", "a1", "-d", "/dev/nbd0"));
    await until("it balances", async () => !(await setAside()));
    const carried = async (): Promise<number[]> =>
      (await client.call<{ paths: PathView[] }>("GET", "/v1/paths")).paths.map(({ statistics }) => statistics.ios);
    const before = await carried();
    const load = await verifiedLoad("/dev/nbd0", 3);
    assert.deepEqual([load.status, load.errors], [0, 0], load.complaint);
    const shares = (await carried()).map((ios, path) => (ios - (before[path] ?? 0)) / load.ios);
    assert.equal(shares.length, OURS.length);
    for (const share of shares) assert.ok(share > 0.2, `shares of the paths: ${shares.join(" ")}`);
    const write = attempt("sg_dd", ["if=/dev/zero", `of=${sgOf(OTHER)}`, "bs=512", "count=1", "blk_sgio=1"]);
    assert.match(write.stderr, /reservation conflict/i);
    must(await persist("-o", "-L", "-T", "5", "-K", "a1", "-d", "/dev/nbd0"));
  } finally {
    array.setAlua("B", "non-optimized");
    // The other host is told that as well.
    witness();
    await client.call("PATCH", "/v1/mode", { cluster: false });
  }
});

test("the holder is away: its reservation is released all the same, and no registration is lost", async () => {
  must(await persist("-o", "-R", "-T", "5", "-K", "a1", "-d", "/dev/nbd0"));
  const { holder } = await view();
  const dead = OURS.find((path) => numberOf(path) === holder);
  assert.notEqual(dead, undefined);
  array.setPath(dead ?? 0, false);
  must(await persist("-o", "-L", "-T", "5", "-K", "a1", "-d", "/dev/nbd0"));
  assert.match(other("-i", "-r").stdout, /NO reservation held/);
  array.setPath(dead ?? 0, true);
  await until(
    "all three are registered",
    async () => witness().length === 3 && !(await bars()).includes("unregistered"),
  );
  assert.deepEqual(witness(), ["0xa1", "0xa1", "0xa1"]);
});

test("a holder unregisters: its reservation ends with its keys, whatever the type", async () => {
  for (const type of ["7", "5"]) {
    must(await persist("-o", "-R", "-T", type, "-K", "a1", "-d", "/dev/nbd0"));
    must(await persist("-o", "-G", "-K", "a1", "-S", "0", "-d", "/dev/nbd0"));
    assert.deepEqual(witness(), []);
    assert.match(other("-i", "-r").stdout, /NO reservation held/);
    must(await persist("-o", "-G", "-S", "a1", "-d", "/dev/nbd0"));
  }
});

test("of exclusive access another path takes over when the holder dies; nobody else gets in", async () => {
  must(await persist("-o", "-R", "-T", "3", "-K", "a1", "-d", "/dev/nbd0"));
  const { holder } = await view();
  const dead = OURS.find((path) => numberOf(path) === holder) ?? 0;
  const load = verifiedLoad("/dev/nbd0", 4);
  array.setPath(dead, false);
  await until("another path holds it", async () => ![holder, null].includes((await view()).holder));
  assert.equal((await load).errors, 0);
  assert.match(other("-i", "-r").stdout, /Exclusive Access/);
  array.setPath(dead, true);
  must(await persist("-o", "-L", "-T", "3", "-K", "a1", "-d", "/dev/nbd0"));
  must(await persist("-o", "-G", "-K", "a1", "-S", "0", "-d", "/dev/nbd0"));
  await until("nobody is registered", () => witness().length === 0);
});

test("fence_mpath as Debian has it takes us for mpathpersist: on, another host removed, fenced by another host, status", async () => {
  rmSync(STORE, { recursive: true, force: true });
  mkdirSync(STORE);
  must(fence("on", "a1"));
  assert.deepEqual(witness(), ["0xa1", "0xa1", "0xa1"]);
  assert.match(other("-i", "-r").stdout, /Write Exclusive, registrants only/);
  // Another node, registered too, is removed by us. The agent's "off" would send PREEMPT AND ABORT, after which this kernel's target
  // (6.1) answers on no path any more, whoever sends it.
  other("-i", "-k");
  must(other("-o", "-G", "-S", "b2"));
  must(await persist("-o", "-P", "-T", "5", "-K", "a1", "-S", "b2", "-d", "/dev/nbd0"));
  assert.deepEqual(witness(), ["0xa1", "0xa1", "0xa1"]);
  // It fences us: the unit stops, and no path registers itself again.
  must(other("-o", "-I", "-S", "b2"));
  must(other("-o", "-P", "-T", "5", "-K", "b2", "-S", "a1"));
  await until("the unit is preempted", async () => {
    attempt("dd", ["if=/dev/zero", "of=/dev/nbd0", "bs=4096", "count=1", "oflag=direct"]);
    return (await view()).state === "preempted";
  });
  for (const path of OURS) array.setPath(path, false);
  for (const path of OURS) array.setPath(path, true);
  await until("the paths are back", async () => !(await bars()).includes("failed"));
  assert.deepEqual(witness(), ["0xb2"]);
  assert.equal(fence("status", "a1").status, 2);
  // An operator lets the unit be used again.
  must(other("-o", "-C", "-K", "b2"));
  mustPathctl("reservation", "unregister", "0");
  assert.equal((await verifiedLoad("/dev/nbd0", 2)).errors, 0);
  run("sync");
});
