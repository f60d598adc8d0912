// Keeps the state file: notices by its inode when it is deleted or replaced while the daemon runs, recreates it from what is
// open, and returns from a copy in memory to the file as soon as that can be written.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { reasonOf } from "../ground/control-errors.ts";
import { LIFE_FILE } from "./last-words.ts";
import { holdTheSame } from "./state-copy.ts";
import { COPY_FILE } from "./settings-copy.ts";
import { incompleteOf, markInUse, SettingsSeal, type Touched } from "./settings-seal.ts";
import { openStateFile, STATE_FILE, tryOpen, type Rebuilt } from "./state-file.ts";

/** What a check of the file led to; null when nothing had changed. */
export type StateChange =
  | { readonly kind: "made again" }
  /** About the copy of the settings, not the file itself. */
  | { readonly kind: "copy made again"; readonly file: string }
  | { readonly kind: "writable" }
  | { readonly kind: "unwritable"; readonly reason: string };

/** The file and its journal: `device:inode` each, or null when missing. */
interface Files {
  readonly main: string | null;
  readonly journal: string | null;
  /** The copy of the settings; also by its time, as free inodes are reused quickly. */
  readonly copy: string | null;
  readonly bytes: number;
}

const REPLACED = "another file has taken its place; restart the daemon to use that one, or move it away";

const CHANGED = "the file has changed since it was read; restart the daemon to use it";

const CUT = "it was cut off while the daemon ran; restart the daemon, and what was set is restored from its copy";

/** The journal is checkpointed after this many checks, so that little exists only there. */
const CHECKS_PER_CHECKPOINT = 30;

const sameFile = (status: { readonly dev: number; readonly ino: number }): string => `${status.dev}:${status.ino}`;

function inodeNow(path: string): string | null {
  const status = statSync(path, { throwIfNoEntry: false });
  return status === undefined ? null : sameFile(status);
}

function filesNow(file: string): Files {
  const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return { main: inodeNow(file), journal: inodeNow(`${file}-wal`), copy: copyNow(file), bytes };
}

const copyOf = (file: string): string => join(dirname(file), COPY_FILE);

const copyNow = (file: string): string | null => {
  const status = statSync(copyOf(file), { throwIfNoEntry: false });
  return status === undefined ? null : `${sameFile(status)}:${status.mtimeMs}`;
};

/**
 * `device:inode` of a file, without blocking, as its disk may hang; null when it is gone. Throws when that cannot be found out.
 */
export async function inodeOf(path: string): Promise<string | null> {
  try {
    return sameFile(await stat(path));
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw thrown;
  }
}

/** Null while unknown. */
async function filesLater(file: string): Promise<Files | null> {
  try {
    const main = await inodeOf(file);
    const bytes = main === null ? 0 : (await stat(file)).size;
    const journal = await inodeOf(`${file}-wal`);
    const copy = await inodeOf(copyOf(file));
    return { main, journal, copy: copy === null ? null : `${copy}:${(await stat(copyOf(file))).mtimeMs}`, bytes };
  } catch {
    return null;
  }
}

export class StateStore {
  readonly file: string;
  readonly rebuilt: Rebuilt | null;
  /** Why settings are refused; null when they can be written. */
  problem: string | null;
  #database: DatabaseSync;
  #files: Files;
  #isCopy: boolean;
  /** The file has changed since it was copied. */
  #isForeign = false;
  #isChecking = false;
  #seal: SettingsSeal;
  /** Checks since the last checkpoint. */
  #checks = 0;
  /** Event numbers up to this one are not used again: someone may have seen them. */
  readonly eventsFrom: number;

  /** @throws ControlError, see `openStateFile` */
  constructor(directory: string, nowMs: number) {
    this.file = join(directory, STATE_FILE);
    const wasKilled = existsSync(join(directory, LIFE_FILE));
    const { database, rebuilt, known, isCopyOutdated, eventsFrom, copied } = openStateFile(directory, nowMs, wasKilled);
    this.rebuilt = rebuilt;
    this.problem = copied;
    this.#database = database;
    this.#isCopy = copied !== null;
    this.eventsFrom = eventsFrom;
    this.#seal = new SettingsSeal(database, copyOf(this.file), known);
    if (!this.#isCopy) this.#begin(isCopyOutdated);
    this.#files = filesNow(this.file);
  }

  /** All settings are in the file, and in its copy, before anything else happens. */
  #begin(isCopyOutdated: boolean): void {
    try {
      if (isCopyOutdated) {
        this.#database.exec("BEGIN IMMEDIATE");
        this.#seal.prepare([], this.#newestEvent());
        this.#database.exec("COMMIT");
        this.#seal.publish();
      }
      markInUse(this.#database, true);
      this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (thrown) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      // A full disk is no reason not to start: settings are in force, and none can be changed until this has succeeded.
      this.problem = reasonOf(thrown);
    }
  }

  /** Why the settings are incomplete; null when they are complete. */
  get incomplete(): string | null {
    return incompleteOf(this.#database);
  }

  /** Last in a transaction that changed settings. */
  seal(touched: readonly Touched[], lastEvent: number): void {
    this.#seal.prepare(touched, lastEvent);
  }

  /** After that transaction. It is committed whatever happens to the copy, which is then out of date and rewritten by a check. */
  published(): void {
    // The next check copies it from the journal into the file as well.
    this.#checks = CHECKS_PER_CHECKPOINT;
    try {
      this.#seal.publish();
      this.#files = { ...this.#files, copy: copyNow(this.file) };
    } catch {
      this.#files = { ...this.#files, copy: null };
    }
  }

  unsealed(touched: readonly Touched[]): void {
    this.#seal.revert(touched);
  }

  /** The seal after a change: anything prepared for the previous one is void. */
  get database(): DatabaseSync {
    return this.#database;
  }

  /** Checks that the file is still the one that is open, and repairs what can be repaired. */
  async check(): Promise<StateChange | null> {
    if (this.#isChecking) return null;
    this.#isChecking = true;
    try {
      const before = this.#files;
      const now = await filesLater(this.file);
      // If this daemon has changed the files meanwhile, the next check decides.
      if (now === null || this.#files !== before || !this.#database.isOpen) return null;
      return this.#mend(now);
    } finally {
      this.#isChecking = false;
    }
  }

  #mend(now: Files): StateChange | null {
    const before = this.problem;
    try {
      if (now.main === null) {
        this.#makeAgain();
        return { kind: "made again" };
      }
      if (this.#isCopy) this.#returnToFile();
      else if (now.main !== this.#files.main) throw new Error(REPLACED);
      else if (now.journal !== this.#files.journal) {
        this.#reopen();
        return { kind: "made again" };
      } else if (now.bytes < this.#files.bytes) throw new Error(CUT);
      this.problem = null;
      if (now.copy === null || now.copy !== this.#files.copy) return this.#renewCopy();
      this.#emptyJournal();
      return before === null ? null : { kind: "writable" };
    } catch (thrown) {
      this.problem = reasonOf(thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown);
      return this.problem === before ? null : { kind: "unwritable", reason: this.problem };
    }
  }

  #renewCopy(): StateChange {
    this.#seal.renewCopy(this.#newestEvent());
    this.#files = filesNow(this.file);
    return { kind: "copy made again", file: copyOf(this.file) };
  }

  #newestEvent(): number {
    return Number(this.#database.prepare("SELECT coalesce(max(id), 0) AS last FROM events").get()?.["last"]);
  }

  #emptyJournal(): void {
    if (++this.#checks < CHECKS_PER_CHECKPOINT) return;
    this.#checks = 0;
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#files = filesNow(this.file);
  }

  /** The file is gone: what is open is written to a new file, which is on disk before it gets the name. */
  #makeAgain(): void {
    const fresh = `${this.file}.new`;
    mkdirSync(dirname(this.file), { recursive: true, mode: 0o750 });
    for (const old of [fresh, `${this.file}-wal`, `${this.file}-shm`]) rmSync(old, { force: true });
    this.#database.prepare("VACUUM INTO ?").run(fresh);
    const descriptor = openSync(fresh, "r+");
    fsyncSync(descriptor);
    closeSync(descriptor);
    // SQLite would ignore another file's journal anyway, but nothing should depend on that.
    const before = this.#database;
    renameSync(fresh, this.file);
    this.#take(this.#open());
    before.close();
    if (filesNow(this.file).journal !== this.#files.journal) this.#reopen();
  }

  /** The journal is gone but the file is not: the journal's content is copied into the file. */
  #reopen(): void {
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#database.close();
    this.#take(this.#open());
  }

  /** No setting changed meanwhile; new events are copied into the file. */
  #returnToFile(): void {
    // A clearer error than SQLite's.
    accessSync(dirname(this.file), constants.W_OK);
    if (this.#isForeign) throw new Error(CHANGED);
    const opened = this.#open();
    if (!holdTheSame(opened, this.#database)) {
      opened.close();
      this.#isForeign = true;
      throw new Error(CHANGED);
    }
    const last = Number(opened.prepare("SELECT coalesce(max(id), 0) AS last FROM events").get()?.["last"]);
    const add = opened.prepare("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)");
    opened.exec("BEGIN IMMEDIATE");
    for (const row of this.#database.prepare("SELECT * FROM events WHERE id > ? ORDER BY id").iterate(last)) {
      add.run(...Object.values(row));
    }
    opened.exec("COMMIT");
    this.#database.close();
    this.#take(opened);
  }

  #open(): DatabaseSync {
    // Without a file, opening would create an empty one.
    if (!existsSync(this.file)) throw new Error(`there is no ${this.file}`);
    const opened = tryOpen(this.file);
    if (opened.kind === "damaged") throw new Error(`it is damaged (${opened.reason})`);
    return opened.database;
  }

  #take(database: DatabaseSync): void {
    this.#database = database;
    this.#seal = new SettingsSeal(database, copyOf(this.file));
    this.#isCopy = false;
    this.#isForeign = false;
    this.#files = filesNow(this.file);
    this.problem = null;
  }

  close(): void {
    if (!this.#database.isOpen) return;
    try {
      markInUse(this.#database, false);
    } catch {
      // A full disk: the next start finds no journal, and reports it.
    }
    this.#database.close();
  }
}
