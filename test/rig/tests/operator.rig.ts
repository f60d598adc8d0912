// A day of an operator, on real devices: what `spscmd -getlun` displays at each step (reference, section 10).

import assert from "node:assert/strict";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, getlun, mustPathctl, pathctl, spscmd } from "../lib/pathmanager.ts";
import { test, type Rig } from "../lib/test.ts";
import { carriersOf } from "../lib/threads.ts";

export const rig: Rig = { array: "lio", paths: 4, timeLimitS: 150 };

const CONFIGURATION = `
devices = "all"
policy = "static"
${QUICK_PATROL}`;

const array = new LioArray();
let daemon: Daemon | undefined = undefined;

/** One line of the display: the sign, then the path and its priority. */
type Line = readonly [sign: ">" | " " | "@" | "X", path: number, priority: number, lun?: number];

/** The display of a unit, in the order of its path numbers. The path's number is the number of its host. */
function display(unit: number, ...lines: readonly Line[]): string {
  const paths = lines.map(([sign, path, priority, lun = unit], index) => {
    const columns = sign === ">" ? "> " : ` ${sign}`;
    const host = array.path(path).host;
    return `${columns}${String(index).padStart(3)}: Priority=${priority}, PathNumber=${host}:0:1:${lun}\n`;
  });
  return `*** LogicalUnit #${unit} ***\n${paths.join("")}`;
}

/** Waits until the display is as expected; in vain it says what is displayed instead. */
async function displayed(...units: readonly string[]): Promise<void> {
  const expected = units.join("");
  await until("the display is as expected", () => getlun() === expected).catch(() => assert.equal(getlun(), expected));
}

/** A setting command succeeds and prints nothing. */
function command(...args: readonly string[]): void {
  assert.deepEqual(spscmd(...args), { status: 0, stdout: "", stderr: "" });
}

const pathNumber = (path: number): string => `${array.path(path).host}:0:1:0`;

test("after the start the largest priority is in use, the others are alternatives", async () => {
  // One kind of controller only, so that priorities alone decide.
  array.setAlua("B", "optimized");
  daemon = await Daemon.start(CONFIGURATION);
  await displayed(display(0, [" ", 0, 1], [" ", 1, 2], [" ", 2, 3], [">", 3, 4]));
});

test("the daemon waits for no memory that has to be written through it, and goes before the load", () => {
  const carriers = carriersOf(daemon?.pid ?? 0);
  assert.deepEqual(
    carriers,
    carriers.map(({ name }) => ({ name, isIoFlusher: true, nice: -10 })),
  );
});

test("a path taken out of service is in standby, the next one is in use, and it comes back", async () => {
  command("-notavail", pathNumber(3));
  await displayed(display(0, [" ", 0, 1], [" ", 1, 2], [">", 2, 3], ["@", 3, 4]));
  command("-avail", pathNumber(3));
  await displayed(display(0, [" ", 0, 1], [" ", 1, 2], [" ", 2, 3], [">", 3, 4]));
});

test("two priorities are exchanged", async () => {
  command("-swap", pathNumber(3), pathNumber(0));
  await displayed(display(0, [">", 0, 4], [" ", 1, 2], [" ", 2, 3], [" ", 3, 1]));
});

test("a path dies: failed, and the next one is in use", async () => {
  array.setPath(0, false);
  await displayed(display(0, ["X", 0, 4], [" ", 1, 2], [">", 2, 3], [" ", 3, 1]));
});

test("failback in standby mode: the recovered path waits for the operator, who enables it", async () => {
  command("-setfbmode", "Standby");
  array.setPath(0, true);
  await displayed(display(0, ["@", 0, 4], [" ", 1, 2], [">", 2, 3], [" ", 3, 1]));
  command("-avail", pathNumber(0));
  await displayed(display(0, [">", 0, 4], [" ", 1, 2], [" ", 2, 3], [" ", 3, 1]));
});

test("a restart keeps priorities, enabling and the failback mode", async () => {
  command("-notavail", pathNumber(1));
  const before = display(0, [">", 0, 4], ["@", 1, 2], [" ", 2, 3], [" ", 3, 1]);
  await displayed(before);
  await daemon?.stop();
  daemon = await Daemon.start(CONFIGURATION);
  await displayed(before);
  assert.equal(spscmd("-getfbmode").stdout, "Failback : Standby\n");
  command("-setfbmode", "Active");
  command("-avail", pathNumber(1));
});

const UNIT_0 = [
  [">", 0, 4],
  [" ", 1, 2],
  [" ", 2, 3],
  [" ", 3, 1],
] satisfies Line[];
const UNIT_1 = [
  [" ", 0, 1],
  [" ", 1, 2],
  [" ", 2, 3],
  [">", 3, 4],
] satisfies Line[];

test("a unit is added while running, gets the next number and its paths", async () => {
  await displayed(display(0, ...UNIT_0));
  await array.addUnit(1, 16);
  array.setAlua("B", "optimized");
  await displayed(display(0, ...UNIT_0), display(1, ...UNIT_1));
});

test("a LUN that is mapped to another unit, so that its device goes and comes, is a path of the other one", async () => {
  array.remap(3, 0, 1);
  const moved = [...UNIT_1.slice(0, 3), [">", 3, 5, 0], [" ", 3, 4]] satisfies Line[];
  await displayed(display(0, ...UNIT_0.slice(0, 3)), display(1, ...moved));
});

test("a LUN that is mapped to its old unit again is the path that it was there, with what was set for it", async () => {
  array.remap(3, 0, 0);
  await displayed(display(0, ...UNIT_0), display(1, ...UNIT_1));
  command("-notavail", pathNumber(3));
  await displayed(display(0, ...UNIT_0.slice(0, 3), ["@", 3, 1]), display(1, ...UNIT_1));
});

test("a unit is removed while running: it is not displayed any more, and forgotten when its paths are", async () => {
  const rest = display(0, ...UNIT_0.slice(0, 3), ["@", 3, 1]);
  array.removeUnit(1);
  await displayed(rest);
  for (const { host } of array.paths()) mustPathctl("path", "forget", `${host}:0:1:1`);
  await displayed(rest);
  // The number that was unit 1's for a while is remembered there, too; then the unit itself is forgotten.
  assert.match(mustPathctl("show", "--json"), /"number": ?1\b/);
  mustPathctl("path", "forget", pathNumber(3));
  await displayed(rest);
  assert.doesNotMatch(mustPathctl("show", "--json"), /"number": ?1\b/);
  assert.notEqual(pathctl("path", "forget", pathNumber(3)).status, 0);
  const { status, ms } = (await daemon?.stop()) ?? assert.fail("no daemon");
  assert.equal(status, 0);
  assert.ok(ms < 5000);
});
