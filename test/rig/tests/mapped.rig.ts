// The mapped array: the same unit through paths that can be slow or silent one by one.

import assert from "node:assert/strict";
import { attempt, run, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio-mapped", paths: 4, timeLimitS: 90, isEssential: true };

const array = new LioArray();
// Functions, because the suite loads this file outside the guest, too, to learn the tests' names.
const paths = (): readonly string[] => array.devices(0).map(({ sg }) => sg);
const firstPath = (): string => paths()[0] ?? assert.fail("no path 0");

function readMs(sg: string): number {
  const begin = performance.now();
  run("sg_dd", `if=${sg}`, "of=/dev/null", "bs=512", "count=8");
  return performance.now() - begin;
}

test("all paths show one identity and the same bytes", () => {
  const devices = paths();
  for (const sg of devices) for (let attention = 0; attention < 5; attention++) attempt("sg_turs", [sg]);
  const identities = devices.map((sg) => /0x6001405[0-9a-f]{25}/.exec(run("sg_vpd", "-p", "di_lu", sg))?.[0]);
  assert.equal(new Set(identities).size, 1);
  assert.ok(identities[0] !== undefined);
  run("sg_dd", "if=/dev/urandom", `of=${firstPath()}`, "bs=512", "count=64");
  const sums = devices.map((sg) => run("sh", "-c", `sg_dd if=${sg} bs=512 count=64 2>/dev/null | sha256sum`));
  assert.equal(new Set(sums).size, 1);
});

test("a path can be slow while the others are not", () => {
  afterwards(() => array.delayPath(2, 0));
  array.delayPath(2, 400);
  const [quick = Infinity, , slow = 0] = paths().map(readMs);
  assert.ok(slow >= 400, `the slow path took ${slow} ms`);
  assert.ok(quick < slow, `the quick path took ${quick} ms`);
});

test("a silent path answers nothing until it is let, then late; the others go on", async () => {
  afterwards(() => array.answerPath(0, true));
  array.answerPath(0, false);
  let answered = false;
  const read = start("sg_dd", `if=${firstPath()}`, "of=/dev/null", "bs=512", "count=8").then((outcome) => {
    answered = true;
    return outcome;
  });
  for (const sg of paths().slice(1)) readMs(sg);
  assert.equal(answered, false);
  array.answerPath(0, true);
  assert.equal((await read).status, 0);
});
