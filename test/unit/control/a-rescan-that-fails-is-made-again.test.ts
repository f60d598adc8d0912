// A rescan of the devices that cannot be written down, or that the core refuses in part, leaves nothing half done: what it could
// not do is found again by the next rescan, and everything else is done.

import test, { type ExecutionContext } from "ava";
import { ControlError } from "../../../host/control/ground/control-errors.ts";
import { removeGone } from "../../../host/control/devices/reconcile.ts";
import * as abi from "../../../host/abi.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const ARRAY = "policy = 'static'\n[array]\nunits = 2\npaths = 2\nunit_mib = 1\n";
const SECOND = ["4:0:0:1", "5:0:2:1"];
const WITHOUT_SECOND = `exclude = [{ path = "${SECOND[0]}" }, { path = "${SECOND[1]}" }]\n${ARRAY}`;

/** From now on the state file takes no unit; answers what makes it take them again. */
function fillDisk({ daemon }: TestDaemon): () => void {
  const { state } = daemon;
  const saveUnits = state.saveUnits.bind(state);
  state.saveUnits = (units) => {
    if (units.length > 0) throw new ControlError("STATE_WRITE_FAILED", "cannot write the state: disk is full");
  };
  return () => (state.saveUnits = saveUnits);
}

const blocksInCore = async ({ daemon }: TestDaemon): Promise<number | undefined> => {
  const handle = daemon.inventory.unit("0").handle;
  return handle === null ? undefined : (await daemon.snapshots.current()).unit(handle)?.blocks;
};

const capacityMessages = async (t: ExecutionContext, daemon: TestDaemon): Promise<number> =>
  (await daemon.get<"events">(t, "/v1/events")).events.filter(({ kind }) => kind === "capacity-changed").length;

test("a new unit that cannot be written is refused with the reason, known paths come back meanwhile, and it is taken later", async (t) => {
  const daemon = await TestDaemon.start(t, WITHOUT_SECOND);
  const makeRoom = fillDisk(daemon);
  TestDaemon.configure(daemon.folder, ARRAY);
  await daemon.daemon.change(() => removeGone(daemon.daemon, new Set(["4:0:0:0"])));
  await daemon.change(t, "POST", "/v1/config/reload");
  await daemon.daemon.rescan();
  t.deepEqual(await daemon.shown(t, 0), [">2 5:0:2:0", " 1 4:0:0:0"]);
  t.deepEqual(
    daemon.daemon.rescans.refused.map(({ number, reason }) => `${number} ${reason}`),
    SECOND.map((number) => `${number} cannot write the state: disk is full`),
  );
  t.is(daemon.daemon.inventory.unitCount, 1);
  t.is((await daemon.refused(t, "POST", `/v1/paths/${SECOND[0]}/priority`, { priority: 9 })).code, "UNKNOWN_PATH");
  makeRoom();
  await daemon.daemon.rescan();
  t.deepEqual(daemon.daemon.rescans.refused, []);
  await daemon.change(t, "POST", `/v1/paths/${SECOND[0]}/priority`, { priority: 9 });
  t.deepEqual(await daemon.shown(t, 1), [`>9 ${SECOND[0]}`, ` 2 ${SECOND[1]}`]);
});

test("a unit that grew while nothing could be written has its new size everywhere once something can", async (t) => {
  const daemon = await TestDaemon.start(t, `patrol.mode = "none"\n${ARRAY}`);
  const makeRoom = fillDisk(daemon);
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "capacity", blocks: 4096 } });
  await daemon.daemon.rescan();
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).bytes, 1 << 20);
  t.is(await blocksInCore(daemon), 2048);
  makeRoom();
  await daemon.daemon.rescan();
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).bytes, 4096 * 512);
  t.is(await blocksInCore(daemon), 4096);
  t.is(await capacityMessages(t, daemon), 2, "one of each unit");
});

test("what the core refuses is tried again, and the paths that the same rescan found come nevertheless", async (t) => {
  const daemon = await TestDaemon.start(t, `patrol.mode = "none"\n${ARRAY}`);
  const { reactor } = daemon.daemon;
  const settings = reactor.settings.bind(reactor);
  reactor.settings = async (calls) => {
    if (calls.some((call) => call.name === "unitSet" && call.property === abi.UNIT_SET_BLOCKS)) {
      return calls.map(() => ({ code: "CORE_BUSY", message: "not now" }));
    }
    return settings(calls);
  };
  await daemon.daemon.change(() => removeGone(daemon.daemon, new Set(["4:0:0:0", ...SECOND])));
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "capacity", blocks: 4096 } });
  await daemon.daemon.rescan();
  t.is((await daemon.shown(t, 0)).length, 2);
  t.true(daemon.problems.some((problem) => problem.includes("LogicalUnit #0: not now")));
  reactor.settings = settings;
  await daemon.daemon.rescan();
  t.is(await blocksInCore(daemon), 4096);
  t.is((await daemon.get<"unit">(t, "/v1/units/0")).bytes, 4096 * 512);
});

test("a rescan that breaks off is made again, without a uevent", async (t) => {
  const { daemon } = await TestDaemon.start(t, ARRAY);
  const delays: number[] = [];
  daemon.rescans.soon = (delayMs = 0) => void delays.push(delayMs);
  await daemon.rescan();
  t.deepEqual(delays, []);
  const current = daemon.snapshots.current.bind(daemon.snapshots);
  daemon.snapshots.current = () => Promise.reject(new Error("the reactor does not answer"));
  await t.throwsAsync(daemon.rescan(), { message: /does not answer/ });
  t.deepEqual(delays, [30_000]);
  daemon.snapshots.current = current;
});
