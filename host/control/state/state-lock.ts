// Who has the state file: SQLite locks it while a daemon runs, and a file beside it names that daemon.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ControlError } from "../ground/control-errors.ts";
import { daemonPid } from "../ground/own-process.ts";

const PID_FILE = "pathmanager.pid";

/** A killed daemon holds its locks until the kernel has freed its memory; if that takes longer, it hangs. */
const PREDECESSOR_MS_MAX = 5_000;
const RETRY_MS = 20;

/** Only so that a second daemon can name the first. */
export function writePid(directory: string): void {
  try {
    writeFileSync(join(directory, PID_FILE), `${daemonPid()}\n`);
  } catch {
    // A full disk: the second daemon is refused without a process id.
  }
}

function ownerOf(directory: string): number | null {
  const file = join(directory, PID_FILE);
  const pid = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
  return /^[1-9]\d*$/.test(pid) ? Number(pid) : null;
}

/** Why a locked state file cannot be opened. */
export function locked(file: string, directory: string): ControlError {
  const pid = ownerOf(directory);
  const who = pid === null ? "another daemon" : `another daemon (process ${pid})`;
  return new ControlError("STATE_LOCKED", `${who} is using the state file ${file}`, {
    parameter: file,
    remedy: "stop it first, or give this one another state.directory",
  });
}

/**
 * Whether the daemon named in the directory has ended: then another process of its, which is also ending, still holds the lock.
 */
function isOwnerGone(directory: string): boolean {
  const pid = ownerOf(directory);
  if (pid === null) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (thrown) {
    return thrown instanceof Error && "code" in thrown && thrown.code === "ESRCH";
  }
}

/**
 * Returns what `open` returns. It is called again while a killed predecessor holds the lock, for `limitMs` at most.
 * @throws what `open` throws; STATE_LOCKED at once if the other daemon is alive
 */
export function afterPredecessor<Result>(directory: string, open: () => Result, limitMs = PREDECESSOR_MS_MAX): Result {
  const end = performance.now() + limitMs;
  for (;;) {
    try {
      return open();
    } catch (thrown) {
      const isLocked = thrown instanceof ControlError && thrown.code === "STATE_LOCKED";
      if (!isLocked || !isOwnerGone(directory) || performance.now() >= end) throw thrown;
    }
    // The daemon serves nothing yet, so blocking delays nobody.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
  }
}
