// Reads what can be read of a damaged state file. None of it can be trusted; rows no daemon can work with are left out.

import type { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { SETTINGS_TABLES, type Cell, type SettingsRow } from "./settings-rows.ts";
import { Settings, UnitFacts } from "./state-schemas.ts";
import { Policy } from "../schemas/unit-schema.ts";

export interface Salvage {
  readonly rows: readonly SettingsRow[];
  /** Oldest first. */
  readonly events: readonly (readonly Cell[])[];
}

export const NOTHING: Salvage = { rows: [], events: [] };

/** The rows of a table that can be read, starting from either end. */
function readable(database: DatabaseSync, table: string): Cell[][] {
  const rows = new Map<Cell | undefined, Cell[]>();
  for (const order of ["ASC", "DESC"]) {
    try {
      for (const record of database.prepare(`SELECT * FROM ${table} ORDER BY 1 ${order}`).iterate()) {
        // The columns of these tables hold nothing else.
        const cells = Object.values(record) as Cell[];
        rows.set(cells[0], cells);
      }
      break;
    } catch {
      // Here the damage begins.
    }
  }
  return [...rows.values()];
}

function parses(text: Cell | undefined, schema: z.ZodType): boolean {
  try {
    return schema.safeParse(JSON.parse(String(text))).success;
  } catch {
    return false;
  }
}

/** Whether a daemon can work with a row. */
function isUsable({ table, cells }: SettingsRow): boolean {
  switch (table) {
    case "units":
      return parses(cells[3], UnitFacts) && (cells[4] === null || parses(cells[4], Policy));
    case "paths":
      return /^\d+:\d+:\d+:\d+$/.test(String(cells[1]));
    case "attachments":
      return parses(cells[2], z.record(z.string(), z.unknown()));
    case "settings":
      return parses(`{${JSON.stringify(cells[0])}:${String(cells[1])}}`, Settings);
  }
}

export function salvage(database: DatabaseSync): Salvage {
  const rows = SETTINGS_TABLES.flatMap((table) => readable(database, table).map((cells) => ({ table, cells })));
  const events = readable(database, "events").filter(
    (cells) =>
      cells.length === 6 && typeof cells[0] === "number" && parses(cells[5], z.record(z.string(), z.unknown())),
  );
  return { rows: rows.filter(isUsable), events: events.toSorted((a, b) => Number(a[0]) - Number(b[0])) };
}

/** Copies events into an empty table. */
export function putEvents(database: DatabaseSync, events: Salvage["events"]): void {
  const add = database.prepare("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)");
  for (const cells of events) add.run(...cells);
}
