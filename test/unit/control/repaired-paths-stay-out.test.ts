// The daemon itself, killed and started again over a damaged state: a path under repair carries no I/O, it is told and shown, and
// the operator has the last word.

import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { callSocket, TestDaemon } from "./fixtures/daemon.ts";
import { spawnDaemon } from "./fixtures/process.ts";

const ARRAY = "policy = 'static'\n[array]\nunits = 1\npaths = 4\nunit_mib = 1\n";
const SHOWN = [" 4 5:0:3:0", "@3 5:0:2:0", ">200 4:0:1:0", " 1 4:0:0:0"];

/** The folder of a daemon that was killed after an operator had disabled a path, set a priority, and a name. */
async function killedDaemon(t: ExecutionContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "pm-repair-"));
  TestDaemon.configure(folder, ARRAY);
  const child = await spawnDaemon(folder);
  t.teardown(() => child.kill("SIGKILL"));
  const set = async (method: string, path: string, body?: unknown): Promise<void> => {
    t.is((await callSocket(join(folder, "api.sock"), method, path, body)).status, 200);
  };
  await set("PATCH", "/v1/units/0", { name: "database" });
  await set("POST", "/v1/paths/4:0:1:0/priority", { priority: 200 });
  await set("POST", "/v1/paths/5:0:2:0/disable");
  child.kill("SIGKILL");
  await once(child, "exit");
  return join(folder, "state");
}

interface Seen {
  readonly shown: string[];
  readonly name: string;
  readonly told: readonly number[];
  readonly attention: string;
}

async function seen(t: ExecutionContext, daemon: TestDaemon): Promise<Seen> {
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  const { attention } = await daemon.get<"status">(t, "/v1/status");
  return {
    shown: (await daemon.shown(t)).toSorted(),
    name: (await daemon.get<"unit">(t, "/v1/units/0")).name,
    told: events.map(({ message }) => message).filter((number) => number === 627 || number === 643 || number >= 675),
    attention: attention.filter((text) => /lost/.test(text)).join("\n"),
  };
}

function flipped(file: string): void {
  const bytes = readFileSync(file);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  writeFileSync(file, bytes);
}

for (const [what, damage, told] of [
  ["nothing", () => undefined, []],
  ["the journal is gone", (state: string) => rmSync(join(state, "state.sqlite-wal")), [627]],
  ["the file is cut off", (state: string) => truncateSync(join(state, "state.sqlite"), 8192), [627]],
  ["the file is another one", (state: string) => writeFileSync(join(state, "state.sqlite"), "x".repeat(9000)), [627]],
  ["the file is gone", (state: string) => rmSync(join(state, "state.sqlite")), [627]],
  ["the copy is gone", (state: string) => rmSync(join(state, "settings.copy")), [643]],
  ["the copy has another bit", (state: string) => flipped(join(state, "settings.copy")), [643]],
] as const) {
  test(`kill -9, then: ${what}; all settings are in force after the start`, async (t) => {
    const state = await killedDaemon(t);
    damage(state);
    const daemon = await TestDaemon.start(t, "", join(state, ".."));
    const found = await seen(t, daemon);
    t.deepEqual(found.shown, SHOWN.toSorted());
    t.is(found.name, "database");
    t.deepEqual(found.told, told);
    t.is(found.attention, "");
  });
}

test("all is lost: one path serves the unit, the others wait for the operator, also those that come later", async (t) => {
  const state = await killedDaemon(t);
  for (const name of ["state.sqlite", "state.sqlite-wal", "settings.copy"]) rmSync(join(state, name));
  let daemon = await TestDaemon.start(t, "", join(state, ".."));
  const first = await seen(t, daemon);
  t.is(first.shown.filter((path) => path.startsWith("@")).length, 3);
  t.deepEqual(first.told, [627, 675, 676, 676, 676, 676]);
  t.regex(first.attention, /^settings were lost .*config accept/);
  t.regex(first.attention, /path 5:0:2:0 of LogicalUnit #0 was disabled, as it was lost what it was/);
  await daemon.change(t, "POST", "/v1/paths/4:0:0:0/enable");
  await daemon.stop();
  t.true(existsSync(join(state, "settings.copy")));
  daemon = await TestDaemon.start(t, "", join(state, ".."));
  const second = await seen(t, daemon);
  t.is(second.shown.filter((path) => path.startsWith("@")).length, 2, "what was decided stays");
  t.notRegex(second.attention, /4:0:0:0/, "of which the operator has said it, nothing is in doubt");
  t.regex(second.attention, /^settings were lost/);
  await daemon.change(t, "POST", "/v1/paths/5:0:3:0/enable");
  const { accepted } = await daemon.change<{ accepted: string[] }>(t, "POST", "/v1/config/accept");
  t.true(accepted.length > 0);
  t.is((await seen(t, daemon)).attention, "");
});
