// Seals each change of the settings: the state file and the copy record which change they hold, and a digest of what was set.

import { hash, randomUUID } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { prepareSettingsCopy, publishSettingsCopy, type Seal } from "./settings-copy.ts";
import { SettingsLines } from "./settings-lines.ts";
import { readRows, RowReader, type Cell, type SettingsTable } from "./settings-rows.ts";

/** A row that was changed or removed. */
export interface Touched {
  readonly table: SettingsTable;
  readonly key: Cell;
}

/** The seal stored in a state file; null when it is new, or an earlier version wrote it. */
export function sealOf(database: DatabaseSync): Seal | null {
  const row = database.prepare("SELECT * FROM seal").get();
  if (row === undefined) return null;
  return { id: String(row["id"]), sequence: Number(row["sequence"]), digest: String(row["digest"]) };
}

/** The definitions of the file's tables: their text is part of the file, and may be damaged as well. */
function tablesOf(database: DatabaseSync): string {
  const rows = database.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").all();
  return hash("sha256", JSON.stringify(rows.map((row) => Object.values(row))));
}

/** Whether a file's content matches its seal. */
export function isSealed(database: DatabaseSync): boolean {
  const row = database.prepare("SELECT digest, tables FROM seal").get();
  return row?.["digest"] === new SettingsLines(readRows(database)).digest && row["tables"] === tablesOf(database);
}

/** Why the settings in a state file are incomplete; null when they are complete. */
export function incompleteOf(database: DatabaseSync): string | null {
  const reason = database.prepare("SELECT incomplete FROM seal").get()?.["incomplete"];
  return typeof reason === "string" ? reason : null;
}

/** Records in a state file that a daemon is using it, or has closed it. */
export function markInUse(database: DatabaseSync, inUse: boolean): void {
  database.prepare("UPDATE seal SET in_use = ?").run(inUse ? 1 : 0);
}

export const isInUse = (database: DatabaseSync): boolean =>
  database.prepare("SELECT in_use FROM seal").get()?.["in_use"] === 1;

export class SettingsSeal {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #lines: SettingsLines;
  readonly #rows: RowReader;
  readonly #tables: string;
  #seal: Seal | null;

  /**
   * @param file of the copy
   * @param known the newest earlier seal of these settings
   */
  constructor(database: DatabaseSync, file: string, known: Seal | null = sealOf(database)) {
    this.#database = database;
    this.#file = file;
    this.#lines = new SettingsLines(readRows(database));
    this.#rows = new RowReader(database);
    this.#tables = tablesOf(database);
    this.#seal = known;
  }

  /** Within the transaction, last of all: writes the next seal, and prepares the copy beside the present one. */
  prepare(touched: Iterable<Touched>, lastEvent: number): void {
    this.#read(touched);
    const id = this.#seal?.id ?? randomUUID();
    const next: Seal = { id, sequence: (this.#seal?.sequence ?? 0) + 1, digest: this.#lines.digest };
    this.#database
      .prepare(
        `INSERT INTO seal (one, id, sequence, digest, tables) VALUES (1, ?, ?, ?, ?)
         ON CONFLICT (one) DO UPDATE SET id = excluded.id, sequence = excluded.sequence, digest = excluded.digest,
         tables = excluded.tables`,
      )
      .run(next.id, next.sequence, next.digest, this.#tables);
    this.#writeCopy(next, lastEvent);
  }

  #writeCopy(seal: Seal, lastEvent: number): void {
    prepareSettingsCopy(this.#file, seal, this.#lines.body, { lastEvent, incomplete: incompleteOf(this.#database) });
  }

  /** After the transaction: the copy takes effect as well. */
  publish(): void {
    this.#seal = sealOf(this.#database);
    publishSettingsCopy(this.#file);
  }

  /** The transaction was rolled back. */
  revert(touched: Iterable<Touched>): void {
    this.#read(touched);
  }

  #read(touched: Iterable<Touched>): void {
    for (const { table, key } of touched) this.#lines.put(table, key, this.#rows.read(table, key));
  }

  /** Rewrites the copy as it should be, without a change. */
  renewCopy(lastEvent: number): void {
    if (this.#seal === null) return;
    this.#writeCopy(this.#seal, lastEvent);
    publishSettingsCopy(this.#file);
  }
}
