import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import test from "ava";
import { ControlError } from "../../../host/control/ground/control-errors.ts";
import { afterPredecessor, locked } from "../../../host/control/state/state-lock.ts";
import { COPY_FILE } from "../../../host/control/state/settings-copy.ts";
import { STATE_FILE } from "../../../host/control/state/state-file.ts";
import { State, type UnitRow } from "../../../host/control/state/state.ts";
import { pathRow, unitRow } from "./fixtures/unit-row.ts";

const directory = (): string => mkdtempSync(join(tmpdir(), "pm-state-"));
const complain = (problem: unknown): never => {
  throw problem;
};

const unit = (number: number): UnitRow => unitRow(number, `unit${number}`);

test("what was saved is there after closing and opening", (t) => {
  const where = directory();
  const first = new State(where, 100);
  first.saveUnits([unit(0), { ...unit(1), policy: { name: "round-robin", parameters: { ios: 4 } } }]);
  const path = { priority: 7, enabled: false, priorityLost: true, isMarginal: true, nexus: "a -> b", goneSinceMs: 12 };
  first.savePaths([{ ...pathRow(1, "4:0:0:1"), ...path }]);
  first.saveSettings({ failback: "standby", patrol: { mode: 3, intervalS: 1, thresholdS: 2, timeoutS: 3 } });
  first.saveAttachment({ index: 3, unit: 0, options: { readOnly: true }, sinceMs: 5 });
  first.appendEvents(
    [{ kind: "failover-done", timeMs: 9, unit: 1, path: "4:0:0:1", detail: { from: "5:0:0:1" } }],
    complain,
  );
  first.close();
  const second = new State(where, 100);
  t.deepEqual(second.units()[0], unit(0));
  t.deepEqual(second.units()[1]?.policy, { name: "round-robin", parameters: { ios: 4 } });
  t.deepEqual(second.paths(), [{ ...pathRow(1, "4:0:0:1"), ...path }]);
  t.is(second.settings().failback, "standby");
  t.is(second.settings().cluster, undefined);
  t.is(second.attachments()[0]?.index, 3);
  t.is(second.events(0, 10)[0]?.detail["from"], "5:0:0:1");
  t.is(second.rebuilt, null);
  second.close();
});

test("a transaction that throws changes nothing", (t) => {
  const state = new State(directory(), 100);
  t.throws(() =>
    state.transaction(() => {
      state.saveUnits([unit(0)]);
      throw new Error("no");
    }),
  );
  t.deepEqual(state.units(), []);
  state.close();
});

test("the history has a bound and its numbers go on growing over restarts", (t) => {
  const where = directory();
  let state = new State(where, 100);
  for (let i = 0; i < 300; i++)
    state.appendEvents([{ kind: "stall", timeMs: i, unit: null, path: null, detail: {} }], complain);
  t.true(state.eventCount <= 110);
  state.close();
  state = new State(where, 100);
  const [row] = state.appendEvents([{ kind: "stall", timeMs: 0, unit: null, path: null, detail: {} }], complain);
  t.is(row?.id, 301);
  t.deepEqual(
    state.events(299, 10).map(({ id }) => id),
    [300, 301],
  );
  t.deepEqual(
    state.events(0, 2).map(({ id }) => id),
    [300, 301],
  );
  state.close();
});

test("two daemons on one state file: the second is refused in one line that names the first", (t) => {
  const where = directory();
  const first = new State(where, 100);
  const error = t.throws(() => new State(where, 100), { instanceOf: ControlError });
  t.is(error?.code, "STATE_LOCKED");
  t.true(error?.message.includes(`process ${process.pid}`));
  t.false(error?.message.includes("\n"));
  first.saveUnits([unit(0)]);
  first.close();
});

/** A process that holds the state file's lock until it is killed. */
async function lockHolder(file: string): Promise<ChildProcess> {
  const script = `const { DatabaseSync } = require("node:sqlite");
    const held = new DatabaseSync(process.argv[1]);
    held.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; COMMIT;");
    console.log("held"); setInterval(() => held.isOpen, 1000);`;
  const child = spawn(process.execPath, ["-e", script, file], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

test("what is left of a killed daemon holds the lock for a moment: the next one waits for it", async (t) => {
  const where = directory();
  new State(where, 100).close();
  const holder = await lockHolder(join(where, "state.sqlite"));
  t.teardown(() => holder.kill("SIGKILL"));
  const gone = spawn("true");
  await once(gone, "exit");
  writeFileSync(join(where, "pathmanager.pid"), `${gone.pid}\n`);
  // The start blocks this process, so another one has to end the holder.
  spawn("sh", ["-c", `sleep 0.3; kill -9 ${holder.pid}`], { stdio: "ignore" });
  const state = new State(where, 100);
  state.saveUnits([unit(0)]);
  state.close();
  t.is(readFileSync(join(where, "pathmanager.pid"), "utf8"), `${process.pid}\n`);
});

test("a lock that nobody gives back is refused after the wait", (t) => {
  const where = directory();
  // Beyond the largest number that Linux gives (PID_MAX_LIMIT).
  writeFileSync(join(where, "pathmanager.pid"), "4194304\n");
  let tries = 0;
  const open = (): never => {
    tries++;
    throw locked(join(where, "state.sqlite"), where);
  };
  t.throws(() => afterPredecessor(where, open, 50), { code: "STATE_LOCKED" });
  t.true(tries >= 2);
});

for (const [what, damage] of Object.entries({
  "is not a database": (file: string) => writeFileSync(file, "no database at all ".repeat(500)),
  "was cut off": (file: string) => truncateSync(file, 4096 + 100),
  "has nonsense in the middle": (file: string) => {
    const descriptor = openSync(file, "r+");
    const bytes = statSync(file).size;
    writeSync(descriptor, Buffer.alloc(bytes - 4096, 0xa5), 0, bytes - 4096, 4096);
    closeSync(descriptor);
  },
})) {
  test(`a file that ${what} is set aside whole, and a new one has what was set`, (t) => {
    const where = directory();
    const first = new State(where, 100);
    first.saveUnits([unit(0), unit(1)]);
    first.close();
    damage(join(where, STATE_FILE));
    const damaged = readFileSync(join(where, STATE_FILE));
    const second = new State(where, 100, Date.UTC(2026, 0, 2, 3, 4, 5));
    t.deepEqual(second.units(), [unit(0), unit(1)]);
    t.true(second.rebuilt?.aside?.endsWith(".damaged-2026-01-02T03-04-05-000Z"));
    t.deepEqual(readFileSync(second.rebuilt?.aside ?? ""), damaged);
    t.is(second.incomplete, null);
    second.saveUnits([unit(0)]);
    second.close();
  });
}

/** What version 0.1.0 wrote at first: nobody had lost a number. */
const LAYOUT_1 = `
  CREATE TABLE units (
    number INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, facts TEXT NOT NULL, policy TEXT,
    hedge_budget_percent REAL
  ) STRICT;
  CREATE TABLE paths (
    number TEXT PRIMARY KEY, unit INTEGER NOT NULL REFERENCES units (number),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 254), enabled INTEGER NOT NULL CHECK (enabled IN (0, 1))
  ) STRICT;
  CREATE INDEX paths_by_unit ON paths (unit);
  CREATE TABLE attachments (
    nbd_index INTEGER PRIMARY KEY, unit INTEGER NOT NULL REFERENCES units (number), options TEXT NOT NULL,
    since_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE events (
    id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, unit INTEGER, path TEXT, detail TEXT NOT NULL
  ) STRICT;
  INSERT INTO paths VALUES ('4:0:0:1', 1, 7, 0), ('5:0:0:1', 1, 7, 1);
  INSERT INTO settings VALUES ('failback', '"standby"');
  PRAGMA user_version = 1;
`;

test("a file of the first layout is brought up with all that is in it", (t) => {
  const where = directory();
  const database = new DatabaseSync(join(where, STATE_FILE), { enableForeignKeyConstraints: false });
  database.exec(LAYOUT_1);
  const { number, identity, name, facts } = unit(1);
  database
    .prepare("INSERT INTO units VALUES (?, ?, ?, ?, NULL, 2.5)")
    .run(number, identity, name, JSON.stringify(facts));
  database.close();
  for (let round = 0; round < 2; round++) {
    const state = new State(where, 100);
    t.is(state.rebuilt, null);
    t.deepEqual(state.units(), [{ ...unit(1), hedgeBudgetPercent: 2.5 }]);
    t.deepEqual(state.paths(), [
      { ...pathRow(1, "4:0:0:1", 1), priority: 7, enabled: false },
      { ...pathRow(1, "5:0:0:1", 2), priority: 7, priorityLost: round === 1, isMarginal: round === 1 },
    ]);
    t.is(state.settings().failback, "standby");
    state.savePaths([{ ...pathRow(1, "5:0:0:1", 2), priority: 7, priorityLost: true, isMarginal: true }]);
    state.close();
  }
});

test("a file of the second layout keeps what belongs to its paths, which are more than their numbers from now on", (t) => {
  const where = directory();
  const database = new DatabaseSync(join(where, STATE_FILE), { enableForeignKeyConstraints: false });
  database.exec(`${LAYOUT_1}
    ALTER TABLE paths ADD COLUMN priority_lost INTEGER NOT NULL DEFAULT 0 CHECK (priority_lost IN (0, 1));
    ALTER TABLE paths ADD COLUMN shaky INTEGER NOT NULL DEFAULT 0 CHECK (shaky IN (0, 1));
    UPDATE paths SET shaky = 1, priority_lost = 1 WHERE number = '5:0:0:1';
    PRAGMA user_version = 2;`);
  const { number, identity, name, facts } = unit(1);
  database
    .prepare("INSERT INTO units VALUES (?, ?, ?, ?, NULL, 2.5)")
    .run(number, identity, name, JSON.stringify(facts));
  database.close();
  let state = new State(where, 100);
  state.savePaths([{ ...pathRow(1, "5:0:0:1", 3), nexus: "a -> b" }]);
  state.close();
  state = new State(where, 100);
  t.deepEqual(state.paths(), [
    { ...pathRow(1, "4:0:0:1", 1), priority: 7, enabled: false },
    { ...pathRow(1, "5:0:0:1", 2), priority: 7, priorityLost: true, isMarginal: true },
    { ...pathRow(1, "5:0:0:1", 3), nexus: "a -> b" },
  ]);
  state.close();
});

test("a file that says it has the first layout and lacks its tables is set aside", (t) => {
  const where = directory();
  const database = new DatabaseSync(join(where, STATE_FILE));
  database.exec("CREATE TABLE units (number INTEGER PRIMARY KEY) STRICT; PRAGMA user_version = 1");
  database.close();
  const state = new State(where, 100);
  t.regex(state.rebuilt?.reason ?? "", /no such table/);
  t.deepEqual(state.paths(), []);
  state.close();
});

test("a file of a later version is refused and left alone", (t) => {
  const where = directory();
  new State(where, 100).close();
  const database = new DatabaseSync(join(where, STATE_FILE));
  database.exec("PRAGMA user_version = 99");
  database.close();
  writeFileSync(join(where, COPY_FILE), "as a later version writes it");
  const error = t.throws(() => new State(where, 100), { instanceOf: ControlError });
  t.is(error?.code, "STATE_DAMAGED");
  t.deepEqual(
    readdirSync(where).filter((name) => name.includes("damaged")),
    [],
  );
});

test("a directory that cannot be made or written is one clear line", (t) => {
  const file = join(directory(), "plain");
  writeFileSync(file, "");
  const error = t.throws(() => new State(join(file, "below"), 100), { instanceOf: ControlError });
  t.is(error?.code, "STATE_WRITE_FAILED");
  t.true(error?.message.includes(join(file, "below")));
});

test("a disk that is full: the change is refused, what was there stays, and it works again with room", async (t) => {
  const where = directory();
  const state = new State(where, 100);
  state.saveUnits([unit(0)]);
  state.limitPages(1);
  const error = t.throws(() => state.saveUnits(Array.from({ length: 2000 }, (_, i) => unit(i + 1))), {
    instanceOf: ControlError,
  });
  t.is(error?.code, "STATE_WRITE_FAILED");
  t.true(error?.message.includes("full"));
  t.deepEqual(state.units(), [unit(0)]);
  const problems: unknown[] = [];
  const many = Array.from(
    { length: 3000 },
    () => ({ kind: "stall", timeMs: 0, unit: null, path: null, detail: {} }) as const,
  );
  t.is(state.appendEvents(many, (problem) => problems.push(problem)).length, 3000);
  t.is(problems.length, 1);
  state.limitPages(1_000_000);
  state.saveUnits([unit(1)]);
  t.is(state.units().length, 2);
  state.close();
});

test("kill -9 at any moment loses nothing that was answered", async (t) => {
  const where = directory();
  const writer = fileURLToPath(new URL("fixtures/state-writer.ts", import.meta.url));
  let answered = 0;
  for (let round = 0; round < 12; round++) {
    const child = spawn(process.execPath, [writer, where], { stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout });
    let left = 1 + round * 7;
    lines.on("line", (line) => {
      answered = Math.max(answered, Number(line));
      if (--left === 0) child.kill("SIGKILL");
    });
    await once(child, "close");
    const state = new State(where, 100_000);
    t.is(state.rebuilt, null);
    const last = state.events(0, 1)[0]?.id ?? 0;
    t.true(last >= answered, `answered ${answered}, found ${last}`);
    t.is(state.paths()[0]?.priority, ((last - 1) % 254) + 1, "settings and events are of one transaction");
    state.close();
  }
  t.true(answered > 100);
});
