// The core as C in an appliance's program, over real sg devices of the kernel's own target: paths die and return under verified load.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { buildSources } from "../../../host/embedding/build.ts";
import { buildAppliance } from "../../../host/embedding/images/small.ts";
import { installPackages } from "../../../host/embedding/packages.ts";
import { targetsNamed } from "../../../host/embedding/targets.ts";
import { until } from "../../until.ts";
import { LioArray } from "../lib/lio.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const build = join(root, "build", "embedding");
const folder = join(build, "rig");

function prepare(): void {
  const { status } = spawnSync(process.execPath, [join(root, "host", "build", "ensure.mjs"), "--firmware"], {
    stdio: "inherit",
  });
  assert.equal(status, 0);
  installPackages(targetsNamed(["musl"]).flatMap((target) => target.packages));
  buildAppliance(buildSources(build), folder);
}

export const rig: Rig = { array: "lio-mapped", units: 1, paths: 4, timeLimitS: 240, prepare };

const array = new LioArray();

interface Appliance {
  /** Waits until it has said so, so many times from now on. */
  readonly says: (pattern: RegExp, times?: number) => Promise<void>;
  /** Ends it. @returns all it has said */
  readonly end: () => Promise<string>;
}

async function startAppliance(): Promise<Appliance> {
  const child = spawn(
    join(folder, "appliance"),
    array.devices(0).map(({ sg }) => sg),
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let [said, ended] = ["", false];
  const hear = (bytes: Buffer): void => void (said += bytes.toString());
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  child.on("close", (status) => {
    said += `ended with status ${status}\n`;
    ended = true;
  });
  afterwards(() => {
    child.kill("SIGKILL");
    console.log(said.trimEnd().replaceAll(/^/gm, "# "));
  });
  const says = async (pattern: RegExp, times = 1): Promise<void> => {
    const before = said.length;
    await until(`the appliance says ${pattern}`, () => {
      if (ended) throw new Error(`the appliance ended: ${said}`);
      return [...said.slice(before).matchAll(new RegExp(pattern, "g"))].length >= times;
    });
  };
  const end = async (): Promise<string> => {
    child.kill("SIGTERM");
    await until("the appliance ends", () => ended);
    return said;
  };
  await says(/first block/);
  return { says, end };
}

function judge(said: string): void {
  const ios = /(\d+) I\/Os, 0 wrong or failed; paths failed \d+ times and came back \d+ times;/.exec(said);
  assert.ok(Number(ios?.[1]) > 0, said);
  assert.match(said, /ended with status 0/);
}

test("two of four paths die and return under verified load: no request fails, no byte is wrong", async () => {
  afterwards(() => array.setController("A", true));
  const appliance = await startAppliance();
  for (const path of [0, 1]) {
    const failed = appliance.says(/ failed\n/);
    array.setPath(path, false);
    await failed;
  }
  const [back, usable] = [appliance.says(/ came back\n/, 2), appliance.says(/ 4 of 4 paths usable\n/)];
  array.setController("A", true);
  await Promise.all([back, usable]);
  judge(await appliance.end());
});

test("a path falls silent and another dies meanwhile: no request fails, and what came late harms nothing", async () => {
  afterwards(() => array.answerPath(0, true));
  afterwards(() => array.setPath(1, true));
  const appliance = await startAppliance();
  const silent = appliance.says(/ failed\n/);
  array.answerPath(0, false);
  await silent;
  const dead = appliance.says(/ failed\n/);
  array.setPath(1, false);
  await dead;
  const [back, usable] = [appliance.says(/ came back\n/, 2), appliance.says(/ 4 of 4 paths usable\n/)];
  array.setPath(1, true);
  array.answerPath(0, true);
  await Promise.all([back, usable]);
  judge(await appliance.end());
});
