// The state file can be read and not written: what was set is in force, nothing is set, and no restart is needed to go back.
// A folder in the place of the journal keeps SQLite from writing, whoever runs the test; the rig tries a read-only file system.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { ControlError } from "../../../host/control/ground/control-errors.ts";
import { State } from "../../../host/control/state/state.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";
import { unitRow } from "./fixtures/unit-row.ts";

const ARRAY = "policy = 'static'\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";
const never = (problem: unknown): never => {
  throw problem;
};
const event = { kind: "stall", timeMs: 1, unit: null, path: null, detail: {} } as const;
const journalOf = (folder: string): string => join(folder, "state.sqlite-wal");

test("what was set is read, nothing can be set, events are kept, and all goes on with the file when it can be written", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-unwritable-"));
  const first = new State(folder, 100);
  first.saveUnits([unitRow(0, "unit0")]);
  first.saveSettings({ failback: "standby" });
  first.appendEvents([event], never);
  first.close();
  mkdirSync(journalOf(folder));
  const state = new State(folder, 100);
  t.regex(state.problem ?? "", /unable to open database file/);
  t.deepEqual(state.units(), [unitRow(0, "unit0")]);
  t.is(state.settings().failback, "standby");
  const refused = t.throws(() => state.saveSettings({ failback: "active" }), { instanceOf: ControlError });
  t.is(refused?.code, "STATE_WRITE_FAILED");
  t.true(refused?.message.includes(join(folder, "state.sqlite")));
  t.is(state.settings().failback, "standby");
  t.is(state.appendEvents([event], never)[0]?.id, 2);
  t.is(await state.keep(), null, "nothing has changed");
  t.deepEqual(
    readdirSync(folder).filter((name) => name.includes("damaged")),
    [],
  );
  rmSync(journalOf(folder), { recursive: true });
  t.deepEqual(await state.keep(), { kind: "writable" });
  t.is(state.problem, null);
  state.saveSettings({ failback: "active" });
  state.close();
  const last = new State(folder, 100);
  t.is(last.settings().failback, "active");
  t.deepEqual(
    last.events(0, 10).map(({ id }) => id),
    [1, 2],
    "what happened meanwhile is in the file",
  );
  last.close();
});

test("a file that somebody changes while it cannot be written is not overwritten, and the operator is told", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-unwritable-"));
  new State(folder, 100).close();
  mkdirSync(journalOf(folder));
  const state = new State(folder, 100);
  rmSync(journalOf(folder), { recursive: true });
  const other = new State(folder, 100);
  other.saveUnits([unitRow(7, "other")]);
  const locked = await state.keep();
  t.like(locked, { kind: "unwritable" });
  other.close();
  const change = await state.keep();
  t.like(change, { kind: "unwritable" });
  t.regex(change?.kind === "unwritable" ? change.reason : "", /has changed since.*restart the daemon/);
  t.throws(() => state.saveUnits([]), { instanceOf: ControlError });
  state.close();
  const after = new State(folder, 100);
  t.is(after.units()[0]?.name, "other");
  after.close();
});

test("the daemon starts, serves with what was set, says 642 and what to do, refuses settings, and says 644 afterwards", async (t) => {
  const before = await TestDaemon.start(t, ARRAY);
  await before.change(t, "POST", "/v1/paths/4:0:0:0/priority", { priority: 200 });
  await before.stop();
  const journal = journalOf(join(before.folder, "state"));
  mkdirSync(journal);
  const daemon = await TestDaemon.start(t, "", before.folder);
  t.deepEqual(await daemon.shown(t), [">200 4:0:0:0", " 2 5:0:2:0"]);
  t.true(daemon.problems.some((text) => /state\.sqlite cannot be written \(.*\); what was set is in force/.test(text)));
  const numbers = async (): Promise<number[]> =>
    (await daemon.get<"events">(t, "/v1/events?limit=1000")).events.map(({ message }) => message);
  t.true((await numbers()).includes(642));
  const { attention } = await daemon.get<"status">(t, "/v1/status");
  t.true(attention.some((text) => /state\.sqlite cannot be written, nothing can be set/.test(text)));
  const answer = await daemon.call<{ error: { code: string } }>("POST", "/v1/paths/4:0:0:0/priority", { priority: 3 });
  t.is(answer.body.error.code, "STATE_WRITE_FAILED");
  t.deepEqual(await daemon.shown(t), [">200 4:0:0:0", " 2 5:0:2:0"]);
  rmSync(journal, { recursive: true });
  await until("it can be written again", async () => (await numbers()).includes(644));
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/priority", { priority: 3 });
  t.deepEqual((await daemon.get<"status">(t, "/v1/status")).attention, []);
  t.true(existsSync(join(daemon.folder, "state", "running.json")));
});
