// Keeps what is compared on one processor: two of a virtual machine's may differ by half in one second and not in the next,
// depending on their host's other work, and a new program may start on either.

import { spawnSync } from "node:child_process";

/** util-linux's taskset on all threads of this process. Undefined if it is missing, or the kernel refuses. */
function taskset(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("taskset", ["-a", "-p", ...args, String(process.pid)], { encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}

/**
 * Does `work` with all threads of this process, and every program it starts, on the last processor; afterwards they may
 * run where they did before. If that is not possible, `work` runs on any processor.
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
