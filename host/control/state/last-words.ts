// How the previous daemon ended. A file beside the state exists while a daemon runs: a daemon that finds it at its start knows
// that the previous one was not stopped, and reads the reason there if that one could still write it.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { reasonOf } from "../ground/control-errors.ts";
import { daemonPid } from "../ground/own-process.ts";

export const LIFE_FILE = "running.json";
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

const Life = z.object({
  pid: z.number(),
  /** Boot id of the machine; null when the kernel does not provide it. */
  boot: z.string().nullable(),
  /** Why it ended; null while it runs, or when it could not say. */
  death: z.string().nullable(),
});
type Life = z.infer<typeof Life>;

/** How an earlier daemon ended that was not stopped. */
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
    // No daemon ran here, or the machine went down during the write: the state file is what counts.
    return null;
  }
}

export class LastWords {
  readonly #file: string;
  readonly #boot = bootId();
  /** What became of the previous daemon; null when it was stopped, or there was none. */
  readonly found: Death | null;
  /** It was not stopped, and the machine has run since: the kernel may still carry out its commands. */
  readonly mayHaveLeft: boolean;

  /** To be created after locking the state file: by then the other daemon is gone. */
  constructor(directory: string) {
    this.#file = join(directory, LIFE_FILE);
    const before = read(this.#file);
    this.found = before === null ? null : { pid: before.pid, reason: this.#reasonOf(before) };
    this.mayHaveLeft = before !== null && before.boot === this.#boot;
    this.write();
  }

  #reasonOf({ boot, death }: Life): string {
    if (death !== null) return death;
    if (boot !== this.#boot) return "the machine went down";
    return "it was killed, or it crashed; the kernel's log may tell more (out of memory, a core dump)";
  }

  /** This daemon runs, or dies of `death`. A disk error need not be reported here: writing the state reports it. */
  write(death: string | null = null): void {
    const life: Life = { pid: daemonPid(), boot: this.#boot, death };
    try {
      writeFileSync(`${this.#file}.new`, `${JSON.stringify(life)}\n`, { mode: 0o640 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch {
      // Without the file, the next start reports nothing.
    }
  }

  /** This daemon was stopped. */
  remove(): void {
    try {
      rmSync(this.#file, { force: true });
    } catch {
      // The next start will report a death that did not happen.
    }
  }
}

/** One line for anything thrown: what, and where. */
export function defectOf(thrown: unknown): string {
  const where = thrown instanceof Error ? /^\s+at (.+)$/m.exec(thrown.stack ?? "")?.[1] : undefined;
  const name = thrown instanceof Error ? `${thrown.name}: ` : "";
  const reason = `${name}${reasonOf(thrown)}`.replaceAll(/\s*\n\s*/g, " ");
  return where === undefined ? reason : `${reason} (at ${where})`;
}
