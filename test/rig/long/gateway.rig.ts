// libiscsi's test suite as the judge of reservations: at a unit's SCSI device while a path dies and returns between each two steps, against
// a bare path that is left alone; and with two initiators at the unit exported further over iSCSI.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { Client } from "../../../host/cli/api-client.ts";
import { differences, parseOutput } from "../../peers/iscsi/verdicts.ts";
import { run, start } from "../lib/command.ts";
import { writeText } from "../lib/files.ts";
import { exportStore } from "../lib/iscsi-target.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon } from "../lib/pathmanager.ts";
import { scsiDevices } from "../lib/scsi.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 4, timeLimitS: 900 };

const array = new LioArray();
const client = new Client("/run/pathmanager/api.sock");
const CORE = "/sys/kernel/config/target/core";
/** Of the families about reservations. */
const VERDICTS = 20;
const RESERVING = [
  "PrinReadKeys",
  "PrinServiceactionRange",
  "PrinReportCapabilities",
  "ProutRegister",
  "ProutReserve",
  "ProutClear",
  "ProutPreempt",
];
/** How long a path stays as it is: a few of the suite's steps. */
const STEP_MS = 150;
const INITIATORS = ["-i", "iqn.2026-01.com.example:a", "-I", "iqn.2026-01.com.example:b"];
/** PRGENERATION grows with each path that is registered. */
const KNOWN = ["ProutClear.Simple: failed, expected: passed"];
/** What needs two initiators that are told apart. */
const NEEDS_TWO = /^(ProutReserve\.(Access|Ownership)\w+|ProutPreempt\.RemoveRegistration)$/;

/** The suite's verdicts at one or two initiators. */
async function judge(families: readonly string[], ...target: readonly string[]): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (const family of families) {
    const names = ["--dataloss", "--verbose", `--test=${family}`];
    const { stdout } = await start("timeout", "600", "iscsi-test-cu", ...names, ...target);
    for (const [name, verdict] of parseOutput(stdout)) all.set(name, verdict);
  }
  return all;
}

const reservations = (...target: readonly string[]): Promise<Map<string, string>> =>
  judge(
    RESERVING.map((family) => `ALL.${family}`),
    ...target,
  );

const failed = (verdicts: ReadonlyMap<string, string>): string[] =>
  [...verdicts].filter(([, verdict]) => verdict === "failed").map(([name]) => name);

const own = (): { sg: string; sd: string } => {
  const found = scsiDevices().find(({ host }) => host > 3);
  return { sg: found?.sg ?? "", sd: found?.sd ?? assert.fail("the unit has no SCSI device") };
};

/** One path after another dies and returns, until told to end. Returns how often. */
async function flapping(isOver: () => boolean): Promise<number> {
  let times = 0;
  try {
    for (; !isOver(); times++) {
      array.setPath(times % 4, false);
      await pause(STEP_MS);
      array.setPath(times % 4, true);
      await pause(STEP_MS);
    }
  } finally {
    for (const path of [0, 1, 2, 3]) array.setPath(path, true);
  }
  return times;
}

test("reservations: the suite's verdicts are a bare path's, while a path dies and returns between each two steps", async () => {
  mkdirSync("/var/target/pr", { recursive: true });
  run("modprobe", "target_core_user");
  await Daemon.start(
    `devices = [${array
      .devices(0)
      .map(({ pathNumber }) => `{ path = "${pathNumber}" }`)
      .join(", ")}]
policy = "round-robin"
${QUICK_PATROL}`,
  );
  await client.call("POST", "/v1/units/0/attach", { driver: "scsi" });
  const bare = await reservations(array.disk(0, 1).sg);
  assert.deepEqual(differences(await reservations(own().sg), bare), KNOWN);
  const still = await judge(["ALL"], own().sg);
  let isOver = false;
  const times = flapping(() => isOver);
  const hurt = await judge(["ALL"], own().sg).finally(() => (isOver = true));
  console.log(`    ${hurt.size} verdicts, ${failed(hurt).length} failed, while a path died ${await times} times`);
  assert.deepEqual(differences(hurt, still), []);
});

test("two initiators at the unit's store exported over iSCSI are one to the array: what needs two fails, the rest passes", async () => {
  const { url, remove } = exportStore("iqn.2026-01.com.example:unit", `${CORE}/user_4747/pathmanager_0`);
  afterwards(remove);
  const verdicts = await reservations(...INITIATORS, url);
  assert.equal(verdicts.size, VERDICTS);
  const others = failed(verdicts).filter((name) => !NEEDS_TWO.test(name));
  assert.deepEqual(others, ["ProutClear.Simple"]);
});

test("two initiators at a block store of the kernel's target on the unit's disk: it tells them apart itself, all pass", async () => {
  run("modprobe", "target_core_iblock");
  const store = `${CORE}/iblock_7/unit`;
  mkdirSync(store, { recursive: true });
  writeText(`${store}/control`, `udev_path=${own().sd}`);
  writeText(`${store}/enable`, 1);
  const { url, remove } = exportStore("iqn.2026-01.com.example:block", store);
  afterwards(remove);
  const verdicts = await reservations(...INITIATORS, url);
  assert.deepEqual([...new Set(verdicts.values())], ["passed"]);
  assert.equal(verdicts.size, VERDICTS);
});
