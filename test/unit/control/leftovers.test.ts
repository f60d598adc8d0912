import test from "ava";
import { ControlError } from "../../../host/control/ground/control-errors.ts";
import { moveUnit, type MoveContext } from "../../../host/control/operations/move-operations.ts";
import { Inventory } from "../../../host/control/inventory/inventory.ts";
import { Leftovers, type LeftoverSources } from "../../../host/control/devices/leftovers-watch.ts";
import { makeLogger } from "../../../host/control/ground/logger.ts";
import { UNIT_SET_LEFTOVERS } from "../../../host/abi.ts";
import type { LeftCommands } from "../../../host/native/index.ts";
import { until } from "../../until.ts";

const line = (path: string, operation: string, elapsedMs: number): string =>
  ` >>> device=sg0 ${path}   em=0 sg_tablesize=256 excl=0 open_cnt=0\n` +
  `     act: id=7 blen=4096 t_o/elap=30001/${elapsedMs}ms sgat=1 op=0x${operation}\n`;

/** Two units in the core, with a path each that was known before, and what the sg driver lists. */
function scene(list: string | null) {
  const inventory = new Inventory([], []);
  const state = {
    list,
    calls: [] as number[][],
    said: [] as [string, number | undefined][],
    log: [] as string[],
    left: [] as LeftCommands[],
  };
  for (const number of [0, 1]) {
    const identity = { type: "naa", text: `naa.${number}`, bytes: new Uint8Array([number]) } as const;
    const facts = {
      vendor: "V",
      product: "P",
      revision: "1",
      serial: "",
      bytes: 512,
      identityType: "naa",
      blockBytes: 512,
    } as const;
    const unit = inventory.addUnit({
      number,
      identity,
      name: `lu${number}`,
      facts,
      policy: null,
      hedgeBudgetPercent: null,
    });
    inventory.addPath(unit, { number: `4:0:0:${number}`, nexus: null, priority: 1, enabled: true });
    inventory.setUnitHandle(unit, 100 + number);
  }
  const sources: LeftoverSources = {
    inventory,
    hub: { say: (kind, about) => void state.said.push([kind, about?.unit]) },
    logger: makeLogger("info", (text) => state.log.push(text), false),
    unitSet: async (...call) => void state.calls.push(call),
    read: async () => state.list,
    isUnused: () => false,
    left: async () => state.left,
    fell: false,
    keptMsMax: () => KEPT_MS,
  };
  const leftovers = new Leftovers(sources);
  return { leftovers, state, inventory, sources };
}

const OLD = 60_000;
/** Long for a test that awaits it, and yet too short for one that asserts what holds before. */
const KEPT_MS = 1500;

test("only the unit that something was left for is held, and goes on when it has ended", async (t) => {
  const { leftovers, state } = scene(line("4:0:0:1", "8a", OLD) + line("4:0:0:0", "88", OLD));
  await leftovers.check();
  t.deepEqual(state.calls, [[101, UNIT_SET_LEFTOVERS, 1]]);
  await leftovers.check();
  t.is(state.calls.length, 1, "held once");
  state.list = "";
  // By itself.
  await until("it goes on", () => state.calls.length >= 2);
  t.deepEqual(state.calls[1], [101, UNIT_SET_LEFTOVERS, 0]);
  t.deepEqual(state.said, [
    ["leftovers-found", 1],
    ["leftovers-settled", 1],
  ]);
  leftovers.stop();
});

test("after the end nothing is looked for any more: what is written then is this daemon's", async (t) => {
  const { leftovers, state } = scene("");
  await leftovers.check();
  state.list = line("4:0:0:1", "8a", OLD);
  await leftovers.check();
  t.deepEqual(state.calls, []);
});

test("a unit that comes into the core later is held before it is offered", async (t) => {
  const { leftovers, state, inventory } = scene(line("4:0:0:1", "93", OLD));
  const unit = inventory.units()[1];
  if (unit === undefined) return t.fail();
  inventory.setUnitHandle(unit, null);
  await leftovers.check();
  t.deepEqual(state.calls, []);
  inventory.setUnitHandle(unit, 7);
  await leftovers.check();
  t.deepEqual(state.calls, [[7, UNIT_SET_LEFTOVERS, 1]]);
  leftovers.stop();
});

test("the core's refusal of a hold is told, and tried again; commands of devices that are not ours count for nothing", async (t) => {
  const { leftovers, state } = scene(line("9:0:0:9", "8a", OLD));
  await leftovers.check();
  t.deepEqual(state.calls, []);
  const second = scene(line("4:0:0:0", "42", OLD));
  let refusals = 1;
  const failing = new Leftovers({
    ...second.sources,
    hub: { say: () => undefined },
    logger: makeLogger("error", (text) => second.state.log.push(text), false),
    unitSet: async (...call) => {
      if (refusals-- > 0) throw new Error("busy");
      second.state.calls.push(call);
    },
  });
  await failing.check();
  t.regex(second.state.log.join(""), /earlier daemon: busy/);
  await until("it is held", () => second.state.calls.length > 0);
  t.deepEqual(second.state.calls, [[100, UNIT_SET_LEFTOVERS, 1]]);
  failing.stop();
});

test("a kernel without the list: a warning that says what to do", async (t) => {
  const { leftovers, state } = scene(null);
  await leftovers.check();
  t.regex(state.log.join(""), /warning: \/proc\/scsi\/sg\/debug.*command_ms/);
  t.deepEqual(state.calls, []);
});

test("a kernel without the list, after a kill: units are held for as long as the kernel may keep a command, and no longer", async (t) => {
  const { state, inventory, sources } = scene(null);
  const leftovers = new Leftovers({ ...sources, fell: true });
  const [first, second] = inventory.units();
  if (first === undefined || second === undefined) return t.fail();
  leftovers.arrives(first);
  await leftovers.check();
  t.deepEqual(state.calls, [[100, UNIT_SET_LEFTOVERS, 1]], "the other one is in no core yet");
  await until("it goes on", () => state.calls.length >= 2);
  t.deepEqual(state.calls[1], [100, UNIT_SET_LEFTOVERS, 0]);
  leftovers.arrives(second);
  await leftovers.check();
  t.is(state.calls.length, 2, "one that comes when all is over is not held");
  t.deepEqual(state.log, []);
});

test("a kernel without the list, after a kill: where nobody uses the sg driver nothing was left, and nobody waits", async (t) => {
  const { state, inventory, sources } = scene(null);
  const leftovers = new Leftovers({ ...sources, fell: true, isUnused: () => true });
  for (const unit of inventory.units()) leftovers.arrives(unit);
  await leftovers.check();
  t.deepEqual([state.calls, state.log], [[], []]);
});

test("a kernel without the list: a unit that the control before has held is let go in the end", async (t) => {
  const { leftovers, state } = scene(null);
  leftovers.adopt([1]);
  await leftovers.check();
  t.deepEqual(state.calls, []);
  await until("it goes on", () => state.calls.length > 0);
  t.deepEqual(state.calls, [[101, UNIT_SET_LEFTOVERS, 0]]);
});

test("a kernel without the list, after a reactor has ended: its units wait for what it left them, and for nothing else", async (t) => {
  const { state, inventory, sources } = scene(null);
  // The daemon's own file is there while it runs.
  const leftovers = new Leftovers({ ...sources, fell: true });
  leftovers.adopt(null);
  state.left = [{ path: "4:0:0:1", commands: 2 }];
  for (const unit of inventory.units()) leftovers.arrives(unit);
  await leftovers.check();
  t.deepEqual(state.calls, [[101, UNIT_SET_LEFTOVERS, 1]]);
  await leftovers.check();
  t.is(state.calls.length, 1, "still held, held once");
  state.left = [];
  await until("it goes on", () => state.calls.length >= 2);
  t.deepEqual(state.calls[1], [101, UNIT_SET_LEFTOVERS, 0]);
  t.deepEqual(state.log, []);
});

test("a kernel without the list, after a reactor has ended: what a device that is gone still carries out could be any new unit's", async (t) => {
  const { state, inventory, sources } = scene(null);
  const leftovers = new Leftovers({ ...sources, fell: true });
  leftovers.adopt(null);
  state.left = [{ path: "", commands: 1 }];
  const [first] = inventory.units();
  if (first === undefined) throw new Error("there is no unit");
  leftovers.arrives(first);
  await leftovers.check();
  t.deepEqual(state.calls, [[100, UNIT_SET_LEFTOVERS, 1]], "the other one was in its core all the time");
  leftovers.stop();
});

test("a kernel without the list: as long as no reactor says what was left, a unit that comes is held", async (t) => {
  const { state, inventory, sources } = scene(null);
  let isAway = true;
  const left = (): Promise<LeftCommands[]> => (isAway ? Promise.reject(new Error("away")) : Promise.resolve([]));
  const leftovers = new Leftovers({ ...sources, fell: true, left });
  leftovers.adopt(null);
  for (const unit of inventory.units()) leftovers.arrives(unit);
  await leftovers.check();
  t.is(state.calls.length, 2);
  isAway = false;
  await until("they go on", () => state.calls.length >= 4);
  t.deepEqual(
    state.calls.slice(2).map(([, , value]) => value),
    [0, 0],
  );
});

test("what is under way to a unit when it comes into a core is not that core's, even if it is younger than the daemon", async (t) => {
  const { state, inventory, sources } = scene("");
  const leftovers = new Leftovers({ ...sources, kept: { heldUnits: null, runningMs: OLD } });
  state.list = line("4:0:0:0", "8a", 200) + line("4:0:0:1", "8a", 200);
  await leftovers.check();
  t.deepEqual(state.calls, [], "the daemon's own");
  const [first] = inventory.units();
  if (first === undefined) throw new Error("there is no unit");
  leftovers.arrives(first);
  await leftovers.check();
  t.deepEqual(state.calls, [[100, UNIT_SET_LEFTOVERS, 1]]);
  leftovers.stop();
});

test("a unit to which something is under way stays on its reactor: the other would not know of it", async (t) => {
  const { leftovers, inventory, state } = scene(line("4:0:0:0", "8a", 60_000));
  await leftovers.check();
  t.is(state.calls.length, 1);
  const context = {
    inventory,
    leftovers,
    reactor: { reactors: 2, present: [0, 1] },
    attachments: { whyBound: () => null },
    change: (work: () => Promise<unknown>) => work(),
  } as unknown as MoveContext;
  const refused = await t.throwsAsync(moveUnit(context, "0", 1), { instanceOf: ControlError });
  t.is(refused.code, "BUSY");
  t.regex(refused.message, /commands of an earlier daemon or reactor are still under way/);
  leftovers.stop();
});
