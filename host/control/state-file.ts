// Opens the one file in which settings and events survive.
//
// SQLite in WAL mode with synchronous=FULL: what was committed is on the disk. The file is locked for as long as the
// daemon runs, so a second daemon cannot open it. A damaged file is set aside, never deleted and never mended silently.

import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ControlError, reasonOf } from "./errors.ts";
import { copyToMemory } from "./state-copy.ts";

/** Name of the file in the state directory. */
export const STATE_FILE = "state.sqlite";
const PID_FILE = "pathmanager.pid";

/** Of the layout below. A file of a later version is refused, one of an earlier version is brought up. */
const LAYOUT = 3;

const PATHS = `
  CREATE TABLE paths (
    id INTEGER PRIMARY KEY,
    number TEXT NOT NULL,
    unit INTEGER NOT NULL REFERENCES units (number),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 254),
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    priority_lost INTEGER NOT NULL DEFAULT 0 CHECK (priority_lost IN (0, 1)),
    shaky INTEGER NOT NULL DEFAULT 0 CHECK (shaky IN (0, 1)),
    nexus TEXT,
    gone_since_ms INTEGER
  ) STRICT;
  CREATE INDEX paths_by_unit ON paths (unit);
`;

const TABLES = `
  CREATE TABLE units (
    number INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    facts TEXT NOT NULL,
    policy TEXT,
    hedge_budget_percent REAL
  ) STRICT;
  ${PATHS}
  CREATE TABLE attachments (
    nbd_index INTEGER PRIMARY KEY,
    unit INTEGER NOT NULL REFERENCES units (number),
    options TEXT NOT NULL,
    since_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    unit INTEGER,
    path TEXT,
    detail TEXT NOT NULL
  ) STRICT;
`;

/** What makes a file of each earlier layout one of the next. New columns come last, as in the tables above. */
const STEPS: Readonly<Record<number, string>> = {
  1: `ALTER TABLE paths ADD COLUMN priority_lost INTEGER NOT NULL DEFAULT 0 CHECK (priority_lost IN (0, 1));
      ALTER TABLE paths ADD COLUMN shaky INTEGER NOT NULL DEFAULT 0 CHECK (shaky IN (0, 1));`,
  // A path was its number until now.
  2: `ALTER TABLE paths RENAME TO paths_2;
      DROP INDEX paths_by_unit;
      ${PATHS}
      INSERT INTO paths (number, unit, priority, enabled, priority_lost, shaky)
        SELECT number, unit, priority, enabled, priority_lost, shaky FROM paths_2 ORDER BY rowid;
      DROP TABLE paths_2;`,
};

/** Why a file was set aside, and where it is now. */
export interface SetAside {
  readonly file: string;
  readonly reason: string;
}

export interface OpenedState {
  readonly database: DatabaseSync;
  readonly setAside: SetAside | null;
  /** Why the database is a copy in memory; null: it is the file. */
  readonly copied: string | null;
}

/**
 * Opens the state file in a directory, making both when they are not there. Of a file that can be read but not written, a
 * copy in memory.
 * @throws ControlError STATE_LOCKED when another daemon has it, STATE_WRITE_FAILED when there is none and none can be made,
 *   STATE_DAMAGED when it is of a later version or cannot be set aside
 */
export function openStateFile(directory: string, nowMs: number): OpenedState {
  const file = join(directory, STATE_FILE);
  try {
    return { ...openFile(directory, file, nowMs), copied: null };
  } catch (thrown) {
    if (!(thrown instanceof ControlError) || thrown.code !== "STATE_WRITE_FAILED" || !existsSync(file)) throw thrown;
    refuseLocked(file, directory);
    const copy = readCopy(file, thrown);
    return { database: copy, setAside: null, copied: reasonOf(thrown.cause ?? thrown) };
  }
}

const layOut = (database: DatabaseSync): void => database.exec(`${TABLES} PRAGMA user_version = ${LAYOUT};`);

/** The copy of a file that `problem` keeps from being written; throws `problem` where it cannot be read either. */
function readCopy(file: string, problem: ControlError): DatabaseSync {
  try {
    return copyToMemory(file, layOut, (copy) => {
      const opened = tryOpen(copy);
      if (opened.kind === "damaged") throw problem;
      return opened.database;
    });
  } catch (thrown) {
    throw thrown instanceof ControlError && thrown.code === "STATE_DAMAGED" ? thrown : problem;
  }
}

/** Another daemon may hold a file that this one may only read. */
function refuseLocked(file: string, directory: string): void {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    database.prepare("SELECT count(*) FROM sqlite_master").get();
  } catch (thrown) {
    if (problemOf(thrown) === "locked") throw locked(file, directory);
  } finally {
    database?.close();
  }
}

function openFile(directory: string, file: string, nowMs: number): Omit<OpenedState, "copied"> {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    accessSync(directory, constants.W_OK);
  } catch (thrown) {
    throw cannotWrite(directory, thrown);
  }
  const opened = tryOpen(file);
  if (opened.kind === "open") return { database: opened.database, setAside: null };
  const aside = moveAside(file, nowMs);
  const again = tryOpen(file);
  if (again.kind === "open") return { database: again.database, setAside: { file: aside, reason: opened.reason } };
  throw new ControlError("STATE_DAMAGED", `the state file ${file} cannot be made anew: ${again.reason}`, {
    parameter: file,
    remedy: "check the disk",
  });
}

type Attempt =
  { readonly kind: "open"; readonly database: DatabaseSync } | { readonly kind: "damaged"; readonly reason: string };

/** Opens a file for writing, or makes it. @throws ControlError but for damage */
export function tryOpen(file: string): Attempt {
  const directory = dirname(file);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    database.exec("PRAGMA foreign_keys = ON; BEGIN IMMEDIATE; COMMIT;");
    const check = database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"];
    if (check !== "ok") throw new Error(`database disk image is malformed: ${String(check)}`);
    bringUp(database, file);
    writePid(directory);
    return { kind: "open", database };
  } catch (thrown) {
    try {
      database?.close();
    } catch {
      // It was not open, or is beyond closing; the descriptor goes with the object.
    }
    if (thrown instanceof ControlError) throw thrown;
    const problem = problemOf(thrown);
    if (problem === "damaged") return { kind: "damaged", reason: reasonOf(thrown) };
    if (problem === "locked") throw locked(file, directory);
    throw cannotWrite(file, thrown);
  }
}

/** Only so that a second daemon can name the first. */
function writePid(directory: string): void {
  try {
    writeFileSync(join(directory, PID_FILE), `${process.pid}\n`);
  } catch {
    // A full disk: the second daemon is refused without a number.
  }
}

/** Makes the tables in a new file, brings those of an earlier version up, refuses a file that a later version wrote. */
function bringUp(database: DatabaseSync, file: string): void {
  const layout = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (layout > LAYOUT || layout < 0) {
    throw new ControlError(
      "STATE_DAMAGED",
      `the state file ${file} was written by a later version (layout ${layout})`,
      {
        parameter: file,
        remedy: "run that version, or move the file away to start anew",
      },
    );
  }
  if (layout === 0) {
    database.exec(`BEGIN IMMEDIATE; ${TABLES} PRAGMA user_version = ${LAYOUT}; COMMIT;`);
    return;
  }
  // A file of the right version without its tables is damaged too; the queries say so.
  database.exec("SELECT 1 FROM units, paths, settings, events, attachments LIMIT 0");
  for (let from = layout; from < LAYOUT; from++) {
    database.exec(`BEGIN IMMEDIATE; ${STEPS[from] ?? ""} PRAGMA user_version = ${from + 1}; COMMIT;`);
  }
}

/** SQLite's result code (https://www.sqlite.org/rescode.html), without its extension. */
function resultCode(thrown: unknown): number | null {
  return thrown instanceof Error && "errcode" in thrown ? Number(thrown.errcode) & 0xff : null;
}

function problemOf(thrown: unknown): "damaged" | "locked" | "unwritable" {
  const SQLITE_ERROR = 1;
  const SQLITE_BUSY = 5;
  const SQLITE_LOCKED = 6;
  const SQLITE_CORRUPT = 11;
  const SQLITE_NOTADB = 26;
  const code = resultCode(thrown);
  if (code === SQLITE_BUSY || code === SQLITE_LOCKED) return "locked";
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB || code === SQLITE_ERROR) return "damaged";
  return thrown instanceof Error && thrown.message.includes("malformed") ? "damaged" : "unwritable";
}

function locked(file: string, directory: string): ControlError {
  const pidFile = join(directory, PID_FILE);
  const pid = existsSync(pidFile) ? readFileSync(pidFile, "utf8").trim() : "";
  const who = /^\d+$/.test(pid) ? `another daemon (process ${pid})` : "another daemon";
  return new ControlError("STATE_LOCKED", `${who} is using the state file ${file}`, {
    parameter: file,
    remedy: "stop it first, or give this one another state.directory",
  });
}

/** The error for a file that cannot be written: full disk, read-only, no permission; or for a change that no file takes. */
export function cannotWrite(file: string, thrown: unknown): ControlError {
  const SQLITE_CONSTRAINT = 19;
  if (resultCode(thrown) === SQLITE_CONSTRAINT) {
    return new ControlError("INTERNAL", `the state ${file} does not take the change: ${reasonOf(thrown)}`, {
      parameter: file,
      remedy: "this is a defect of PathManager, please report it; nothing was changed",
      cause: thrown,
    });
  }
  return new ControlError("STATE_WRITE_FAILED", `cannot write the state ${file}: ${reasonOf(thrown)}`, {
    parameter: file,
    remedy: "make room on the disk, or make it writable; nothing was changed",
    cause: thrown,
  });
}

/** Renames the file with a time stamp, and its journal, which belongs to it. */
function moveAside(file: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().replaceAll(/[:.]/g, "-");
  const aside = `${file}.damaged-${stamp}`;
  try {
    for (const suffix of ["-wal", "-shm", ""]) {
      if (existsSync(`${file}${suffix}`)) renameSync(`${file}${suffix}`, `${aside}${suffix}`);
    }
  } catch (thrown) {
    throw cannotWrite(file, thrown);
  }
  return aside;
}
