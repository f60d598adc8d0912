// How the daemon before this one ended. A file beside the state stands for as long as a daemon runs: who finds it at the
// start knows that the last one was not stopped, and reads there why, if that one could still write it.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { reasonOf } from "../ground/errors.ts";
import { daemonPid } from "../ground/own-process.ts";

export const LIFE_FILE = "running.json";
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

const Life = z.object({
  pid: z.number(),
  /** Of this boot of the machine; null: the kernel does not say. */
  boot: z.string().nullable(),
  /** Why it ended; null: it runs, or could not say. */
  death: z.string().nullable(),
});
type Life = z.infer<typeof Life>;

/** How an earlier daemon ended without having been stopped. */
export interface Death {
  readonly pid: number;
  readonly reason: string;
}

function bootId(): string | null {
  try {
    return readFileSync(BOOT_ID, "utf8").trim();
  } catch {
    return null;
  }
}

function read(file: string): Life | null {
  try {
    return Life.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    // No daemon ran here, or the machine went down while it was written: the state file tells what counts.
    return null;
  }
}

export class LastWords {
  readonly #file: string;
  readonly #boot = bootId();
  /** What became of the daemon before this one; null: it was stopped, or there was none. */
  readonly found: Death | null;

  /** To be made by who has locked the state file: the other daemon is gone then. */
  constructor(directory: string) {
    this.#file = join(directory, LIFE_FILE);
    const before = read(this.#file);
    this.found = before === null ? null : { pid: before.pid, reason: this.#reasonOf(before) };
    this.write();
  }

  #reasonOf({ boot, death }: Life): string {
    if (death !== null) return death;
    if (boot !== this.#boot) return "the machine went down";
    return "it was killed, or it crashed; the kernel's log may tell more (out of memory, a core dump)";
  }

  /** This daemon runs, or dies of `death`. A disk that takes nothing is no reason to complain here: the state does. */
  write(death: string | null = null): void {
    const life: Life = { pid: daemonPid(), boot: this.#boot, death };
    try {
      writeFileSync(`${this.#file}.new`, `${JSON.stringify(life)}\n`, { mode: 0o640 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch {
      // Without it, the next start tells nothing.
    }
  }

  /** This daemon was stopped. */
  remove(): void {
    try {
      rmSync(this.#file, { force: true });
    } catch {
      // The next start tells of an end that was none.
    }
  }
}

/** One line for what was thrown: what, and where. */
export function defectOf(thrown: unknown): string {
  const where = thrown instanceof Error ? /^\s+at (.+)$/m.exec(thrown.stack ?? "")?.[1] : undefined;
  const name = thrown instanceof Error ? `${thrown.name}: ` : "";
  const reason = `${name}${reasonOf(thrown)}`.replaceAll(/\s*\n\s*/g, " ");
  return where === undefined ? reason : `${reason} (at ${where})`;
}
