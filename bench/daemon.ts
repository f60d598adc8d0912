// A daemon on the emulated array, in its own folder, started the way `pathmanagerd` starts itself.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../host/cli/api-client.ts";

const PROGRAM = new URL("../host/cli/bin/pathmanagerd.js", import.meta.url).pathname;
const POLL_MS = 5;
const START_MS_MAX = 600_000;

/** Node's options in the first line of a program. */
function nodeOptions(file: string): string[] {
  const first = readFileSync(file, "utf8").split("\n", 1)[0] ?? "";
  return first.split(" ").filter((word) => word.startsWith("--"));
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

export class BenchDaemon {
  readonly client: Client;
  readonly socket: string;
  readonly nbdSocket: string;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder;
    this.#child = child;
    this.socket = join(folder, "api.sock");
    this.nbdSocket = join(folder, "nbd.sock");
    this.client = new Client(this.socket);
  }

  /** Starts one and waits until it answers. @param more TOML before the folder's own settings */
  static async start(more: string): Promise<{ readonly daemon: BenchDaemon; readonly startMs: number }> {
    const folder = mkdtempSync(join(tmpdir(), "pathmanager-bench-"));
    const sockets = `[sockets]\napi = "${folder}/api.sock"\nnbd = "${folder}/nbd.sock"\n`;
    const places = `[state]\ndirectory = "${folder}"\n[log]\nfile = "${folder}/spsevent.log"\nsystem = false\n`;
    writeFileSync(join(folder, "pathmanager.toml"), `${more}\n${sockets}${places}`);
    const begin = performance.now();
    const args = [
      ...nodeOptions(PROGRAM),
      PROGRAM,
      "--config",
      join(folder, "pathmanager.toml"),
      "--log-level",
      "error",
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    const daemon = new BenchDaemon(folder, child);
    while (!(await daemon.#answers())) {
      if (child.exitCode !== null) throw new Error(`the daemon ended with status ${child.exitCode}`);
      if (performance.now() - begin > START_MS_MAX) {
        child.kill("SIGKILL");
        throw new Error("the daemon does not start");
      }
      await sleep(POLL_MS);
    }
    return { daemon, startMs: performance.now() - begin };
  }

  async #answers(): Promise<boolean> {
    try {
      await this.client.call("GET", "/v1/status");
      return true;
    } catch {
      return false;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Largest resident memory so far, in MB. */
  peakMegabytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    return (Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) * 1024) / 1e6;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      const exit = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      await exit;
    }
    rmSync(this.#folder, { recursive: true });
  }
}
