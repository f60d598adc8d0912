// What the kernel knows of a process's threads.

import { readdirSync, readFileSync } from "node:fs";

/** PF_MEMALLOC_NOIO of the kernel (include/linux/sched.h): the thread's wish for memory starts no I/O. */
const NO_IO = 0x0008_0000;

export interface Thread {
  /** Whether its wish for memory waits for no I/O. */
  readonly isIoFlusher: boolean;
  /** Niceness, -20 to 19. */
  readonly nice: number;
}

/** Flags and niceness from /proc/PID/task/TID/stat, proc_pid_stat(5). */
export function threadsOf(pid: number): Thread[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => {
    const text = readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { isIoFlusher: (Number(fields[6]) & NO_IO) !== 0, nice: Number(fields[16]) };
  });
}
