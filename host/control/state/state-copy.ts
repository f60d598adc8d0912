// A copy of the state file in memory, for as long as the file itself cannot be written: what was set is in force, what
// happens is remembered until the daemon ends, and nothing is set.

import { copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SETTINGS_TABLES } from "./settings-rows.ts";

/** Where the file and its journal are brought up; the first that takes them. Both are memory on most machines. */
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
 * Copies what is in a state file into memory.
 * @param layOut makes the tables of today in an empty database
 * @param open opens a state file, and brings it up to today's tables
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

/** All that is set. */
const contents = (database: DatabaseSync): string =>
  JSON.stringify(SETTINGS_TABLES.map((table) => database.prepare(`SELECT * FROM ${table} ORDER BY 1`).all()));

/** Whether the same is set in two databases, whatever has happened meanwhile. */
export const holdTheSame = (one: DatabaseSync, other: DatabaseSync): boolean => contents(one) === contents(other);
