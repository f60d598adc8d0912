// Keeping what is compared on one processor: two of a virtual machine's may differ by half in one second and not in the next,
// by what else their host does, and a program that is started lands on either.

import { spawnSync } from "node:child_process";

/** util-linux's taskset on all threads of this process. Undefined where there is none, or the kernel refuses. */
function taskset(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("taskset", ["-a", "-p", ...args, String(process.pid)], { encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}

/**
 * Does `work` with all threads of this process, and every program it starts, on the last processor; afterwards they may
 * run where they did before. Where that cannot be done, `work` runs wherever it does.
 */
export async function onOneProcessor<T>(work: () => Promise<T>): Promise<T> {
  const before = /affinity mask: ([0-9a-f,]+)$/m.exec(taskset() ?? "")?.[1];
  if (before === undefined) return work();
  const last = BigInt(`0x${before.replaceAll(",", "")}`).toString(2).length - 1;
  taskset("-c", String(last));
  try {
    return await work();
  } finally {
    taskset(before);
  }
}
