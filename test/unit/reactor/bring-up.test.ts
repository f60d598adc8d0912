// Units with their paths in one message: what is refused leaves nothing behind, the rest is there.

import test from "ava";
import {
  PATH_FLAG_REMOVING,
  PATH_SET_INITIATOR_PORT,
  PATH_SET_PRIORITY,
  UNIT_SET_BLOCK_BYTES,
  UNIT_SET_BLOCKS,
} from "../../../host/abi.ts";
import { ReactorClient, type AddedUnit, type UnitToAdd } from "../../../host/reactor/reactor-client.ts";

const UNIT_BYTES = 1_048_576;

const unitSet = (property: number, value: number) => ({ name: "unitSet", handle: -1, property, value }) as const;
const pathSet = (property: number, value: number) => ({ name: "pathSet", handle: -1, property, value }) as const;

const pathTo = (port: number, priority: number): UnitToAdd["paths"][number]["path"] => ({
  queue: "array",
  port,
  priority,
  enabled: true,
  depth: 32,
});

const codeOf = (answer: AddedUnit["unit"] | undefined): string | number =>
  typeof answer === "object" ? answer.code : (answer ?? "nothing");

const DISK = [unitSet(UNIT_SET_BLOCK_BYTES, 512), unitSet(UNIT_SET_BLOCKS, UNIT_BYTES / 512)];

test("each unit and path has its handle or its refusal, and a refused one is not there", async (t) => {
  const reactor = await ReactorClient.start({ arrays: [{ units: 3, unitBytes: UNIT_BYTES, paths: 2 }] });
  const [good, wrong, second] = await reactor.addUnits([
    {
      handle: null,
      settings: DISK,
      paths: [
        { path: pathTo(0, 1), settings: [pathSet(PATH_SET_INITIATOR_PORT, 7)] },
        { path: pathTo(1, 1), settings: [] },
      ],
    },
    { handle: null, settings: [unitSet(UNIT_SET_BLOCK_BYTES, 777)], paths: [{ path: pathTo(2, 1), settings: [] }] },
    { handle: null, settings: DISK, paths: [{ path: pathTo(4, 1), settings: [pathSet(PATH_SET_PRIORITY, 255)] }] },
  ]);
  t.is(typeof good?.unit, "number");
  t.deepEqual(good?.paths.map(codeOf), [good?.paths[0] as number, "CORE_PRIORITY_IN_USE"]);
  t.deepEqual({ unit: codeOf(wrong?.unit), paths: wrong?.paths }, { unit: "CORE_RANGE", paths: [] });
  t.deepEqual(second?.paths.map(codeOf), ["CORE_RANGE"]);

  const { units, paths } = await reactor.snapshot();
  t.deepEqual(
    units.map(({ unit, blocks }) => [unit, blocks]),
    [good?.unit, second?.unit].map((unit) => [unit, UNIT_BYTES / 512] as [number, number]),
  );
  const staying = paths.filter(({ flags }) => (flags & PATH_FLAG_REMOVING) === 0);
  t.deepEqual(
    staying.map(({ path, unit }) => [path, unit]),
    [[good?.paths[0] as number, good?.unit as number]],
  );
  await reactor.stop();
});

test("a unit that is there gets more paths by its handle", async (t) => {
  const reactor = await ReactorClient.start({ arrays: [{ units: 1, unitBytes: UNIT_BYTES, paths: 2 }] });
  const [first] = await reactor.addUnits([
    { handle: null, settings: DISK, paths: [{ path: pathTo(0, 1), settings: [] }] },
  ]);
  const handle = first?.unit;
  if (typeof handle !== "number") throw new Error("the unit was refused");
  const [more] = await reactor.addUnits([{ handle, settings: [], paths: [{ path: pathTo(1, 2), settings: [] }] }]);
  t.is(more?.unit, handle);
  const { units, paths } = await reactor.snapshot();
  t.is(units.length, 1);
  t.deepEqual(
    paths.map(({ unit, priority }) => [unit, priority]),
    [
      [handle, 1],
      [handle, 2],
    ],
  );
  await reactor.stop();
});
