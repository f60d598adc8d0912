// `show --json=maps` and `show --multipath` beside what multipathd says of the same paths, one after the other.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { attempt, run } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { MULTIPATH_DEVICE, startMultipath } from "../lib/multipath.ts";
import { Daemon, mustPathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 4, timeLimitS: 240 };

const array = new LioArray();

interface PathMap extends Readonly<Record<string, unknown>> {
  readonly dev: string;
}
interface GroupMap extends Readonly<Record<string, unknown>> {
  readonly pri: number;
  readonly paths: readonly PathMap[];
}
interface UnitMap extends Readonly<Record<string, unknown>> {
  readonly paths: number;
  readonly path_groups: readonly GroupMap[];
}

const mapsIn = (text: string): UnitMap[] => (JSON.parse(text) as { readonly maps: UnitMap[] }).maps;
const theirs = (): UnitMap =>
  mapsIn(run("multipathd", "show", "maps", "json"))[0] ?? assert.fail("multipathd has no map");
const ours = (): UnitMap => mapsIn(mustPathctl("show", "--json=maps"))[0] ?? assert.fail("there is no unit");

/** What a reader's code depends on: the keys, and what kind of value each has. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]));
}

/** What both have to say alike of each path, and of the unit. */
function said(map: UnitMap): unknown {
  const paths = map.path_groups.flatMap(({ pri, paths: members }) =>
    members.map((path) => ({
      dev: path.dev,
      dev_t: path["dev_t"],
      dm: path["dm_st"],
      check: path["chk_st"],
      // Of a failed path multipathd says 0 or what it was before, as it last could ask or not.
      ...(path["dm_st"] === "failed" ? {} : { pri }),
    })),
  );
  return {
    uuid: map["uuid"],
    usable: map.paths,
    vendor: map["vend"],
    size: map["write_prot"],
    paths: paths.toSorted((a, b) => a.dev.localeCompare(b.dev)),
  };
}

/** The lines of a tree, each with its numbers and names taken out. */
const linesIn = (text: string): string[] =>
  text
    .trimEnd()
    .split("\n")
    .filter((line) => /^[ |`]+- /.test(line))
    .map((line) => line.replace(/^[ |`]+- /, "").replaceAll(/ +/g, " "))
    .toSorted();

test("both tools say the same of the same paths: usable, failed, on standby", async () => {
  await startMultipath(4, "service-time");
  const shape = shapeOf(theirs());
  const whole = said(theirs());
  const tree = linesIn(run("multipath", "-ll"));
  array.setPath(0, false);
  array.setAlua("B", "standby");
  afterwards(() => {
    array.setPath(0, true);
    array.setAlua("B", "non-optimized");
  });
  await until("multipathd sees it", () => /"ghost"/.test(JSON.stringify(theirs())) && theirs().paths === 3, 30_000);
  const hurt = said(theirs());
  attempt("multipathd", ["shutdown"]);
  // It answers before its threads are over, and while one looks at the map the map is in use.
  await until("the map is gone", () => attempt("multipath", ["-F"]).status === 0, 30_000);
  rmSync(MULTIPATH_DEVICE, { force: true });
  array.setPath(0, true);
  array.setAlua("B", "non-optimized");

  const daemon = await Daemon.start(`devices = "all"\n${QUICK_PATROL}`);
  afterwards(async () => void (await daemon.stop()));
  await until("all paths are usable", () => ours().paths === 4, 30_000);
  assert.deepEqual(shapeOf(ours()), shape);
  assert.deepEqual(said(ours()), whole);
  assert.deepEqual(linesIn(mustPathctl("show", "--multipath")), tree);
  array.setPath(0, false);
  array.setAlua("B", "standby");
  await until("we see it", () => /"ghost"/.test(JSON.stringify(ours())) && ours().paths === 3, 30_000);
  assert.deepEqual(said(ours()), hurt);
});
