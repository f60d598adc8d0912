// A real daemon on the emulated array, in a folder of its own.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Client, CommandError } from "../../../host/cli/api-client.ts";
import { until } from "../../until.ts";

const binary = (name: string): string => new URL(`../../../host/cli/bin/${name}.js`, import.meta.url).pathname;

const statusOf = (process: string): Promise<string> => readFile(`/proc/${process}/status`, "utf8");

const bytesOf = (status: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;

export class RealDaemon implements AsyncDisposable {
  readonly folder: string;
  readonly socket: string;
  readonly nbdSocket: string;
  readonly client: Client;
  #child: ChildProcess | undefined;
  #log = "";

  private constructor(folder: string) {
    this.folder = folder;
    this.socket = join(folder, "api.sock");
    this.nbdSocket = join(folder, "nbd.sock");
    this.client = new Client(this.socket);
  }

  /** Starts a daemon; `more` is added to its configuration. */
  static async start(more = ""): Promise<RealDaemon> {
    const daemon = new RealDaemon(await mkdtemp(join(tmpdir(), "pathmanager-daemon-")));
    const sockets = `[sockets]\napi = "${daemon.socket}"\nnbd = "${daemon.nbdSocket}"\n`;
    const places = `[state]\ndirectory = "${daemon.folder}"\n[log]\nfile = "${join(daemon.folder, "spsevent.log")}"\nsystem = false\n`;
    const source = /\bdevices\b|\bemulated\b|\[array\]/.test(more) ? "" : "emulated = true\n";
    await writeFile(daemon.configuration, `${source}${more}\n${sockets}${places}`);
    try {
      await daemon.begin();
    } catch (thrown) {
      // A daemon that nobody knows keeps the test's process, and a processor, for good.
      await daemon[Symbol.asyncDispose]();
      throw thrown;
    }
    return daemon;
  }

  get configuration(): string {
    return join(this.folder, "pathmanager.toml");
  }

  get log(): string {
    return this.#log;
  }

  async begin(): Promise<void> {
    const program = binary("pathmanagerd");
    // The options of Node that its first line names, as a shell starts it.
    const [first = ""] = (await readFile(program, "utf8")).split("\n", 1);
    const options = first.split(" ").filter((word) => word.startsWith("--"));
    const child = spawn(process.execPath, [...options, program, "--config", this.configuration], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#log += text;
      });
    }
    await until("the daemon answers", async () => {
      if (child.exitCode !== null) throw new Error(`the daemon ended: ${this.#log}`);
      try {
        await this.client.call("GET", "/v1/status");
        return true;
      } catch (error) {
        // NO_ANSWER: the socket of one that was killed is closed a moment after it.
        if (error instanceof CommandError && ["NOT_RUNNING", "NO_ANSWER"].includes(error.code)) return false;
        throw error;
      }
    });
  }

  /** The process of control; null while there is none. */
  async control(): Promise<number | null> {
    const pid = String(this.#child?.pid);
    const [first = ""] = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).split(" ");
    return first === "" ? null : Number(first);
  }

  /**
   * Largest resident memory since it was started, in bytes: of what carries I/O and of control. What lies in files, Node above
   * all, is the same memory for both.
   */
  async peakBytes(): Promise<number> {
    const pid = String(this.#child?.pid);
    let bytes = bytesOf(await statusOf(pid), "VmHWM");
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
    for (const child of children.split(" ").filter((word) => word !== "")) {
      const status = await statusOf(child);
      bytes += bytesOf(status, "VmHWM") - bytesOf(status, "RssFile");
    }
    return bytes;
  }

  /** Ends it; answers how it ended. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const exit = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    child.kill(signal);
    const [code, by] = await exit;
    return code ?? by;
  }

  /** A folder with `pathctl` and `spscmd` as an installation has them, for a shell's PATH. */
  async programs(): Promise<string> {
    for (const name of ["pathctl", "spscmd"]) {
      const file = join(this.folder, name);
      await writeFile(file, `#!/bin/sh\nexec "${process.execPath}" "${binary(name)}" "$@"\n`);
      await chmod(file, 0o755);
    }
    return this.folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
    await rm(this.folder, { recursive: true });
  }
}
