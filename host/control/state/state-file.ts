// Opens the one file in which settings and events survive, and makes sure that none of it is missing (state-repair.ts).
//
// SQLite in WAL mode with synchronous=FULL: what was committed is on disk. The file is locked while the daemon runs, so a second
// daemon cannot open it. A damaged file is set aside, never deleted and never repaired silently.

import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import { COPY_FILE, readSettingsCopy, type Seal, type SettingsCopy } from "./settings-copy.ts";
import { readRows, replaceRows, type SettingsRow } from "./settings-rows.ts";
import { isInUse, isSealed, sealOf } from "./settings-seal.ts";
import { copyToMemory } from "./state-copy.ts";
import { examineJournal, journalProblem, type Journal } from "./state-journal.ts";
import { bringUp, layOut } from "./state-layout.ts";
import { afterPredecessor, locked, writePid } from "./state-lock.ts";
import { decide, type MainFile } from "./state-repair.ts";
import { NOTHING, putEvents, salvage, type Salvage } from "./state-salvage.ts";

/** Name of the file in the state directory. */
export const STATE_FILE = "state.sqlite";

/** What the start found wrong with the settings. */
export interface Rebuilt {
  readonly what: "state" | "copy";
  readonly file: string;
  readonly reason: string;
  /** Where the damaged file is; null when it was not set aside. */
  readonly aside: string | null;
  readonly isIncomplete: boolean;
  /** There was no such file: one that is handed over as its copy begins like this. */
  readonly wasAbsent: boolean;
}

export interface OpenedState {
  readonly database: DatabaseSync;
  /** Null when everything is as the last daemon left it. */
  readonly rebuilt: Rebuilt | null;
  /** The newest earlier seal of these settings; null when there was none. */
  readonly known: Seal | null;
  /** Whether the copy differs from the database. */
  readonly isCopyOutdated: boolean;
  /** Event numbers up to this one are not used again: someone may have seen them. */
  readonly eventsFrom: number;
  /** Why the database is a copy in memory; null when it is the file. */
  readonly copied: string | null;
}

/** Added to the newest event number in the copy: more events than can have happened until the state was lost. */
const EVENTS_LOST_MAX = 1_000_000;

/** A database, and what becomes of it. */
interface Ground {
  readonly found: Attempt | { readonly kind: "absent" };
  /** An empty one replaces what was found, which is set aside. */
  readonly anew: () => { readonly database: DatabaseSync; readonly aside: string | null };
}

/**
 * Opens the state file in a directory, creating both if necessary. A file that can be read but not written is copied into memory.
 * @param wasKilled whether a daemon ran here that was not stopped
 * @throws ControlError STATE_LOCKED when another daemon has it (the lock of a killed daemon is waited for), STATE_WRITE_FAILED
 * when there is none and none can be created, STATE_DAMAGED when a later version wrote it, or it cannot be set aside
 */
export function openStateFile(directory: string, nowMs: number, wasKilled = false): OpenedState {
  return afterPredecessor(directory, () => openUnlocked(directory, nowMs, wasKilled));
}

function openUnlocked(directory: string, nowMs: number, wasKilled: boolean): OpenedState {
  const file = join(directory, STATE_FILE);
  const copy = readSettingsCopy(join(directory, COPY_FILE));
  try {
    prepareDirectory(directory);
    const journal = examineJournal(`${file}-wal`);
    return { ...settle(file, groundOfFile(file, copy, nowMs), copy, wasKilled, journal), copied: null };
  } catch (thrown) {
    if (!(thrown instanceof ControlError) || thrown.code !== "STATE_WRITE_FAILED") throw thrown;
    if (!existsSync(file) && copy.kind !== "sound") throw thrown;
    refuseLocked(file, directory);
    const opened = settle(file, groundInMemory(file, copy, thrown), copy, wasKilled, { isThere: true, problem: null });
    return { ...opened, copied: reasonOf(thrown.cause ?? thrown) };
  }
}

function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    accessSync(directory, constants.W_OK);
  } catch (thrown) {
    throw cannotWrite(directory, thrown);
  }
}

/** Puts in force what survives of the file and the copy of its settings. */
function settle(
  file: string,
  { found, anew }: Ground,
  copy: SettingsCopy,
  wasKilled: boolean,
  journal: Journal,
): Omit<OpenedState, "copied"> {
  const main = examined(found);
  const decision = decide(main, copy, wasKilled);
  const known = latest(main.kind === "sealed" ? main.seal : null, copy.kind === "absent" ? null : copy.seal);
  const eventsFrom = EVENTS_LOST_MAX + (copy.kind === "absent" ? 0 : copy.lastEvent);
  if (decision.kind === "keep") {
    const { database } = found.kind === "open" ? found : anew();
    const isCopyOutdated = copy.kind !== "sound" || main.kind !== "sealed" || main.seal.digest !== copy.seal.digest;
    const { copyProblem } = decision;
    const kept = { database, known, isCopyOutdated };
    const about = { aside: null, isIncomplete: false, wasAbsent: false };
    const lost = main.kind === "sealed" ? journalProblem(journal, isInUse(database)) : null;
    if (lost !== null) return { ...kept, rebuilt: { what: "state", file, reason: lost, ...about }, eventsFrom };
    const copyFile = join(dirname(file), COPY_FILE);
    const rebuilt =
      copyProblem === null ? null : { what: "copy" as const, file: copyFile, reason: copyProblem, ...about };
    return { ...kept, rebuilt, eventsFrom: 0 };
  }
  const { rows, reason, isIncomplete } = decision;
  const isKept = found.kind === "open" && !decision.aside;
  const events = main.kind === "damaged" ? leftOf(found).events : [];
  if (!isKept && found.kind === "open") found.database.close();
  const { database, aside } = isKept ? { database: found.database, aside: null } : anew();
  put(database, rows, events, isIncomplete ? reason : copy.kind === "absent" ? null : copy.incomplete);
  const rebuilt = { what: "state", file, reason, aside, isIncomplete, wasAbsent: main.kind === "absent" } as const;
  return { database, rebuilt, known, isCopyOutdated: true, eventsFrom };
}

/** Of two seals, the one of the later change. */
function latest(one: Seal | null, other: Seal | null): Seal | null {
  if (one === null || other === null) return one ?? other;
  // If they belong to different installations, those of the copy win.
  return one.id === other.id && one.sequence > other.sequence ? one : other;
}

function put(
  database: DatabaseSync,
  rows: readonly SettingsRow[],
  events: Salvage["events"],
  incomplete: string | null,
): void {
  database.exec("BEGIN IMMEDIATE");
  replaceRows(database, rows);
  putEvents(database, events);
  database.prepare("INSERT OR REPLACE INTO seal VALUES (1, '', 0, '', '', 0, ?)").run(incomplete);
  database.exec("COMMIT");
}

function leftOf(found: Ground["found"]): Salvage {
  if (found.kind === "absent") return NOTHING;
  return found.kind === "open" ? salvage(found.database) : found.left;
}

/** What a file says about its settings. */
function examined(found: Ground["found"]): MainFile {
  if (found.kind === "absent") return { kind: "absent" };
  if (found.kind === "damaged") return { kind: "damaged", reason: found.reason, rows: found.left.rows };
  const seal = sealOf(found.database);
  if (seal === null) return { kind: "unsealed", rows: leftOf(found).rows };
  if (isSealed(found.database)) {
    return { kind: "sealed", seal, rows: readRows(found.database) };
  }
  return { kind: "damaged", reason: "what it holds is not what was written", rows: leftOf(found).rows };
}

function groundOfFile(file: string, copy: SettingsCopy, nowMs: number): Ground {
  const existed = existsSync(file);
  const anew = (): { database: DatabaseSync; aside: string | null } => {
    const aside = existed ? moveAside(file, nowMs) : null;
    // A journal without its file belongs to nobody.
    if (aside === null) for (const suffix of ["-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
    const again = tryOpen(file);
    if (again.kind === "open") return { database: again.database, aside };
    throw new ControlError("STATE_DAMAGED", `the state file ${file} cannot be made anew: ${again.reason}`, {
      parameter: file,
      remedy: "check the disk",
    });
  };
  return { found: existed ? attempt(file, copy) : { kind: "absent" }, anew };
}

/** A file that claims a later version is damaged if the copy is of this version: a later version writes its own copy first. */
function attempt(file: string, copy: SettingsCopy): Attempt {
  try {
    return tryOpen(file);
  } catch (thrown) {
    if (!(thrown instanceof ControlError) || thrown.code !== "STATE_DAMAGED" || copy.kind !== "sound") throw thrown;
    return { kind: "damaged", reason: "it says that a later version wrote it, which is not so", left: NOTHING };
  }
}

function inMemory(): { database: DatabaseSync; aside: null } {
  const database = new DatabaseSync(":memory:");
  layOut(database);
  return { database, aside: null };
}

/** The in-memory copy of a file that cannot be written because of `problem`; throws `problem` if it cannot be read either. */
function groundInMemory(file: string, copy: SettingsCopy, problem: ControlError): Ground {
  const anew = inMemory;
  if (!existsSync(file)) return { found: { kind: "absent" }, anew };
  try {
    const database = copyToMemory(file, layOut, (copied) => {
      const opened = tryOpen(copied);
      if (opened.kind === "damaged") throw problem;
      return opened.database;
    });
    return { found: { kind: "open", database }, anew };
  } catch (thrown) {
    if (thrown instanceof ControlError && thrown.code === "STATE_DAMAGED") throw thrown;
    if (copy.kind !== "sound") throw problem;
    return { found: { kind: "damaged", reason: reasonOf(problem.cause ?? problem), left: NOTHING }, anew };
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

type Attempt =
  | { readonly kind: "open"; readonly database: DatabaseSync }
  | { readonly kind: "damaged"; readonly reason: string; readonly left: Salvage };

/** Neither the file nor its journal, which gets the file's mode, may be read by others or written by the group. */
const MODE = 0o640;

/** Creates an empty file with its mode, or removes excess permissions from an existing one. */
function restrict(file: string): void {
  const status = statSync(file, { throwIfNoEntry: false });
  if (status === undefined) closeSync(openSync(file, "a", MODE));
  else if ((status.mode & 0o777 & ~MODE) !== 0) chmodSync(file, status.mode & MODE);
}

/** Opens a file for writing, or creates it. @throws ControlError unless it is damaged */
export function tryOpen(file: string): Attempt {
  const directory = dirname(file);
  let database: DatabaseSync | undefined;
  try {
    restrict(file);
    database = new DatabaseSync(file);
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    database.exec("PRAGMA foreign_keys = ON; BEGIN IMMEDIATE; COMMIT;");
    const check = database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"];
    if (check !== "ok") throw new Error(`database disk image is malformed: ${String(check)}`);
    bringUp(database, file);
    writePid(directory);
    return { kind: "open", database };
  } catch (thrown) {
    const problem = thrown instanceof ControlError ? null : problemOf(thrown);
    const left = problem === "damaged" && database !== undefined ? salvage(database) : NOTHING;
    try {
      database?.close();
    } catch {
      // It was not open, or cannot be closed; the descriptor goes with the object.
    }
    if (problem === null) throw thrown;
    if (problem === "damaged") return { kind: "damaged", reason: reasonOf(thrown), left };
    if (problem === "locked") throw locked(file, directory);
    throw cannotWrite(file, thrown);
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

/** The error for a file that cannot be written (full disk, read-only, no permission), or for a change that no file accepts. */
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

/** Renames the file with a time stamp, along with its journal. */
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
