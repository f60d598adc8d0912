// Events and settings from the state file, with or without the daemon: a copy is read, so that nothing is locked, repaired or
// changed where a daemon works or a fault is to be examined.

import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { eventSentence } from "./event-sentence.ts";
import { redactValue } from "./redact.ts";

const STATE_FILE = "state.sqlite";
const EVENTS_MAX = 20_000;
const TABLES = ["units", "paths", "attachments", "settings", "seal"] as const;

const jsonLines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** `state/events.jsonl`, and a file for each table of settings. */
export async function storedState(directory: string, sinceMs: number | undefined): Promise<Record<string, string>> {
  const { DatabaseSync } = await import("node:sqlite");
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-logs-"));
  try {
    for (const suffix of ["", "-wal"]) {
      const file = join(directory, `${STATE_FILE}${suffix}`);
      if (suffix === "" || existsSync(file)) copyFileSync(file, join(folder, `${STATE_FILE}${suffix}`));
    }
    const database = new DatabaseSync(join(folder, STATE_FILE));
    try {
      const files: Record<string, string> = {};
      for (const table of TABLES) {
        files[`state/${table}.jsonl`] = jsonLines(
          database
            .prepare(`SELECT * FROM ${table}`)
            .all()
            .map((row) => redactRow(row)),
        );
      }
      const events = database
        .prepare("SELECT * FROM events WHERE time_ms >= ? ORDER BY id DESC LIMIT ?")
        .all(sinceMs ?? 0, EVENTS_MAX)
        .toReversed();
      files["state/events.jsonl"] = jsonLines(events.map((row) => Object.assign(row, { text: eventSentence(row) })));
      return files;
    } finally {
      database.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Settings are rows of a key and its value. */
function redactRow(row: Record<string, unknown>): unknown {
  const { key, value } = row;
  return typeof key === "string" ? { ...row, value: redactValue(value, key) } : redactValue(row);
}
