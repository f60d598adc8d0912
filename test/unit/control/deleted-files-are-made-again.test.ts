// Somebody cleans up under a running daemon: what it needs is noticed by its inode and made again, and nothing is lost.

import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import { ControlError } from "../../../host/control/ground/control-errors.ts";
import { State } from "../../../host/control/state/state.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";
import { unitRow } from "./fixtures/unit-row.ts";

const ARRAY = "policy = 'static'\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";
const event = { kind: "stall", timeMs: 1, unit: null, path: null, detail: {} } as const;
const never = (problem: unknown): never => {
  throw problem;
};

/** The detail of each 643 so far. */
async function madeAgain(t: ExecutionContext, daemon: TestDaemon): Promise<unknown[]> {
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  return events.filter(({ message }) => message === 643).map(({ detail }) => detail["what"]);
}

test("a state folder that is deleted is made again with all that was set, and a restart finds it", async (t) => {
  const folder = join(mkdtempSync(join(tmpdir(), "pm-deleted-")), "state");
  const state = new State(folder, 100);
  state.saveUnits([unitRow(0, "unit0")]);
  state.appendEvents([event], never);
  rmSync(folder, { recursive: true });
  state.saveSettings({ failback: "standby" });
  t.deepEqual(await state.keep(), { kind: "made again" });
  t.is(await state.keep(), null);
  state.saveUnits([unitRow(1, "unit1")]);
  state.appendEvents([event], never);
  t.throws(() => new State(folder, 100), { message: /is using the state file/ }, "it is locked again");
  state.close();
  const next = new State(folder, 100);
  t.deepEqual(next.units(), [unitRow(0, "unit0"), unitRow(1, "unit1")]);
  t.is(next.settings().failback, "standby");
  t.is(next.eventCount, 2);
  next.close();
});

test("of a file or a journal that is deleted alone, nothing is lost either, not even by kill -9 right after", async (t) => {
  for (const name of ["state.sqlite", "state.sqlite-wal"]) {
    const folder = mkdtempSync(join(tmpdir(), "pm-deleted-"));
    const state = new State(folder, 100);
    state.saveUnits([unitRow(0, "unit0")]);
    rmSync(join(folder, name));
    t.deepEqual(await state.keep(), { kind: "made again" }, name);
    state.saveUnits([unitRow(1, "unit1")]);
    // What lies there now is what a daemon finds that starts after a kill.
    const copy = mkdtempSync(join(tmpdir(), "pm-deleted-"));
    for (const file of ["state.sqlite", "state.sqlite-wal"]) {
      if (existsSync(join(folder, file))) writeFileSync(join(copy, file), readFileSync(join(folder, file)));
    }
    const killed = new State(copy, 100);
    t.is(killed.units().length, 2, name);
    killed.close();
    state.close();
  }
});

test("the copy of the settings that is deleted or replaced is made again; what is set meanwhile is in it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-deleted-"));
  const file = join(folder, "settings.copy");
  const state = new State(folder, 100);
  state.saveUnits([unitRow(0, "unit0")]);
  for (const damage of [() => rmSync(file), () => writeFileSync(file, "somebody's")]) {
    damage();
    t.deepEqual(await state.keep(), { kind: "copy made again", file });
    t.is(await state.keep(), null);
  }
  rmSync(file);
  state.saveUnits([unitRow(1, "unit1")]);
  t.is(await state.keep(), null, "a change has made it again");
  state.close();
  rmSync(join(folder, "state.sqlite"));
  const next = new State(folder, 100);
  t.deepEqual(next.units(), [unitRow(0, "unit0"), unitRow(1, "unit1")]);
  next.close();
});

test("a change during a check is nobody else's", async (t) => {
  const state = new State(mkdtempSync(join(tmpdir(), "pm-deleted-")), 100);
  for (let round = 0; round < 20; round++) {
    const looking = state.keep();
    await new Promise((resolve) => (round % 2 === 0 ? setImmediate(resolve) : resolve(null)));
    state.saveUnits([unitRow(round)]);
    t.is(await looking, null);
  }
  state.close();
});

test("a state file that is cut off under the daemon takes no settings, says what to do, and is whole after a restart", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-deleted-"));
  const state = new State(folder, 100);
  state.saveUnits([unitRow(0, "unit0")]);
  truncateSync(join(folder, "state.sqlite"), 4096);
  const change = await state.keep();
  t.regex(change?.kind === "unwritable" ? change.reason : "", /it was cut off .*restart the daemon/);
  t.is(t.throws(() => state.saveUnits([]), { instanceOf: ControlError })?.code, "STATE_WRITE_FAILED");
  state.close();
  const next = new State(folder, 100);
  t.deepEqual(next.units(), [unitRow(0, "unit0")]);
  next.close();
});

test("another file in the place of the state is nobody's to overwrite: settings are refused until it is moved away", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-deleted-"));
  const file = join(folder, "state.sqlite");
  const state = new State(folder, 100);
  state.saveUnits([unitRow(0, "unit0")]);
  renameSync(file, join(folder, "moved"));
  writeFileSync(file, "somebody's");
  const change = await state.keep();
  t.regex(change?.kind === "unwritable" ? change.reason : "", /another file has taken its place/);
  t.is(t.throws(() => state.saveUnits([]), { instanceOf: ControlError })?.code, "STATE_WRITE_FAILED");
  t.is(readFileSync(file, "utf8"), "somebody's");
  rmSync(file);
  t.deepEqual(await state.keep(), { kind: "made again" });
  state.saveUnits([unitRow(1, "unit1")]);
  state.close();
});

test("sockets that are deleted, with their folder or alone, are made again; who is connected stays", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const nbdSocket = join(daemon.folder, "nbd.sock");
  const client = await NbdClient.connect(nbdSocket, "lu0");
  const following = get({ socketPath: daemon.socket, path: "/v1/events/stream" });
  const [response] = (await once(following, "response")) as [import("node:http").IncomingMessage];
  let streamed = "";
  response.on("data", (chunk: Buffer) => (streamed += chunk.toString()));
  t.teardown(() => following.destroy());
  rmSync(daemon.socket);
  rmSync(nbdSocket);
  await until("both answer again", () => existsSync(daemon.socket) && existsSync(nbdSocket));
  t.is(statSync(daemon.socket).mode & 0o777, 0o660);
  t.is(statSync(nbdSocket).mode & 0o777, 0o660);
  await until("it is told", async () => (await madeAgain(t, daemon)).length === 2);
  t.deepEqual((await madeAgain(t, daemon)).toSorted(), ["API socket", "NBD socket"]);
  const second = await NbdClient.connect(nbdSocket, "lu0");
  for (const one of [client, second]) {
    t.is((await one.read(0, 4096)).length, 4096);
    await one.close();
  }
  await until("who followed events still does", () => streamed.includes('"message":643'));
});

test("what others put in the place of a socket is left alone, and show and status say so", async (t) => {
  const daemon = await TestDaemon.start(t, ARRAY);
  const nbdSocket = join(daemon.folder, "nbd.sock");
  rmSync(nbdSocket);
  const other = createServer().listen(nbdSocket);
  await once(other, "listening");
  const inode = statSync(nbdSocket).ino;
  const attention = async (): Promise<string> =>
    (await daemon.get<"status">(t, "/v1/status")).attention.filter((text) => text.includes("nbd.sock")).join();
  await until("it is said", async () => (await attention()) !== "");
  t.regex(await attention(), /nobody reaches the NBD socket .*another file has taken its place; move it away/);
  t.is(statSync(nbdSocket).ino, inode);
  other.close();
  await once(other, "close");
  await until("it is made again", () => existsSync(nbdSocket));
  await until("nothing is said any more", async () => (await attention()) === "");
});

test("what a daemon that stops takes away is not made again", async (t) => {
  const daemon = await TestDaemon.start(t);
  const { keeping } = daemon.daemon;
  // The check that is under way ends first; none begins behind it.
  const looking = keeping.check();
  await keeping.stop();
  await looking;
  rmSync(daemon.socket);
  await keeping.check();
  t.false(existsSync(daemon.socket));
});

test("the daemon's folder of the log is made again with the next message", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-deleted-"));
  TestDaemon.configure(folder, ARRAY);
  const text = readFileSync(join(folder, "pathmanager.toml"), "utf8");
  writeFileSync(join(folder, "pathmanager.toml"), text.replace(`${folder}/spsevent.log`, `${folder}/log/spsevent.log`));
  const daemon = await TestDaemon.start(t, "", folder);
  await until("the log begins", () => existsSync(join(folder, "log", "spsevent.log")));
  rmSync(join(folder, "log"), { recursive: true });
  await daemon.change(t, "POST", "/v1/paths/5:0:2:0/disable");
  t.regex(readFileSync(join(folder, "log", "spsevent.log"), "utf8"), / 275 /);
});
