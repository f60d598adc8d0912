// What survives restarts: units and their numbers, paths and their settings, modes, attachments, the history of events.
//
// On return, every method that changes something has it on disk; if it throws, nothing has changed.

import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { Message } from "../../liaison/messages.ts";
import { Policy } from "../schemas/unit-schema.ts";
import { conditionOf, eventRow, type EventFilter, type EventRow } from "./event-rows.ts";
import type { Touched } from "./settings-seal.ts";
import type { Cell, SettingsTable } from "./settings-rows.ts";
import { cannotWrite, type Rebuilt } from "./state-file.ts";
import { ENABLINGS, Settings, UnitFacts, type Enabling } from "./state-schemas.ts";
import { StateStore, type StateChange } from "./state-store.ts";

export interface UnitRow {
  readonly number: number;
  readonly identity: string;
  readonly name: string;
  readonly facts: UnitFacts;
  /** Null when no command set it and the configuration decides. */
  readonly policy: Policy | null;
  readonly hedgeBudgetPercent: number | null;
}

export interface PathRow {
  readonly id: number;
  readonly number: string;
  /** Names of its two ports; null where they have none. */
  readonly nexus: string | null;
  readonly unit: number;
  readonly priority: number;
  readonly enabled: boolean;
  readonly enabling: Enabling;
  /** Another path of the unit got the number while this one was gone. */
  readonly priorityLost: boolean;
  /** Fails intermittently: used as a last resort until an operator reinstates it. */
  readonly isMarginal: boolean;
  readonly goneSinceMs: number | null;
}

export interface AttachmentRow {
  readonly index: number;
  readonly unit: number;
  readonly options: Readonly<Record<string, unknown>>;
  readonly sinceMs: number;
}

/** For a change that only the seal records. */
const NO_ROW: Touched = { table: "settings", key: "" };

/** Share of the limit by which old events are dropped in batches, so that most appends only append. */
const TRIM_SHARE = 10;

export class State {
  readonly #store: StateStore;
  readonly #statements = new Map<string, StatementSync>();
  /** The database that the statements belong to. */
  #prepared: DatabaseSync | null = null;
  readonly #eventsMax: number;
  #settings: Settings | null = null;
  #lastEvent: number;
  #events: number;
  /** Rows changed by the transaction under way. */
  #touched: Touched[] = [];
  #incomplete: string | null;

  constructor(directory: string, eventsMax: number, nowMs = Date.now()) {
    this.#store = new StateStore(directory, nowMs);
    this.#eventsMax = eventsMax;
    this.#incomplete = this.#store.incomplete;
    const row = this.#get("SELECT coalesce(max(id), 0) AS last, count(*) AS count FROM events");
    this.#lastEvent = Math.max(Number(row?.["last"]), this.#store.eventsFrom);
    this.#events = Number(row?.["count"]);
  }

  get file(): string {
    return this.#store.file;
  }

  /** What was not as the last daemon left it, and what was done about it; null when nothing was wrong. */
  get rebuilt(): Rebuilt | null {
    return this.#store.rebuilt;
  }

  /** Why the settings may be incomplete; null when they are complete. */
  get incomplete(): string | null {
    return this.#incomplete;
  }

  /** Why nothing can be set; null when it can. */
  get problem(): string | null {
    return this.#store.problem;
  }

  /** Checks the file; returns what has changed. */
  keep(): Promise<StateChange | null> {
    return this.#store.check();
  }

  get #database(): DatabaseSync {
    const { database } = this.#store;
    if (database !== this.#prepared) this.#statements.clear();
    this.#prepared = database;
    return database;
  }

  #prepare(sql: string): StatementSync {
    const database = this.#database;
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#prepare(sql).get(...values);
  }

  #all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#prepare(sql).all(...values);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#prepare(sql).run(...values);
  }

  /** Changes a row of settings. */
  #set(table: SettingsTable, key: Cell, sql: string, ...values: SQLInputValue[]): void {
    this.#run(sql, ...values);
    this.#touched.push({ table, key });
  }

  /** Runs `change` as a whole or not at all. What it throws is passed on; a disk failure becomes an error of its own. */
  transaction<T>(change: () => T): T {
    this.demandWritable();
    return this.#whole(change);
  }

  /** @throws ControlError STATE_WRITE_FAILED while nothing can be set */
  demandWritable(): void {
    const { problem, file } = this;
    if (problem !== null) throw cannotWrite(file, new Error(problem));
  }

  #whole<T>(change: () => T): T {
    const database = this.#database;
    if (database.isTransaction) return change();
    this.#touched = [];
    try {
      database.exec("BEGIN IMMEDIATE");
      const result = change();
      const changesSettings = this.#touched.length > 0;
      if (changesSettings) this.#store.seal(this.#touched, this.#lastEvent);
      database.exec("COMMIT");
      if (changesSettings) this.#store.published();
      return result;
    } catch (thrown) {
      if (database.isTransaction) database.exec("ROLLBACK");
      this.#settings = null;
      this.#store.unsealed(this.#touched);
      // SQLite's error, or the system's from writing the copy.
      if (thrown instanceof Error && ("errcode" in thrown || "syscall" in thrown)) throw cannotWrite(this.file, thrown);
      throw thrown;
    }
  }

  units(): UnitRow[] {
    return this.#all("SELECT * FROM units ORDER BY number").map((row) => ({
      number: Number(row["number"]),
      identity: String(row["identity"]),
      name: String(row["name"]),
      facts: UnitFacts.parse(JSON.parse(String(row["facts"]))),
      policy: row["policy"] === null ? null : Policy.parse(JSON.parse(String(row["policy"]))),
      hedgeBudgetPercent: row["hedge_budget_percent"] === null ? null : Number(row["hedge_budget_percent"]),
    }));
  }

  saveUnits(units: readonly UnitRow[]): void {
    this.transaction(() => {
      for (const unit of units) {
        this.#set(
          "units",
          unit.number,
          `INSERT INTO units VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET identity = excluded.identity,
           name = excluded.name, facts = excluded.facts, policy = excluded.policy,
           hedge_budget_percent = excluded.hedge_budget_percent`,
          unit.number,
          unit.identity,
          unit.name,
          JSON.stringify(unit.facts),
          unit.policy === null ? null : JSON.stringify(unit.policy),
          unit.hedgeBudgetPercent,
        );
      }
    });
  }

  /** Forgets a unit; its paths and attachments must be gone. */
  forgetUnit(number: number): void {
    this.transaction(() => this.#set("units", number, "DELETE FROM units WHERE number = ?", number));
  }

  paths(): PathRow[] {
    return this.#all("SELECT * FROM paths ORDER BY id").map((row) => ({
      id: Number(row["id"]),
      number: String(row["number"]),
      unit: Number(row["unit"]),
      priority: Number(row["priority"]),
      enabled: row["enabled"] === 1,
      enabling: ENABLINGS.find((enabling) => enabling === row["enabling"]) ?? "unknown",
      priorityLost: row["priority_lost"] === 1,
      isMarginal: row["shaky"] === 1,
      nexus: row["nexus"] === null ? null : String(row["nexus"]),
      goneSinceMs: row["gone_since_ms"] === null ? null : Number(row["gone_since_ms"]),
    }));
  }

  savePaths(paths: readonly PathRow[]): void {
    this.transaction(() => {
      for (const path of paths) {
        this.#set(
          "paths",
          path.id,
          `INSERT INTO paths VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET number = excluded.number,
           unit = excluded.unit, priority = excluded.priority, enabled = excluded.enabled,
           priority_lost = excluded.priority_lost, shaky = excluded.shaky, nexus = excluded.nexus,
           gone_since_ms = excluded.gone_since_ms, enabling = excluded.enabling`,
          path.id,
          path.number,
          path.unit,
          path.priority,
          path.enabled ? 1 : 0,
          path.priorityLost ? 1 : 0,
          path.isMarginal ? 1 : 0,
          path.nexus,
          path.goneSinceMs,
          path.enabling,
        );
      }
    });
  }

  /** An operator clears the path; its other settings stay. */
  pathIsNotMarginal(id: number): void {
    this.transaction(() => this.#set("paths", id, "UPDATE paths SET shaky = 0 WHERE id = ?", id));
  }

  /** The settings are complete as they stand, and these paths are enabled as stored. */
  acceptSettings(paths: readonly number[]): void {
    this.transaction(() => {
      // The seal records that something is missing.
      this.#run("UPDATE seal SET incomplete = NULL");
      this.#touched.push(NO_ROW);
      for (const id of paths) this.#set("paths", id, "UPDATE paths SET enabling = 'known' WHERE id = ?", id);
    });
    this.#incomplete = null;
  }

  forgetPath(id: number): void {
    this.transaction(() => this.#set("paths", id, "DELETE FROM paths WHERE id = ?", id));
  }

  /** Cached after the first call: displays ask for each unit. */
  settings(): Settings {
    this.#settings ??= this.#readSettings();
    return this.#settings;
  }

  #readSettings(): Settings {
    const rows = this.#all("SELECT key, value FROM settings");
    return Settings.parse(Object.fromEntries(rows.map((row) => [row["key"], JSON.parse(String(row["value"]))])));
  }

  saveSettings(settings: Settings): void {
    this.transaction(() => {
      this.#settings = null;
      for (const [key, value] of Object.entries(settings)) {
        this.#set("settings", key, "INSERT OR REPLACE INTO settings VALUES (?, ?)", key, JSON.stringify(value));
      }
    });
  }

  /** What is missing from `settings` was never set by command. */
  replaceSettings(settings: Settings): void {
    this.transaction(() => {
      for (const key of this.#all("SELECT key FROM settings").map((row) => String(row["key"]))) {
        this.#set("settings", key, "DELETE FROM settings WHERE key = ?", key);
      }
      this.saveSettings(settings);
    });
  }

  attachments(): AttachmentRow[] {
    return this.#all("SELECT * FROM attachments ORDER BY nbd_index").map((row) => ({
      index: Number(row["nbd_index"]),
      unit: Number(row["unit"]),
      options: JSON.parse(String(row["options"])) as Record<string, unknown>,
      sinceMs: Number(row["since_ms"]),
    }));
  }

  saveAttachment(row: AttachmentRow): void {
    this.transaction(() =>
      this.#set(
        "attachments",
        row.index,
        "INSERT OR REPLACE INTO attachments VALUES (?, ?, ?, ?)",
        row.index,
        row.unit,
        JSON.stringify(row.options),
        row.sinceMs,
      ),
    );
  }

  forgetAttachment(index: number): void {
    this.transaction(() => this.#set("attachments", index, "DELETE FROM attachments WHERE nbd_index = ?", index));
  }

  /** Number of the newest event. */
  get lastEvent(): number {
    return this.#lastEvent;
  }

  get eventCount(): number {
    return this.#events;
  }

  /**
   * Stores messages in order and drops the oldest beyond the limit. Numbers are assigned even when the disk fails, so that a
   * stream of events continues.
   * @param failed called when the disk fails
   */
  appendEvents(messages: readonly Message[], failed: (problem: unknown) => void): EventRow[] {
    const rows = messages.map((message, index): EventRow =>
      Object.assign({ id: this.#lastEvent + 1 + index }, message),
    );
    this.#lastEvent += rows.length;
    try {
      // A copy in memory stores them too.
      this.#whole(() => {
        for (const row of rows) {
          this.#run(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
            row.id,
            row.timeMs,
            row.kind,
            row.unit,
            row.path,
            JSON.stringify(row.detail),
          );
        }
        this.#events += rows.length;
        if (this.#events > this.#eventsMax + this.#eventsMax / TRIM_SHARE) {
          this.#run("DELETE FROM events WHERE id <= ?", this.#lastEvent - this.#eventsMax);
          this.#events = this.#eventsMax;
        }
      });
    } catch (thrown) {
      failed(thrown);
    }
    return rows;
  }

  /** The newest events with an id above `since` and below `before`, at most `limit`, oldest first. */
  events(since: number, limit: number, before = Number.MAX_SAFE_INTEGER, filter: EventFilter = {}): EventRow[] {
    const [condition, values] = conditionOf(filter);
    const sql = `SELECT * FROM events WHERE id > ? AND id < ?${condition} ORDER BY id DESC LIMIT ?`;
    return this.#all(sql, since, before, ...values, limit)
      .map(eventRow)
      .filter((row) => row !== null)
      .toReversed();
  }

  /** The oldest events with an id above `since`, at most `limit`, oldest first. */
  eventsAfter(since: number, limit: number): EventRow[] {
    return this.#all("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", since, limit)
      .map(eventRow)
      .filter((row) => row !== null);
  }

  /** Limits the file, in pages of 4 KiB: writes beyond it fail as if the disk were full. */
  limitPages(pages: number): void {
    this.#database.exec(`PRAGMA max_page_count = ${pages}`);
  }

  close(): void {
    this.#store.close();
  }
}
