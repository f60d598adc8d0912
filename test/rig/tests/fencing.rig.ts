// The agent by which a cluster moves a unit between nodes, with the stock tester for resource agents, and Debian's own fence_mpath. The
// array is the emulated one, half of whose paths another host has: unlike this kernel's target it survives PREEMPT AND ABORT. (Our own
// fence agent: test/peers/cases/fencing.ts)

import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reserveOutCommand, type ReserveOut } from "../../../host/discovery/persistent-reservations.ts";
import { TestDaemon } from "../../unit/control/fixtures/daemon.ts";
import { until } from "../../until.ts";
import { run, start, type Outcome } from "../lib/command.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 900 };

const AGENTS = join(process.cwd(), "host/cli/packaging/cluster");
const DEVICE = "/dev/nbd0";
const [OURS, OTHERS] = ["0xa1", "0xb2"];
/** A port of the initiator 5, which is the other host's. */
const OTHER_PORT = 3;
const CONFIGURATION = `
exclude = [{ path = "5:0:2:0" }, { path = "5:0:3:0" }]
timeouts.no_path_ms = 3600000
[patrol]
interval_s = 1
threshold_s = 1
timeout_s = 1
[array]
units = 1
paths = 4
unit_mib = 8
`;

/** In this process, so that the other host can be played; therefore nothing here may run a program and block. */
async function daemonOf(): Promise<TestDaemon> {
  run("modprobe", "nbd");
  const daemon = await TestDaemon.start({ teardown: afterwards }, CONFIGURATION);
  afterwards(async () => void (await attachments(daemon, "detach").catch(() => undefined)));
  return daemon;
}

const attachments = (daemon: TestDaemon, what: "attach" | "detach"): Promise<{ status: number }> =>
  daemon.call("POST", `/v1/units/0/${what}`, { device: DEVICE });

/** What another host does. */
async function other(daemon: TestDaemon, out: ReserveOut): Promise<number> {
  const { cdb, list } = reserveOutCommand(out);
  for (let tries = 0; tries < 8; tries++) {
    const { status } = await daemon.daemon.reactor.arrayCommand(OTHER_PORT, cdb, list);
    // A unit attention comes first.
    if (status !== 2) return status;
  }
  return 2;
}

interface View {
  readonly state: string;
  readonly device: { readonly keys: readonly string[]; readonly held: { readonly type: number } | null } | null;
}

const view = async (daemon: TestDaemon): Promise<View> =>
  (await daemon.call<View>("GET", "/v1/units/0/reservation")).body;

/** The keys at the device, each once. */
const keys = async (daemon: TestDaemon): Promise<string[]> =>
  [...new Set((await view(daemon)).device?.keys)].toSorted();

function must(outcome: Outcome): string {
  assert.equal(outcome.status, 0, outcome.stderr + outcome.stdout);
  return outcome.stdout;
}

/** A program that calls another one with the daemon's socket. */
function wrapper(name: string, daemon: TestDaemon, program: string): string {
  const file = join(daemon.folder, name);
  writeFileSync(file, `#!/bin/sh\nexport PATHMANAGER_SOCKET=${daemon.socket}\nexec ${program} "$@"\n`, { mode: 0o755 });
  return file;
}

/** crm_resource judges parameters of the agent. */
const validate = (...options: readonly string[]): Promise<Outcome> =>
  start(
    "crm_resource",
    "--validate",
    "--class=ocf",
    "--provider=pathmanager",
    "--agent=Unit",
    ...options.map((option) => `--option=${option}`),
  );

test("Debian's fence_mpath, unmodified, removes another node by PREEMPT AND ABORT", async () => {
  const daemon = await daemonOf();
  assert.equal((await attachments(daemon, "attach")).status, 200);
  const program = wrapper("pathpersist", daemon, `node ${join(process.cwd(), "host/cli/bin/pathpersist.js")}`);
  const mpath = (action: string, key: string): Promise<Outcome> =>
    start(
      "fence_mpath",
      `--action=${action}`,
      `--plug=${key}`,
      `--devices=${DEVICE}`,
      `--mpathpersist-path=${program}`,
      `--store-path=${join(daemon.folder, "store")}`,
      "--power-timeout=60",
      "--shell-timeout=60",
    );
  must(await mpath("on", "a1"));
  assert.equal(await other(daemon, { action: "register", key: "0x0", serviceActionKey: OTHERS }), 0);
  must(await mpath("status", "b2"));
  must(await mpath("off", "b2"));
  assert.deepEqual(await keys(daemon), [OURS]);
  assert.equal((await mpath("status", "b2")).status, 2);
});

test("ocf:pathmanager:Unit passes ocf-tester, and crm_resource takes its parameters", async () => {
  const daemon = await daemonOf();
  const folder = "/usr/lib/ocf/resource.d/pathmanager";
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(AGENTS, "Unit"), join(folder, "Unit"));
  const given = ["-o", "unit=0", "-o", `api_socket=${daemon.socket}`, "-o", "device=/dev/nbd0"];
  const tester = (...more: readonly string[]): Promise<Outcome> =>
    start("ocf-tester", "-n", "unit", ...given, ...more, join(folder, "Unit"));
  must(await tester("-o", "key=a1", "-o", "reservation_type=5"));
  assert.deepEqual(await keys(daemon), [], "stop has taken the key back");
  must(await validate("unit=0", "key=a1"));
  for (const wrong of [
    ["key=a1"],
    ["unit=0", "key=zz"],
    ["unit=0", "device=/dev/sda"],
    ["unit=0", "reservation_type=1"],
  ]) {
    assert.notEqual((await validate(...wrong)).status, 0, wrong.join(" "));
  }
});

test("the resource agent's monitors fail when no path is left or another node has the unit, and stop gets by", async () => {
  const daemon = await daemonOf();
  const folder = join(daemon.folder, "notes");
  const environment = {
    OCF_RESOURCE_INSTANCE: "unit",
    OCF_RESKEY_unit: "0",
    OCF_RESKEY_api_socket: daemon.socket,
    OCF_RESKEY_device: DEVICE,
    OCF_RESKEY_read_timeout: "5",
    HA_RSCTMP: folder,
  };
  const named = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const agent = async (action: string, depth = 0): Promise<number> => {
    const { status } = await start("env", ...named, `OCF_CHECK_LEVEL=${depth}`, join(AGENTS, "Unit"), action);
    return status;
  };
  const [running, failed, stopped] = [0, 1, 7];
  assert.equal(await agent("monitor"), stopped);
  assert.equal(await agent("start"), 0);
  for (const depth of [0, 10, 20]) assert.equal(await agent("monitor", depth), running, `depth ${depth}`);
  // Detached behind its back.
  assert.equal((await attachments(daemon, "detach")).status, 200);
  for (const depth of [0, 10]) assert.equal(await agent("monitor", depth), stopped);
  assert.equal(await agent("start"), 0);
  // While a single path is left nothing is told. Without any, I/O waits here for an hour: only the deepest monitor notices, and an
  // operator who releases the unit tells all of them.
  const fault = (where: object): Promise<unknown> =>
    daemon.call("POST", "/v1/array/faults", { fault: { kind: "port-down" }, where });
  await fault({ path: "4:0:0:0" });
  for (const depth of [0, 10, 20]) assert.equal(await agent("monitor", depth), running, `depth ${depth}`);
  await fault({ unit: 0 });
  assert.equal(await agent("monitor", 20), failed);
  assert.equal((await daemon.call("POST", "/v1/units/0/release")).status, 200);
  await until("the monitor fails", async () => (await agent("monitor")) === failed);
  assert.equal(await agent("stop"), 0);
  assert.equal(await agent("monitor"), stopped);
  assert.equal(await agent("start"), failed, "there is no path");
  await daemon.call("DELETE", "/v1/array/faults");
  await until("a path is back", async () => (await agent("start")) === 0);
  // Another node takes the unit.
  assert.equal(await agent("stop"), 0);
  const order = (body: object): Promise<{ status: number }> => daemon.call("POST", "/v1/units/0/reservation", body);
  assert.equal((await order({ action: "register", serviceActionKey: OURS })).status, 200);
  assert.equal((await order({ action: "reserve", type: 5 })).status, 200);
  assert.equal(await agent("start"), 0);
  assert.equal(await other(daemon, { action: "register", key: "0x0", serviceActionKey: OTHERS }), 0);
  assert.equal(await other(daemon, { action: "preempt-abort", key: OTHERS, serviceActionKey: OURS, type: 5 }), 0);
  await until("the monitor fails", async () => (await agent("monitor")) === failed);
  assert.equal(await agent("stop"), 0);
  assert.equal(await agent("start"), failed, "a node that was fenced does not start it again");
  assert.deepEqual(await keys(daemon), [OTHERS]);
});
