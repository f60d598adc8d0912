// A process's threads as the kernel sees them.

import { readdirSync, readFileSync } from "node:fs";

/** PF_MEMALLOC_NOIO of the kernel (include/linux/sched.h): memory allocations of the thread start no I/O. */
const NO_IO = 0x0008_0000;

export interface Thread {
  /** Its name; the process's if it has not set one. */
  readonly name: string;
  /** Whether its memory allocations wait for no I/O. */
  readonly isIoFlusher: boolean;
  /** Niceness, -20 to 19. */
  readonly nice: number;
}

/** Name, flags and niceness from /proc/PID/task/TID/stat, proc_pid_stat(5). */
export function threadsOf(pid: number): Thread[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => {
    const text = readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const name = text.slice(text.indexOf("(") + 1, text.lastIndexOf(")"));
    return { name, isIoFlusher: (Number(fields[6]) & NO_IO) !== 0, nice: Number(fields[16]) };
  });
}

/** Threads that carry I/O. Node's others (V8's, its inspector's) are started before any line of the daemon runs. */
const CARRIERS: ReadonlySet<string> = new Set(["MainThread", "reactor", "libuv-worker"]);

/** The threads of a daemon that carry I/O; throws when its main thread or its reactor is missing. */
export function carriersOf(pid: number): Thread[] {
  const carriers = threadsOf(pid).filter(({ name }) => CARRIERS.has(name));
  for (const name of ["MainThread", "reactor"]) {
    if (!carriers.some((thread) => thread.name === name)) {
      throw new Error(`process ${pid} has no thread ${name}: ${JSON.stringify(threadsOf(pid))}`);
    }
  }
  return carriers;
}
