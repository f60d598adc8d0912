// Runs in the guest: a unit and its load move between two nodes of a real cluster, for every reason there is, and never do two nodes write.

import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { UnitState } from "../../host/control/schemas/unit-schema.ts";
import { until } from "../until.ts";
import { run } from "../rig/lib/command.ts";
import { writeText } from "../rig/lib/files.ts";
import { LioArray } from "../rig/lib/lio.ts";
import { test } from "../rig/lib/test.ts";
import { Durations, generations, type Generation } from "./load.ts";
import { FOLDER, Node, ONE, STEP_MS_MAX, TWO } from "./nodes.ts";
import { PHASES } from "./phases.ts";

const ROUNDS = Number(process.env["CLUSTER_ROUNDS"] ?? "3");
const CHOSEN = new Set((process.env["CLUSTER_PHASES"] ?? PHASES.join(",")).split(","));
/** Acknowledged writes that prove that a node writes. */
const WRITES_MIN = 20;
/** The members need the guest's only processor themselves; no figure depends on when we ask. */
const ASK_MS = 2000;
/** A step that takes longer says what it waits for, and after that how things stand. */
const TELL_MS = 30_000;
/** Paths that have failed often are marginal, so a unit need not become ok. */
const BACK: ReadonlySet<UnitState> = new Set(["ok", "degraded", "preempted"]);
const WRITER = join(process.cwd(), "test/cluster/writer.py");

const array = new LioArray();
const paths = new Durations("paths lost, until the other node's first write");
const noticed = new Durations("paths lost, until the cluster could see it");
const moved = new Durations("the cluster could see it, until the other node's first write");
const power = new Durations("power lost, until the other node's first write");
const split = new Durations("network cut, until the other node's first write");
/** A test that --only may leave out. */
function phase(name: (typeof PHASES)[number], title: string, body: () => Promise<void>): void {
  if (CHOSEN.has(name)) test(title, body);
}

let nodes: { readonly one: Node; readonly two: Node };

const other = (node: Node): Node => (node === nodes.one ? nodes.two : nodes.one);

const pair = (id: string, name: string, value: string): string =>
  `<nvpair id="${id}-${name}" name="${name}" value="${value}"/>`;
const parameters = (id: string, values: Readonly<Record<string, string>>): string =>
  `<instance_attributes id="${id}-p">${Object.entries(values)
    .map(([name, value]) => pair(id, name, value))
    .join("")}</instance_attributes>`;
const operations = (id: string, intervalS: number): string =>
  `<operations>${[
    ["start", 0],
    ["stop", 0],
    ["monitor", intervalS],
  ]
    .map(([name, interval]) => `<op id="${id}-${name}" name="${name}" interval="${interval}s" timeout="300s"/>`)
    .join("")}</operations>`;

function resources(identity: string): string {
  return `<resources>
<primitive id="fence" class="stonith" type="fence_pathmanager">
${parameters("fence", {
  devices: identity,
  pcmk_host_map: `one:${ONE.key};two:${TWO.key}`,
  pcmk_host_check: "static-list",
  pcmk_off_timeout: "300s",
  pcmk_on_timeout: "300s",
  // This kernel's target answers nothing more after PREEMPT AND ABORT, whoever sends it.
  preempt_action: "preempt",
  // When the network is cut both fence each other, and who begins first wins: the second node.
  pcmk_delay_base: "one:0s;two:30s",
})}
<meta_attributes id="fence-m">${pair("fence-m", "provides", "unfencing")}</meta_attributes>
</primitive>
<group id="service">
<primitive id="unit" class="ocf" provider="pathmanager" type="Unit">${parameters("unit", { unit: identity })}${operations("unit", 3)}</primitive>
<primitive id="writer" class="ocf" provider="pathmanager-test" type="Writer">${parameters("writer", { unit: identity })}${operations("writer", 5)}</primitive>
</group>
</resources>`;
}

function install(): void {
  const agents = "host/cli/packaging/cluster";
  mkdirSync("/usr/lib/ocf/resource.d/pathmanager", { recursive: true });
  mkdirSync("/usr/lib/ocf/resource.d/pathmanager-test", { recursive: true });
  symlinkSync(join(process.cwd(), agents, "Unit"), "/usr/lib/ocf/resource.d/pathmanager/Unit");
  symlinkSync(WRITER, "/usr/lib/ocf/resource.d/pathmanager-test/Writer");
  rmSync("/usr/sbin/fence_pathmanager", { force: true });
  mkdirSync("/usr/lib/pathmanager/cluster", { recursive: true });
  copyFileSync(join(agents, "pathmanager_api.py"), "/usr/lib/pathmanager/cluster/pathmanager_api.py");
  copyFileSync(join(agents, "fence_pathmanager"), "/usr/sbin/fence_pathmanager");
}

/** The node that the cluster runs the load on, by the word of any of its members. */
function host(by: Node): string | null {
  const { stdout } = by.attempt("crm_resource", "--resource", "writer", "--locate");
  return /is running on: (\S+)/.exec(stdout)?.[1] ?? null;
}

const newest = (): number => generations().at(-1)?.generation ?? 0;

/** The node with the load; it has to run somewhere. */
const where = (): Node => (host(nodes.one) === "one" ? nodes.one : nodes.two);

/** What happens, with the seconds since the guest's start. */
const tell = (text: string): void => console.log(`    ${Math.round(performance.now() / 1000)} s: ${text}`);

/** What the members have to say, for whoever waits for them. */
async function standing(node: Node): Promise<string> {
  const reservation = await node.reservation().catch(String);
  const members = node.attempt("crm_mon", "-1rfA");
  return `${node.facts.name}: ${JSON.stringify(reservation)}\n${members.stdout}${members.stderr}`;
}

/** Waits for what the cluster does; if it does not, says what its members have written about it. */
async function wait(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const began = performance.now();
  let toldMs = began;
  const asked = async (): Promise<boolean> => {
    if (await isSo()) return true;
    if (performance.now() - toldMs > TELL_MS) {
      tell(`waits until ${what}`);
      if (toldMs !== began) for (const node of [nodes.one, nodes.two]) console.log(await standing(node));
      toldMs = performance.now();
    }
    return pause(ASK_MS, false);
  };
  try {
    await until(what, asked, STEP_MS_MAX);
  } catch (thrown) {
    for (const node of [nodes.one, nodes.two]) console.log(await standing(node), node.report());
    throw thrown;
  }
}

/** The node writes, in a generation after `before`, which is returned. */
async function writes(node: Node, before: number): Promise<Generation> {
  const { name } = node.facts;
  const found = (): Generation | undefined =>
    generations(before + 1).find((one) => one.node === name && one.done > WRITES_MIN);
  await wait(`${name} writes`, () => found() !== undefined);
  tell(`${name} writes`);
  const one = found();
  assert.ok(one);
  return one;
}

/** The load goes on at the other node, after what has happened to `from` just now. */
async function moves(durations: Durations, from: Node, before: number): Promise<number> {
  const beganMs = Date.now();
  const { firstMs } = await writes(other(from), before);
  tell(durations.add(firstMs - beganMs));
  await wait(`no process of ${from.facts.name} waits in the kernel`, () => from.stuck().length === 0);
  return firstMs;
}

/** Both are members, and what failed is forgotten. */
async function together(): Promise<void> {
  for (const node of [nodes.one, nodes.two]) {
    await wait(`${node.facts.name} sees both nodes`, () =>
      /Online: \[ one two \]/.test(node.attempt("crm_mon", "-1").stdout),
    );
  }
  nodes.one.attempt("crm_resource", "--cleanup");
  for (const node of [nodes.one, nodes.two]) {
    await wait(
      `${node.facts.name} is registered`,
      async () => (await node.reservation().catch(() => null))?.state === "registered",
    );
  }
}

const isUndisturbed = (): void =>
  assert.equal(existsSync(join(FOLDER, "writes-wrong")), false, "a writer has found somebody else's write");

/** No writer has seen another one's write, and the load has a device. */
async function intact(): Promise<void> {
  isUndisturbed();
  const at = [nodes.one, nodes.two].find((node) => node.facts.name === host(node)) ?? nodes.one;
  const device = (await at.unit()).attachments[0]?.device ?? "";
  assert.match(device, /^\/dev\/nbd/);
}

test("two nodes form a cluster; both are registered, one of them writes", async () => {
  mkdirSync(FOLDER, { recursive: true });
  mkdirSync("/var/target/pr", { recursive: true });
  install();
  for (const module of ["nbd", "veth", "bridge"]) run("modprobe", module);
  run("ip", "link", "add", "switch", "type", "bridge");
  run("ip", "link", "set", "switch", "up");
  // One kernel has the paths of both nodes. Without disk drivers on them a daemon does not see that the other one uses the unit.
  const disks = "/sys/bus/scsi/drivers/sd";
  for (const name of readdirSync(disks).filter((one) => /^\d+:/.test(one))) writeText(join(disks, "unbind"), name);
  nodes = { one: new Node(ONE, array), two: new Node(TWO, array) };
  for (const node of [nodes.one, nodes.two]) await node.powerOn();
  const { identity } = await nodes.one.unit();
  tell("both nodes have booted");
  // Not with crmadmin -D: asked before pacemaker is ready, it spins on the only processor and never ends.
  await wait("the cluster has a coordinator", () =>
    /Current DC: (one|two)/.test(nodes.one.attempt("crm_mon", "-1").stdout),
  );
  nodes.one.inside("crm_attribute", "--name", "stonith-timeout", "--update", "300s");
  nodes.one.inside("crm_attribute", "--name", "priority-fencing-delay", "--update", "0");
  nodes.one.inside("crm_attribute", "--type", "rsc_defaults", "--name", "migration-threshold", "--update", "1");
  nodes.one.inside("crm_attribute", "--type", "rsc_defaults", "--name", "resource-stickiness", "--update", "100");
  nodes.one.inside("cibadmin", "--replace", "--scope", "resources", "--xml-text", resources(identity.text));
  await wait("it runs somewhere", () => host(nodes.one) !== null);
  await together();
});

/** All paths of the node die and come back; the load has moved. */
async function losesPaths(from: Node, before: number): Promise<void> {
  const beganMs = Date.now();
  from.setPaths(false);
  const firstMs = await moves(paths, from, before);
  const seenMs = from.lostSinceMs();
  tell(noticed.add(seenMs - beganMs));
  moved.add(firstMs - seenMs);
  from.setPaths(true);
}

phase("paths", `paths die, all of a node's: the other node goes on, ${ROUNDS} times in each direction`, async () => {
  for (let round = 0; round < 2 * ROUNDS; round++) {
    await together();
    await wait("it runs somewhere", () => host(nodes.one) !== null);
    const from = where();
    const before = newest();
    await writes(from, before - 1);
    tell(`round ${round + 1}: ${from.facts.name} loses its paths`);
    await losesPaths(from, before);
    await wait("its paths are back", async () => BACK.has((await from.unit()).state));
    await intact();
  }
});

phase(
  "choices",
  "what a node does without paths is its operator's choice: the other node goes on each time",
  async () => {
    for (const choice of ["fail", "wait"] as const) {
      for (const node of [nodes.one, nodes.two]) await node.setOnNoPath(choice);
      await together();
      const from = where();
      const before = newest();
      await writes(from, before - 1);
      tell(`${from.facts.name} loses its paths, on_no_path = "${choice}"`);
      await losesPaths(from, before);
      await wait("its paths are back", async () => BACK.has((await from.unit()).state));
      await intact();
    }
    for (const node of [nodes.one, nodes.two]) await node.setOnNoPath("fence");
  },
);

phase("power", "a node's power goes: it is fenced, the other node goes on, and it joins again", async () => {
  for (let round = 0; round < 2; round++) {
    await together();
    const from = where();
    const before = newest();
    tell(`${from.facts.name} loses its power`);
    await from.powerOff();
    await moves(power, from, before);
    const keys = new Set((await other(from).reservation()).device?.keys);
    assert.deepEqual([...keys], [other(from).facts.key]);
    tell(`${from.facts.name} boots again`);
    await from.powerOn();
    await together();
    await intact();
  }
});

/** The network is cut; the node with the load loses against the other one, or wins. */
async function splits(active: Node): Promise<void> {
  const [loser, winner] = [nodes.one, nodes.two];
  const before = newest();
  await writes(active, before - 1);
  tell(`the network is cut; ${active.facts.name} writes`);
  loser.setNetwork(false);
  if (active === loser) await moves(split, loser, before);
  await wait("the loser is fenced", async () => (await loser.reservation()).state === "preempted");
  assert.deepEqual([...new Set((await winner.reservation()).device?.keys)], [winner.facts.key]);
  const [now] = generations(newest());
  assert.equal(now?.node, winner.facts.name);
  await wait("the winner goes on", () => (generations(newest())[0]?.done ?? 0) > now.done + WRITES_MIN);
  if (active === loser) assert.ok((generations(before)[0]?.lastMs ?? 0) <= now.firstMs, "the loser wrote last");
  loser.setNetwork(true);
  await loser.restart();
  await together();
  await intact();
}

phase(
  "split",
  "split brain: one node is fenced by its key, and only the other one writes, whichever wrote before",
  async () => {
    await together();
    // The loser (pcmk_delay_base says which one) is to write when it is cut off, so that the load has to move.
    if (where() === nodes.two) {
      const before = newest();
      await losesPaths(nodes.two, before);
      await together();
    }
    await splits(nodes.one);
    await splits(nodes.two);
  },
);

test("at the end every block holds the last write that was acknowledged, or one begun after it", async () => {
  await together();
  const node = where();
  const { device = "" } = (await node.unit()).attachments[0] ?? {};
  node.inside(
    "crm_resource",
    "--resource",
    "writer",
    "--meta",
    "--set-parameter",
    "target-role",
    "--parameter-value",
    "Stopped",
  );
  await wait("nobody writes", () => host(node) === null);
  node.inside(WRITER, "check", device);
  isUndisturbed();
  const all = generations();
  const done = all.reduce((sum, one) => sum + one.done, 0);
  for (const durations of [noticed, moved, paths, power, split]) console.log(`    ${durations.summary()}`);
  console.log(`    ${all.length} generations, ${done} acknowledged writes, all found`);
  for (const each of [nodes.one, nodes.two]) await each.powerOff();
});
