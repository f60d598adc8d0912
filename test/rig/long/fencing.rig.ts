// The agent by which a cluster moves a unit between nodes, with the stock tester for resource agents, and Debian's own fence_mpath. The
// array is the emulated one, half of whose paths another host has: unlike this kernel's target it survives PREEMPT AND ABORT. (Our own
// fence agent: test/peers/cases/fencing.ts; the agent's monitors: test/rig/long/agent.rig.ts)

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestDaemon } from "../../unit/control/fixtures/daemon.ts";
import { AGENTS, attachments, daemonOf, DEVICE, keys, other, OTHERS, OURS } from "../lib/cluster-node.ts";
import { start, type Outcome } from "../lib/command.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 900 };

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

/** Where clusters look for it. */
function installResourceAgent(): string {
  const folder = "/usr/lib/ocf/resource.d/pathmanager";
  mkdirSync(folder, { recursive: true });
  rmSync(join(folder, "Unit"), { force: true });
  symlinkSync(join(AGENTS, "Unit"), join(folder, "Unit"));
  return join(folder, "Unit");
}

/** The guide's commands of a program, each on one line, its indented continuations joined. */
function guideCommands(program: string): string[] {
  const guide = readFileSync("docs/cluster.md", "utf8").replaceAll(/ \\\n */g, " ");
  return guide
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith(`${program} `));
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
  const agent = installResourceAgent();
  const given = ["-o", "unit=0", "-o", `api_socket=${daemon.socket}`, "-o", "device=/dev/nbd0"];
  const tester = (...more: readonly string[]): Promise<Outcome> =>
    start("ocf-tester", "-n", "unit", ...given, ...more, agent);
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

test("the guide's pcs commands make a configuration that Pacemaker accepts", async () => {
  installResourceAgent();
  rmSync("/usr/sbin/fence_pathmanager", { force: true });
  symlinkSync(join(AGENTS, "fence_pathmanager"), "/usr/sbin/fence_pathmanager");
  const commands = guideCommands("pcs");
  assert.deepEqual(
    commands.map((line) => line.split(" ").slice(0, 5).join(" ")),
    [
      "pcs stonith create fence-node1 fence_mpath",
      "pcs stonith create fence-units fence_pathmanager",
      "pcs resource create unit ocf:pathmanager:Unit",
      "pcs resource create data ocf:heartbeat:Filesystem",
    ],
  );
  // A configuration in a file: pcs asks no cluster, but every agent for its parameters.
  const file = "/tmp/cib.xml";
  must(await start("bash", "-c", `cibadmin --empty >${file}`));
  for (const line of commands) must(await start("bash", "-c", line.replace("pcs ", `pcs -f ${file} `)));
  const { status, stderr } = await start("crm_verify", "--verbose", "--xml-file", file);
  assert.equal(status, 0, stderr);
  const wrong = "pcs -f /tmp/cib.xml resource create other ocf:pathmanager:Unit unt=0";
  assert.match((await start("bash", "-c", wrong)).stderr, /unt/);
});
