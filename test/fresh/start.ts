// Starts the daemon as the README says, reads from it, and ends it by SIGINT.

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import type { Machine } from "./machine.ts";

/** From nothing: dependencies, core, native addon; on a machine that has other things to do as well. */
const START_MS_MAX = 600_000;
const STOP_MS_MAX = 10_000;

/** The address, as the daemon prints it for somebody who wants to try. */
const ADDRESS = /nbdinfo '(nbd\+unix:[^']+)'/;

/**
 * @param to whom the signal is sent: to the whole process group, as a terminal does, or to npm alone, as `kill` does
 */
export async function startAndRead(machine: Machine, shell: string, to: "group" | "npm"): Promise<void> {
  const child = machine.start(shell);
  const exit = once(child, "exit");
  const { pid } = child;
  if (pid === undefined) throw new Error("npm cannot be run");
  let output = "";
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const late = setTimeout(() => reject(new Error(`no NBD address after ${START_MS_MAX} ms:\n${output}`)), START_MS_MAX);
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const address = ADDRESS.exec(output)?.[1];
      if (address !== undefined) resolve(address);
    });
  }
  child.once("exit", (status, signal) => reject(new Error(`npm start ended (${status ?? signal}):\n${output}`)));
  try {
    const address = await promise;
    if (/EBADENGINE/.test(output)) throw new Error(`it warns of engines:\n${output}`);
    const info = spawnSync("nbdinfo", [address], { encoding: "utf8" });
    if (info.status !== 0 || !/export-size: \d+/.test(info.stdout)) {
      throw new Error(`nbdinfo ${address}: ${info.stdout}${info.stderr}`);
    }
    process.kill(to === "group" ? -pid : pid, "SIGINT");
    const hung = setTimeout(() => process.kill(-pid, "SIGKILL"), STOP_MS_MAX);
    const [status, signal] = (await exit) as [number | null, string | null];
    clearTimeout(hung);
    if (status !== 0) throw new Error(`after SIGINT it ended with ${status ?? signal}:\n${output}`);
  } finally {
    clearTimeout(late);
    endGroup(pid);
  }
}

/** Whatever is left of the group, after a failure, ends. */
function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing is left, as it should be.
  }
}
