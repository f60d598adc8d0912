// Which reactor gets which unit at the start: where an operator moved it, else by the I/O it had, else by the number of units.

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { Placement } from "../../../host/control/devices/placement.ts";
import { LOADS_FILE, UnitLoads } from "../../../host/control/devices/unit-loads.ts";
import { Inventory, type Unit } from "../../../host/control/inventory/inventory.ts";
import type { Snapshot } from "../../../host/control/core/snapshot.ts";
import type { UnitView } from "../../../host/control/schemas/unit-schema.ts";
import { handleIn } from "../../../host/reactor/handles.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const FACTS = {
  identityType: "naa",
  vendor: "V",
  product: "P",
  revision: "1",
  serial: "",
  bytes: 512,
  blockBytes: 512,
} as const;

/** Units that no core has. */
function inventoryOf(units: number, moved: ReadonlyMap<number, number> = new Map()): Inventory {
  const rows = Array.from({ length: units }, (_, number) => {
    const reactor = moved.get(number);
    const facts = reactor === undefined ? FACTS : Object.assign({ reactor }, FACTS);
    return { number, identity: `naa.${number}`, name: `lu${number}`, facts, policy: null, hedgeBudgetPercent: null };
  });
  return new Inventory(rows, []);
}

const folderOf = (perS: Record<string, number>): string => {
  const folder = mkdtempSync(join(tmpdir(), "pm-loads-"));
  writeFileSync(join(folder, LOADS_FILE), JSON.stringify({ perS }));
  return folder;
};

/** The reactors of all units, after they have come together. */
function placed(
  inventory: Inventory,
  reactors: number,
  folder: string,
  present = [...Array(reactors).keys()],
): number[] {
  const placement = new Placement({ reactors, present }, inventory);
  placement.loads.keepIn(folder);
  placement.prepare(inventory.units());
  return inventory.units().map((unit) => placement.of(unit));
}

test("without any load each reactor gets as many units", (t) => {
  t.deepEqual(placed(inventoryOf(5), 2, folderOf({})), [0, 1, 0, 1, 0]);
  t.deepEqual(placed(inventoryOf(3), 1, folderOf({ "naa.0": 9 })), [0, 0, 0]);
});

test("units with most I/O are placed first, where there is least; the others where there are fewest", (t) => {
  const busy = { "naa.1": 900, "naa.3": 500, "naa.4": 450, "naa.9": 1_000_000 };
  t.deepEqual(placed(inventoryOf(6), 2, folderOf(busy)), [0, 0, 0, 1, 1, 1]);
});

test("a unit that was moved goes where it was moved to, while there is that reactor", (t) => {
  const moved = new Map([
    [0, 1],
    [2, 1],
  ]);
  t.deepEqual(placed(inventoryOf(4, moved), 2, folderOf({ "naa.0": 100, "naa.1": 10, "naa.3": 5 })), [1, 0, 1, 0]);
  t.deepEqual(placed(inventoryOf(4, new Map([[0, 7]])), 2, folderOf({})), [0, 1, 0, 1]);
  t.deepEqual(placed(inventoryOf(2, moved), 2, folderOf({}), [0]), [0, 0], "it is away");
});

test("a file that is damaged says nothing", (t) => {
  for (const text of ["", "{", "[]", '{"perS":{"naa.0":-1}}', '{"perS":{"naa.0":"x"}}']) {
    const folder = folderOf({});
    writeFileSync(join(folder, LOADS_FILE), text);
    t.deepEqual(placed(inventoryOf(3), 2, folder), [0, 1, 0], text);
  }
});

/** Tables that hold nothing but counters. */
const counting = (answered: ReadonlyMap<number, number>) =>
  ({ unit: (handle: number) => ({ answered: answered.get(handle) ?? 0 }) }) as unknown as Pick<Snapshot, "unit">;

const remembered = (folder: string): unknown =>
  (JSON.parse(readFileSync(join(folder, LOADS_FILE), "utf8")) as { perS: unknown }).perS;

test("the I/O of the last minutes is remembered, and what was before fades", (t) => {
  const inventory = inventoryOf(4);
  const [busy, idle, gone] = inventory.units() as [Unit, Unit, Unit];
  inventory.setUnitHandle(busy, 0);
  inventory.setUnitHandle(idle, 1);
  const folder = folderOf({ "naa.1": 1000, "naa.2": 77, "naa.88": 5 });
  const loads = new UnitLoads(inventory, 0);
  loads.keepIn(folder);
  let atMs = 0;
  let answered = 0;
  const minute = (perS: number, handle = 0): void => {
    atMs += 60_000;
    answered += 60 * perS;
    loads.learn(counting(new Map([[handle, answered]])), atMs);
  };
  minute(500);
  t.is(loads.of(busy), 0, "one look tells nothing");
  minute(500);
  t.is(loads.of(busy), 500);
  loads.learn(counting(new Map([[0, 1_000_000]])), atMs + 1);
  t.is(loads.of(busy), 500, "not at each copy");
  // It goes to another core, which counts from the beginning.
  inventory.setUnitHandle(busy, handleIn(1, 5));
  answered = 0;
  minute(500, handleIn(1, 5));
  t.is(loads.of(busy), 500);
  for (let minutes = 0; minutes < 20; minutes++) minute(100, handleIn(1, 5));
  t.true(loads.of(busy) < 110, String(loads.of(busy)));
  t.true(loads.of(idle) < 20, String(loads.of(idle)));
  t.is(loads.of(gone), 77, "what is not there keeps what it had");
  loads.remember(counting(new Map([[handleIn(1, 5), answered]])), atMs);
  t.deepEqual(remembered(folder), { "naa.0": loads.of(busy), "naa.1": loads.of(idle), "naa.2": 77 });
});

const CONFIGURATION = "[array]\nunits = 4\npaths = 2\nunit_mib = 1\n";

async function reactorsOf(t: ExecutionContext, daemon: TestDaemon): Promise<(number | null)[]> {
  const { units } = await daemon.get<"units">(t, "/v1/units");
  return units.map(({ reactor }) => reactor);
}

test("a move is remembered over restarts, and the load decides about the others", async (t) => {
  t.timeout(240_000);
  const first = await TestDaemon.start(t, `reactors = 2\n${CONFIGURATION}`);
  const { folder } = first;
  t.deepEqual(await reactorsOf(t, first), [0, 1, 0, 1]);
  const { units } = await first.get<"units">(t, "/v1/units");
  await first.change<UnitView>(t, "POST", "/v1/units/1/move", { reactor: 0 });
  await first.change<UnitView>(t, "POST", "/v1/units/2/move", { reactor: 0 });
  t.is((await first.call("POST", "/v1/units/3/move", { reactor: 5 })).status, 400);
  await first.stop();
  const identity = (number: number): string => units[number]?.identity.text ?? "";
  writeFileSync(
    join(folder, "state", LOADS_FILE),
    JSON.stringify({ perS: { [identity(0)]: 10, [identity(2)]: 1000, [identity(3)]: 10 } }),
  );
  const second = await TestDaemon.start(t, "", folder);
  t.deepEqual(await reactorsOf(t, second), [1, 0, 0, 1]);
  await second.stop();
  const alone = await TestDaemon.start(t, `reactors = 1\n${CONFIGURATION}`, folder);
  t.deepEqual(await reactorsOf(t, alone), [0, 0, 0, 0]);
  await alone.stop();
  const again = await TestDaemon.start(t, `reactors = 2\n${CONFIGURATION}`, folder);
  t.deepEqual(await reactorsOf(t, again), [1, 0, 0, 1]);
});

test("a move that cannot be remembered is not made", async (t) => {
  t.timeout(240_000);
  const daemon = await TestDaemon.start(t, `reactors = 2\n${CONFIGURATION}`);
  const { state } = daemon.daemon;
  const save = state.saveUnits.bind(state);
  state.saveUnits = () => {
    throw Object.assign(new Error("the disk is full"), { code: "STATE_WRITE_FAILED" });
  };
  t.true((await daemon.call("POST", "/v1/units/0/move", { reactor: 1 })).status >= 500);
  t.deepEqual(await reactorsOf(t, daemon), [0, 1, 0, 1]);
  state.saveUnits = save;
  await daemon.change<UnitView>(t, "POST", "/v1/units/0/move", { reactor: 1 });
  t.deepEqual(await reactorsOf(t, daemon), [1, 1, 0, 1]);
});

test("a move that fails is not remembered", async (t) => {
  t.timeout(240_000);
  const daemon = await TestDaemon.start(t, `reactors = 2\n${CONFIGURATION}`);
  const { connections, state } = daemon.daemon;
  const kept = (): (number | undefined)[] => state.units().map(({ facts }) => facts.reactor);
  const close = connections.close.bind(connections);
  connections.close = () => Promise.reject(new Error("they do not end"));
  t.true((await daemon.call("POST", "/v1/units/0/move", { reactor: 1 })).status >= 500);
  t.deepEqual(kept(), Array(4).fill(undefined));
  connections.close = close;
  await daemon.change<UnitView>(t, "POST", "/v1/units/0/move", { reactor: 1 });
  t.deepEqual(kept(), [1, undefined, undefined, undefined]);
  connections.close = () => Promise.reject(new Error("they do not end"));
  t.true((await daemon.call("POST", "/v1/units/0/move", { reactor: 0 })).status >= 500);
  t.deepEqual(kept(), [1, undefined, undefined, undefined]);
});
