// test/rig/lib/ublk-server.ts as a process of its own, and the load on its device.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { ublkDelete } from "../../../host/native/index.ts";
import { until } from "../../until.ts";
import { run, start } from "./command.ts";
import { runFio, type Load } from "./fio.ts";
import { afterwards } from "./test.ts";

export const UBLK_DEVICE = "/dev/ublkb0";
/** Only what hangs takes longer: the machine's instructions are translated, on a host that may be busy. */
export const MS_MAX = 300_000;

export class UblkProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  said = "";

  /** @param how options of ublk-server.ts */
  constructor(how: readonly string[] = [], mib = 64) {
    const args = ["test/rig/lib/ublk-server.ts", "0", String(mib), ...how];
    this.child = spawn("node", args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on("data", (bytes: Buffer) => void (this.said += bytes.toString()));
    this.ended = new Promise((resolve) => void this.child.once("exit", () => resolve()));
    afterwards(async () => {
      await this.end("SIGKILL");
      // Whatever has failed, the next test finds no device.
      if (existsSync("/dev/ublkc0")) await ublkDelete(0);
    });
  }

  /** One that serves the device. */
  static async serving(how: readonly string[] = [], mib = 64): Promise<UblkProcess> {
    const server = new UblkProcess(how, mib);
    await server.says(`serves ${UBLK_DEVICE}`);
    return server;
  }

  async says(text: string): Promise<void> {
    const said = (): boolean => this.said.includes(text);
    await until(
      `the server says "${text}"`,
      () => {
        if (this.child.exitCode !== null && !said()) throw new Error(`the server has ended: ${this.said}`);
        return said();
      },
      MS_MAX,
    );
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    await this.ended;
  }

  async detach(): Promise<void> {
    this.child.kill("SIGUSR2");
    await this.says("detached");
    assert.ok(!this.said.includes("not detached"), this.said);
    await this.end("SIGTERM");
  }
}

export const verified = (filename: string, mib: number, largest = "32k"): Promise<Load> =>
  runFio({
    name: "verified",
    filename,
    rw: "randwrite",
    bsrange: `4k-${largest}`,
    size: `${mib}m`,
    io_size: `${mib}m`,
    direct: 1,
    ioengine: "libaio",
    iodepth: 16,
    verify: "crc32c",
    verify_backlog: 64,
    verify_fatal: 1,
  });

/** Writes that the device has completed. */
export const written = (): number => Number(readFileSync("/sys/block/ublkb0/stat", "utf8").trim().split(/\s+/)[4]);

/** One block. */
export const readOne = (): ReturnType<typeof start> =>
  start("dd", `if=${UBLK_DEVICE}`, "of=/dev/null", "bs=4k", "count=1", "iflag=direct");

export function nothingIsLeft(): void {
  assert.ok(!existsSync(UBLK_DEVICE) && !existsSync("/dev/ublkc0"), "nothing is left of the device");
  const stuck = run("ps", "-eo", "stat=,comm=")
    .split("\n")
    .filter((line) => /^D.* (dd|fio|node|MainThread)/.test(line));
  assert.deepEqual(stuck, [], "no process hangs in the kernel");
}
