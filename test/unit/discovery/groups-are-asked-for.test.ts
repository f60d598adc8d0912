// Access states of target port groups: what one path's report lacks is asked for over a path of the group that is missing, and what
// nobody tells is unknown.

import test from "ava";
import { discover } from "../../../host/discovery/discover.ts";
import { candidate, designator, disk, naa6, page83, standard, transportOf, type Answers } from "./pages.ts";

const ALL = { devices: "all", exclude: [], budgetMs: 1000 } as const;
const number32 = (number: number): Uint8Array => Uint8Array.of(0, 0, number >> 8, number & 0xff);

/** A report of groups and their states. */
const report = (groups: readonly (readonly [group: number, state: number])[]): Uint8Array => {
  const parts = groups.map(([group, state]) => Uint8Array.of(state, 0x8f, 0, group, 0, 2, 0, 1, 0, 0, 0, group));
  return Buffer.concat([number32(12 * groups.length), ...parts]);
};

/** A path over a port of a group; null: it does not answer what the states are. */
const path = (group: number, told: readonly (readonly [number, number])[] | null): Answers => ({
  ...disk(1),
  inquiry: standard("LIO-ORG", "lu0", { tpgs: 1 }),
  "0x83": page83(designator(3, 0, naa6(1)), designator(5, 1, number32(group))),
  ...(told === null ? {} : { groups: report(told) }),
});

async function groupsOf(devices: Readonly<Record<string, Answers>>): Promise<(readonly [number, number])[]> {
  const candidates = Object.keys(devices).map((device, index) => candidate(device, `${index}:0:0:0`));
  const { paths, refusals } = await discover(transportOf(devices), candidates, ALL);
  if (refusals.length > 0) throw new Error(JSON.stringify(refusals));
  const told = paths.map(({ probe }) =>
    (probe.details?.groups ?? []).map(({ group, state }) => [group, state] as const),
  );
  if (told.some((one) => JSON.stringify(one) !== JSON.stringify(told[0]))) throw new Error(JSON.stringify(told));
  return told[0] ?? [];
}

test("a group that the first path's report lacks is asked for over a path of its own", async (t) => {
  const apart = { a: path(1, [[1, 0]]), b: path(1, [[1, 0]]), c: path(2, [[2, 1]]), d: path(3, [[3, 2]]) };
  t.deepEqual(await groupsOf(apart), [
    [1, 0],
    [2, 1],
    [3, 2],
  ]);
});

test("the next path of the group is asked where the first one does not tell", async (t) => {
  const apart = { a: path(1, [[1, 0]]), b: path(2, null), c: path(2, [[1, 0]]), d: path(2, [[2, 1]]) };
  t.deepEqual(await groupsOf(apart), [
    [1, 0],
    [2, 1],
  ]);
});

test("what a path tells of its own group counts, whatever others tell of it first", async (t) => {
  const all = { a: path(1, [[1, 0], [2, 1]]), b: path(2, [[1, 0], [2, 2]]) }; // prettier-ignore
  t.deepEqual(
    await groupsOf(all),
    [
      [1, 0],
      [2, 1],
    ],
    "one report that tells all is not doubted",
  );
});

test("a group that nobody tells is none of those that are known", async (t) => {
  t.deepEqual(await groupsOf({ a: path(1, [[1, 0]]), b: path(2, null) }), [[1, 0]]);
  t.deepEqual(await groupsOf({ a: path(1, null), b: path(2, null) }), []);
});
