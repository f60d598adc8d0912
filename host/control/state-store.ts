// Keeps the state file: notices by its inode when it is deleted or replaced while the daemon runs, makes it again from what is
// open, and goes from a copy in memory back to the file as soon as that can be written.

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
import { reasonOf } from "./errors.ts";
import { holdTheSame } from "./state-copy.ts";
import { openStateFile, STATE_FILE, tryOpen, type SetAside } from "./state-file.ts";

/** What a look at the file has led to; null: everything is as it was. */
export type StateChange =
  | { readonly kind: "made again" }
  | { readonly kind: "writable" }
  | { readonly kind: "unwritable"; readonly reason: string };

/** The file and its journal, which belongs to it: `device:inode` each, or null when there is none. */
interface Files {
  readonly main: string | null;
  readonly journal: string | null;
}

const REPLACED = "another file has taken its place; restart the daemon to use that one, or move it away";

const CHANGED = "the file has changed since it was read; restart the daemon to use it";

const sameFile = (status: { readonly dev: number; readonly ino: number }): string => `${status.dev}:${status.ino}`;

function inodeNow(path: string): string | null {
  const status = statSync(path, { throwIfNoEntry: false });
  return status === undefined ? null : sameFile(status);
}

const filesNow = (file: string): Files => ({ main: inodeNow(file), journal: inodeNow(`${file}-wal`) });

/** `device:inode` of a file without holding anybody up, as its disk may hang; null: it is gone. Throws when nobody can say. */
export async function inodeOf(path: string): Promise<string | null> {
  try {
    return sameFile(await stat(path));
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw thrown;
  }
}

/** Null: nobody knows now. */
async function filesLater(file: string): Promise<Files | null> {
  try {
    return { main: await inodeOf(file), journal: await inodeOf(`${file}-wal`) };
  } catch {
    return null;
  }
}

export class StateStore {
  readonly file: string;
  readonly setAside: SetAside | null;
  /** Settings are refused for this reason; null: they are written. */
  problem: string | null;
  #database: DatabaseSync;
  #files: Files;
  #isCopy: boolean;
  /** The file holds something else than the copy that was made of it. */
  #isForeign = false;
  #isLooking = false;

  /** @throws ControlError, see `openStateFile` */
  constructor(directory: string, nowMs: number) {
    this.file = join(directory, STATE_FILE);
    const { database, setAside, copied } = openStateFile(directory, nowMs);
    this.setAside = setAside;
    this.problem = copied;
    this.#database = database;
    this.#isCopy = copied !== null;
    this.#files = filesNow(this.file);
  }

  /** Another one after a change: what was prepared of the one before is void. */
  get database(): DatabaseSync {
    return this.#database;
  }

  /** Looks whether the file is still the one that is open, and mends what can be mended. */
  async look(): Promise<StateChange | null> {
    if (this.#isLooking) return null;
    this.#isLooking = true;
    try {
      const now = await filesLater(this.file);
      if (now === null || !this.#database.isOpen) return null;
      return this.#mend(now);
    } finally {
      this.#isLooking = false;
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
      }
      this.problem = null;
      return before === null ? null : { kind: "writable" };
    } catch (thrown) {
      this.problem = reasonOf(thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown);
      return this.problem === before ? null : { kind: "unwritable", reason: this.problem };
    }
  }

  /** The file is gone: what is open is written to a new one, which is on the disk before it has the name. */
  #makeAgain(): void {
    const fresh = `${this.file}.new`;
    mkdirSync(dirname(this.file), { recursive: true, mode: 0o750 });
    for (const old of [fresh, `${this.file}-wal`, `${this.file}-shm`]) rmSync(old, { force: true });
    this.#database.prepare("VACUUM INTO ?").run(fresh);
    const descriptor = openSync(fresh, "r+");
    fsyncSync(descriptor);
    closeSync(descriptor);
    // Of its own accord SQLite leaves the journal of another file alone, but nothing has to rest on that.
    const before = this.#database;
    renameSync(fresh, this.file);
    this.#take(this.#open());
    before.close();
    if (filesNow(this.file).journal !== this.#files.journal) this.#reopen();
  }

  /** The journal is gone, the file is not: what stood in the one is brought into the other. */
  #reopen(): void {
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#database.close();
    this.#take(this.#open());
  }

  /** Nothing was set meanwhile; what happened meanwhile goes into the file. */
  #returnToFile(): void {
    // Says it better than SQLite does.
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
    // Without a file, opening would make an empty one.
    if (!existsSync(this.file)) throw new Error(`there is no ${this.file}`);
    const opened = tryOpen(this.file);
    if (opened.kind === "damaged") throw new Error(`it is damaged (${opened.reason})`);
    return opened.database;
  }

  #take(database: DatabaseSync): void {
    this.#database = database;
    this.#isCopy = false;
    this.#isForeign = false;
    this.#files = filesNow(this.file);
    this.problem = null;
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}
