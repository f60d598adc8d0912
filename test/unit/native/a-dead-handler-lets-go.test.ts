// One of several reactors may end alone. The next one can take its SCSI devices over only when nothing of the dead thread holds them.

import { closeSync, readFileSync, readSync, rmSync } from "node:fs";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import test from "ava";
import { until } from "../../until.ts";

const isMapped = (folder: string): boolean => readFileSync("/proc/self/maps", "utf8").includes(folder);

/** Nobody has the other end any more. */
function isHungUp(socket: number): boolean {
  try {
    return readSync(socket, new Uint8Array(64)) === 0;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ECONNRESET") return true;
    if (thrown instanceof Error && "code" in thrown && thrown.code === "EAGAIN") return false;
    throw thrown;
  }
}

test("a thread that dies in the middle of a command lets go of its TCMU device", async (t) => {
  const worker = new Worker(new URL("./dying-handler.ts", import.meta.url));
  const died = new Promise((resolve) => worker.once("exit", resolve));
  const reason = new Promise<Error>((resolve) => worker.once("error", (thrown) => resolve(thrown as Error)));
  const [{ folder, peer }] = (await once(worker, "message")) as [{ folder: string; peer: number }];
  t.true(isMapped(folder));
  t.false(isHungUp(peer));
  worker.postMessage("die");
  t.is((await reason).message, "trap");
  await died;
  await until("the device is not mapped any more", () => !isMapped(folder));
  await until("the device is not open any more", () => isHungUp(peer));
  closeSync(peer);
  rmSync(folder, { recursive: true });
});
