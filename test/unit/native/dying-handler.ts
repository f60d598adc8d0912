// A thread that serves a TCMU device and ends with an error in the middle of a command, as a reactor whose core traps.

import { parentPort } from "node:worker_threads";
import { FakeTarget } from "./fake-target.ts";

const target = new FakeTarget();
target.command(1, [0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0], target.areas(4096));
target.turn();
if (target.entries().length !== 1) throw new Error("the command has not come to the door");
parentPort?.postMessage({ folder: target.folder, peer: target.peer });
parentPort?.once("message", () => {
  // Named here so that it is not collected, and its device unmapped, while the thread waits.
  void target;
  throw new Error("trap");
});
