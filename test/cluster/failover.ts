// Runs in the guest: a unit and its load move between two nodes of a real cluster, for every reason there is, and never do two nodes write.

import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { until } from "../until.ts";
import { run } from "../rig/lib/command.ts";
import { writeText } from "../rig/lib/files.ts";
import { LioArray } from "../rig/lib/lio.ts";
import { test } from "../rig/lib/test.ts";
import { FOLDER, Node, ONE, STEP_MS_MAX, TWO } from "./nodes.ts";

const ROUNDS = Number(process.env["CLUSTER_ROUNDS"] ?? "10");
const WRITER = join(process.cwd(), "test/cluster/writer.py");

const array = new LioArray();
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

/** Generations of writers so far, each with the node and the writes that were acknowledged. */
function generations(): readonly { readonly generation: number; readonly node: string; readonly done: number }[] {
  const folder = join(FOLDER, "writes");
  if (!existsSync(folder)) return [];
  const names = run("ls", folder)
    .trim()
    .split("\n")
    .filter((name) => name !== "");
  return names
    .map((name) => {
      const [generation = "", node = ""] = name.split(".");
      const done = readFileSync(join(folder, name), "utf8")
        .split("\n")
        .filter((line) => line.startsWith("done")).length;
      return { generation: Number(generation), node, done };
    })
    .toSorted((a, b) => a.generation - b.generation);
}

const newest = (): number => generations().at(-1)?.generation ?? 0;

/** What happens, with the seconds since the guest's start. */
const tell = (text: string): void => console.log(`    ${Math.round(performance.now() / 1000)} s: ${text}`);

/** Waits for what the cluster does; if it does not, says what its members have written about it. */
async function wait(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  try {
    await until(what, isSo, STEP_MS_MAX);
  } catch (thrown) {
    for (const node of [nodes.one, nodes.two]) {
      console.log(node.attempt("crm_mon", "-1rfAm3").stdout, JSON.stringify(await node.reservation().catch(String)));
      console.log(node.report());
    }
    throw thrown;
  }
}

/** The node writes, in a generation after `before`. */
async function writes(node: Node, before: number): Promise<void> {
  const { name } = node.facts;
  await wait(`${name} writes`, () =>
    generations().some((one) => one.generation > before && one.node === name && one.done > 20),
  );
  tell(`${name} writes`);
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

/** No block holds what it may not hold; no writer has seen another one's write. */
async function intact(): Promise<void> {
  assert.equal(existsSync(join(FOLDER, "writes-wrong")), false, "a writer has found somebody else's write");
  const where = [nodes.one, nodes.two].find((node) => node.facts.name === host(node)) ?? nodes.one;
  const device = (await where.unit()).attachments[0]?.device ?? "";
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
  await wait("the cluster has a coordinator", () => nodes.one.attempt("crmadmin", "-D").status === 0);
  nodes.one.inside("crm_attribute", "--name", "stonith-timeout", "--update", "300s");
  nodes.one.inside("crm_attribute", "--name", "priority-fencing-delay", "--update", "0");
  nodes.one.inside("crm_attribute", "--type", "rsc_defaults", "--name", "migration-threshold", "--update", "1");
  nodes.one.inside("crm_attribute", "--type", "rsc_defaults", "--name", "resource-stickiness", "--update", "100");
  nodes.one.inside("cibadmin", "--replace", "--scope", "resources", "--xml-text", resources(identity.text));
  await wait("it runs somewhere", () => host(nodes.one) !== null);
  await together();
});

test(`paths die, all of a node's: the other node goes on, ${ROUNDS} times in each direction`, async () => {
  for (let round = 0; round < 2 * ROUNDS; round++) {
    await together();
    await wait("it runs somewhere", () => host(nodes.one) !== null);
    const from = host(nodes.one) === "one" ? nodes.one : nodes.two;
    const before = newest();
    await writes(from, before - 1);
    tell(`${from.facts.name} loses its paths`);
    from.setPaths(false);
    await writes(other(from), before);
    from.setPaths(true);
    await wait("its paths are back", async () => ["ok", "preempted"].includes((await from.unit()).state));
    await intact();
  }
});

test("a node's power goes: it is fenced, the other node goes on, and it joins again", async () => {
  for (let round = 0; round < 2; round++) {
    await together();
    const from = host(nodes.one) === "one" ? nodes.one : nodes.two;
    const before = newest();
    tell(`${from.facts.name} loses its power`);
    await from.powerOff();
    await writes(other(from), before);
    const keys = new Set((await other(from).reservation()).device?.keys);
    assert.deepEqual([...keys], [other(from).facts.key]);
    await from.powerOn();
    await together();
    await intact();
  }
});

test("split brain: one node is fenced by its key, whichever was faster, and only the other one writes", async () => {
  for (let round = 0; round < 2; round++) {
    await together();
    const active = host(nodes.one) === "one" ? nodes.one : nodes.two;
    const passive = other(active);
    // Both fence each other; who begins first wins. The writing node is to lose, so that the load has to move.
    nodes.one.inside(
      "crm_resource",
      "--resource",
      "fence",
      "--set-parameter",
      "pcmk_delay_base",
      "--parameter-value",
      `${active.facts.name}:0s;${passive.facts.name}:120s`,
    );
    await together();
    const before = newest();
    tell(`the network between ${active.facts.name} and ${passive.facts.name} is cut`);
    active.setNetwork(false);
    await writes(passive, before);
    await wait("the loser has stopped", async () => (await active.reservation()).state === "preempted");
    assert.deepEqual([...new Set((await passive.reservation()).device?.keys)], [passive.facts.key]);
    assert.equal(existsSync(join(FOLDER, "writes-wrong")), false);
    active.setNetwork(true);
    await active.restart();
    await together();
    await intact();
  }
});

test("at the end every block holds the last write that was acknowledged, or one begun after it", async () => {
  await together();
  const node = host(nodes.one) === "one" ? nodes.one : nodes.two;
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
  await intact();
  const all = generations();
  const done = all.reduce((sum, one) => sum + one.done, 0);
  console.log(`    ${all.length} generations, ${done} acknowledged writes, all found`);
  for (const each of [nodes.one, nodes.two]) await each.powerOff();
});
