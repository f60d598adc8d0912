// Settings as rows: the state file keeps them in tables, the copy of the settings in lines.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";

/** Tables that hold settings, each after those it refers to. The first column of each is its key. */
export const SETTINGS_TABLES = ["units", "paths", "attachments", "settings"] as const;
export type SettingsTable = (typeof SETTINGS_TABLES)[number];

const KEYS: Readonly<Record<SettingsTable, string>> = {
  units: "number",
  paths: "id",
  attachments: "nbd_index",
  settings: "key",
};

export type Cell = string | number | null;

const isCell = (value: unknown): value is Cell =>
  value === null || typeof value === "string" || typeof value === "number";

export interface SettingsRow {
  readonly table: SettingsTable;
  /** In the order of the columns. */
  readonly cells: readonly Cell[];
}

/** Identifies a row among all tables. */
export const rowKey = (table: SettingsTable, key: Cell | undefined): string => `${table}/${key ?? ""}`;
export const keyOf = ({ table, cells }: SettingsRow): string => rowKey(table, cells[0]);

/** Text preceded by its checksum, so that each line shows whether it is as written. */
export function checked(text: string): string {
  return `${crc32(text).toString(16).padStart(8, "0")} ${text}`;
}

/** The text of a line made by `checked`; null when it is not as written. */
export function unchecked(line: string): string | null {
  const text = line.slice(9);
  return line === checked(text) ? text : null;
}

export const lineOf = ({ table, cells }: SettingsRow): string => checked(JSON.stringify([table, ...cells]));

/** Null when the line is damaged. */
export function rowOf(line: string): SettingsRow | null {
  const text = unchecked(line);
  if (text === null) return null;
  try {
    const parsed: unknown = JSON.parse(text);
    if (!Array.isArray(parsed)) return null;
    const [name, ...cells] = parsed as unknown[];
    const table = SETTINGS_TABLES.find((known) => known === name);
    return table === undefined || !cells.every(isCell) ? null : { table, cells };
  } catch {
    return null;
  }
}

function rowFrom(table: SettingsTable, record: Record<string, unknown>): SettingsRow {
  // The columns of these tables hold nothing else.
  return { table, cells: Object.values(record) as Cell[] };
}

/** Finds rows by their keys. */
export class RowReader {
  readonly #statements: Readonly<Record<SettingsTable, StatementSync>>;

  constructor(database: DatabaseSync) {
    const by = (table: SettingsTable): StatementSync =>
      database.prepare(`SELECT * FROM ${table} WHERE ${KEYS[table]} = ?`);
    this.#statements = {
      units: by("units"),
      paths: by("paths"),
      attachments: by("attachments"),
      settings: by("settings"),
    };
  }

  /** Null when there is none. */
  read(table: SettingsTable, key: Cell): SettingsRow | null {
    const record = this.#statements[table].get(key);
    return record === undefined ? null : rowFrom(table, record);
  }
}

/** All settings. */
export function readRows(database: DatabaseSync): SettingsRow[] {
  return SETTINGS_TABLES.flatMap((table) =>
    database
      .prepare(`SELECT * FROM ${table}`)
      .all()
      .map((record) => rowFrom(table, record)),
  );
}

/** Loads rows in place of everything there is. If two exclude each other, the first wins; one without its unit is left out. */
export function replaceRows(database: DatabaseSync, rows: readonly SettingsRow[]): void {
  for (const table of SETTINGS_TABLES.toReversed()) database.exec(`DELETE FROM ${table}`);
  const units = new Set<Cell | undefined>();
  for (const table of SETTINGS_TABLES) {
    const columns = database.prepare(`SELECT count(*) AS count FROM pragma_table_info('${table}')`).get();
    const width = Number(columns?.["count"]);
    const marks = Array.from({ length: width }, () => "?").join(", ");
    const add = database.prepare(`INSERT OR IGNORE INTO ${table} VALUES (${marks})`);
    for (const { cells } of rows.filter((row) => row.table === table && row.cells.length === width)) {
      const unit = unitOf(table, cells);
      if (unit !== null && !units.has(unit)) continue;
      const { changes } = add.run(...cells);
      if (table === "units" && changes === 1) units.add(cells[0]);
    }
  }
}

/** The unit a row refers to; null when it refers to none. */
function unitOf(table: SettingsTable, cells: readonly Cell[]): Cell | undefined {
  if (table === "paths") return cells[2];
  return table === "attachments" ? cells[1] : null;
}
