// The number of a path whose device is gone: an operator may give it to another path, which keeps it whatever returns in which
// order; nobody else may. The path that lost it is numbered like a new one (reference section 2).

import test, { type ExecutionContext } from "ava";
import { removeGone } from "../../../host/control/devices/reconcile.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const A = "4:0:0:0";
const B = "4:0:1:0";
const C = "5:0:2:0";
const ARRAY = "policy = 'static'\n[array]\nunits = 1\npaths = 3\nunit_mib = 1\n";
const without = (...paths: string[]): string =>
  `exclude = [${paths.map((path) => `{ path = "${path}" }`).join(", ")}]\n${ARRAY}`;

const lose = ({ daemon }: TestDaemon, number: string): Promise<void> =>
  daemon.change(() => removeGone(daemon, new Set([A, B, C].filter((other) => other !== number))));

const setPriority = (t: ExecutionContext, daemon: TestDaemon, number: string, priority: number) =>
  daemon.change(t, "POST", `/v1/paths/${number}/priority`, { priority });

async function restarted(t: ExecutionContext, daemon: TestDaemon, configuration = ARRAY): Promise<TestDaemon> {
  await daemon.stop();
  return TestDaemon.start(t, configuration, daemon.folder);
}

async function reloaded(t: ExecutionContext, daemon: TestDaemon, configuration: string): Promise<void> {
  TestDaemon.configure(daemon.folder, configuration);
  await daemon.change(t, "POST", "/v1/config/reload");
  await daemon.daemon.rescan();
}

test("a number that an operator gave away stays where it is after a restart; who lost it is numbered anew", async (t) => {
  let daemon = await TestDaemon.start(t, ARRAY);
  await lose(daemon, A);
  await setPriority(t, daemon, C, 1);
  daemon = await restarted(t, daemon);
  t.deepEqual(await daemon.shown(t), [`>3 ${A}`, ` 2 ${B}`, ` 1 ${C}`]);
  daemon = await restarted(t, daemon);
  t.deepEqual(await daemon.shown(t), [`>3 ${A}`, ` 2 ${B}`, ` 1 ${C}`]);
});

test("who lost its number does not take it while the one that has it is gone for a restart", async (t) => {
  let daemon = await TestDaemon.start(t, ARRAY);
  await lose(daemon, A);
  await setPriority(t, daemon, C, 1);
  daemon = await restarted(t, daemon, without(C));
  t.deepEqual(await daemon.shown(t), [`>3 ${A}`, ` 2 ${B}`]);
  daemon = await restarted(t, daemon);
  t.deepEqual(await daemon.shown(t), [`>3 ${A}`, ` 2 ${B}`, ` 1 ${C}`]);
});

test("a number that was given away and is free again is there for the one that lost it", async (t) => {
  let daemon = await TestDaemon.start(t, ARRAY);
  await lose(daemon, A);
  await setPriority(t, daemon, C, 1);
  await setPriority(t, daemon, C, 9);
  daemon = await restarted(t, daemon);
  t.deepEqual(await daemon.shown(t), [`>9 ${C}`, ` 2 ${B}`, ` 1 ${A}`]);
});

test("a number that is set for a path that is gone is its own again, and the other one that is gone has lost it", async (t) => {
  let daemon = await TestDaemon.start(t, ARRAY);
  await lose(daemon, A);
  await setPriority(t, daemon, C, 1);
  await daemon.daemon.change(() => removeGone(daemon.daemon, new Set([B])));
  await daemon.change(t, "POST", `/v1/paths/${A}/disable`);
  t.deepEqual(
    daemon.daemon.state.paths().map(({ number, priorityLost }) => [number, priorityLost]),
    [
      [A, true],
      [B, false],
      [C, false],
    ],
  );
  await setPriority(t, daemon, A, 1);
  await daemon.change(t, "POST", `/v1/paths/${A}/enable`);
  daemon = await restarted(t, daemon);
  t.deepEqual(await daemon.shown(t), [`>3 ${C}`, ` 2 ${B}`, ` 1 ${A}`]);
});

test("a new path takes the next number after all that are known, so one that is gone comes back with its own", async (t) => {
  let daemon = await TestDaemon.start(t, without(A, C));
  t.deepEqual(await daemon.shown(t), [`>1 ${B}`]);
  await reloaded(t, daemon, without(A, B));
  t.deepEqual(await daemon.shown(t), [`>2 ${C}`]);
  daemon = await restarted(t, daemon);
  t.deepEqual(await daemon.shown(t), [`>3 ${A}`, ` 2 ${C}`, ` 1 ${B}`]);
});

test("what could not be written was not given away", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  await lose(daemon, A);
  const { state } = daemon.daemon;
  const savePaths = state.savePaths.bind(state);
  state.savePaths = () => {
    throw new Error("disk is full");
  };
  t.is((await daemon.call("POST", `/v1/paths/${C}/priority`, { priority: 1 })).status, 500);
  state.savePaths = savePaths;
  await daemon.daemon.rescan();
  t.deepEqual(await daemon.shown(t), [`>3 ${C}`, ` 2 ${B}`, ` 1 ${A}`]);
});
