// A copy of the state file in memory, while the file itself cannot be written: settings are in force, events are remembered until
// the daemon ends, and no setting can be changed.

import { copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SETTINGS_TABLES } from "./settings-rows.ts";

/** Where the file and its journal can be opened; the first that works. Both are in memory on most machines. */
const FOLDERS = [tmpdir(), "/dev/shm"];

const TABLES = [...SETTINGS_TABLES, "seal", "events"];

/** A folder of our own with the file and its journal, which holds the newest changes of a daemon that was killed. */
function copied(file: string): string {
  let problem: unknown;
  for (const folder of FOLDERS) {
    let own: string | undefined;
    try {
      own = mkdtempSync(join(folder, "pathmanager-state-"));
      for (const suffix of ["", "-wal"]) {
        const from = `${file}${suffix}`;
        if (statSync(from, { throwIfNoEntry: false })?.isFile() === true) {
          copyFileSync(from, join(own, `${basename(file)}${suffix}`));
        }
      }
      return own;
    } catch (thrown) {
      problem = thrown;
      if (own !== undefined) rmSync(own, { recursive: true, force: true });
    }
  }
  throw problem;
}

/**
 * Copies a state file into memory.
 * @param layOut creates today's tables in an empty database
 * @param open opens a state file, and upgrades it to today's tables
 */
export function copyToMemory(
  file: string,
  layOut: (database: DatabaseSync) => void,
  open: (copy: string) => DatabaseSync,
): DatabaseSync {
  const folder = copied(file);
  const memory = new DatabaseSync(":memory:");
  try {
    const copy = join(folder, basename(file));
    open(copy).close();
    layOut(memory);
    memory.prepare("ATTACH ? AS old").run(copy);
    memory.exec(TABLES.map((table) => `INSERT INTO main.${table} SELECT * FROM old.${table};`).join(" "));
    memory.exec("DETACH old");
    return memory;
  } catch (thrown) {
    memory.close();
    throw thrown;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** All settings. */
const contents = (database: DatabaseSync): string =>
  JSON.stringify(SETTINGS_TABLES.map((table) => database.prepare(`SELECT * FROM ${table} ORDER BY 1`).all()));

/** Whether two databases hold the same settings, whatever events they hold. */
export const holdTheSame = (one: DatabaseSync, other: DatabaseSync): boolean => contents(one) === contents(other);
