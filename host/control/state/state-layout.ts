// The tables of the state file, and the upgrade of files written by earlier versions.

import type { DatabaseSync } from "node:sqlite";
import { ControlError } from "../ground/control-errors.ts";

/** Version of the layout below. A file of a later version is refused, one of an earlier version is upgraded. */
export const LAYOUT = 4;

/** Since layout 3. */
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

/**
 * Whether it is certain that a path is enabled as stored: `unknown` is decided when its device appears, `guessed` by an operator.
 */
const ENABLING = `ALTER TABLE paths ADD COLUMN enabling TEXT NOT NULL DEFAULT 'known' CHECK (enabling IN ('known', 'unknown', 'guessed'));`;

/** Which change of the settings a file holds, and why they are incomplete. */
const SEAL = `
  CREATE TABLE seal (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    digest TEXT NOT NULL,
    tables TEXT NOT NULL,
    in_use INTEGER NOT NULL DEFAULT 0,
    incomplete TEXT
  ) STRICT;
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
  ${ENABLING}
  ${SEAL}
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

/** Upgrades from each earlier layout to the next. New columns come last, as in the tables above. */
const STEPS: Readonly<Record<number, string>> = {
  1: `ALTER TABLE paths ADD COLUMN priority_lost INTEGER NOT NULL DEFAULT 0 CHECK (priority_lost IN (0, 1));
      ALTER TABLE paths ADD COLUMN shaky INTEGER NOT NULL DEFAULT 0 CHECK (shaky IN (0, 1));`,
  // In that layout a path was its number.
  2: `ALTER TABLE paths RENAME TO paths_2;
      DROP INDEX paths_by_unit;
      ${PATHS}
      INSERT INTO paths (number, unit, priority, enabled, priority_lost, shaky)
        SELECT number, unit, priority, enabled, priority_lost, shaky FROM paths_2 ORDER BY rowid;
      DROP TABLE paths_2;`,
  3: `${ENABLING} ${SEAL}`,
};

/** Creates the tables in an empty database. */
export const layOut = (database: DatabaseSync): void => database.exec(`${TABLES} PRAGMA user_version = ${LAYOUT};`);

/** Creates the tables in a new file, upgrades those of an earlier version, refuses a file that a later version wrote. */
export function bringUp(database: DatabaseSync, file: string): void {
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
    database.exec("BEGIN IMMEDIATE");
    layOut(database);
    database.exec("COMMIT");
    return;
  }
  // A file of the right version without its tables is damaged, too; the queries will report it.
  database.exec("SELECT 1 FROM units, paths, settings, events, attachments LIMIT 0");
  for (let from = layout; from < LAYOUT; from++) {
    database.exec(`BEGIN IMMEDIATE; ${STEPS[from] ?? ""} PRAGMA user_version = ${from + 1}; COMMIT;`);
  }
  database.exec("SELECT 1 FROM seal LIMIT 0");
}
