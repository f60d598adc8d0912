// The product inside the guest: its daemon and its commands, run as by an administrator.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync, closeSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { until } from "../../until.ts";
import { attempt, run, type Outcome } from "./command.ts";

const CONFIGURATION = "/etc/pathmanager/pathmanager.toml";
const LOG = "/tmp/pathmanagerd.log";

/** The daemon's NBD socket. */
export const NBD_SOCKET = "/run/pathmanager/nbd.sock";

export const spscmd = (...args: readonly string[]): Outcome => attempt("node", ["host/cli/bin/spscmd.js", ...args]);
export const pathctl = (...args: readonly string[]): Outcome => attempt("node", ["host/cli/bin/pathctl.js", ...args]);

/** Runs pathctl, which must succeed. */
export function mustPathctl(...args: readonly string[]): string {
  return run("node", "host/cli/bin/pathctl.js", ...args);
}

/** The output of `pathctl status`, which ends with 0, 1 or 2 as healthy as everything is. */
export function statusText(): string {
  const { status, stdout, stderr } = pathctl("status");
  if (![0, 1, 2].includes(status) || !stdout.startsWith("version"))
    throw new Error(`status: ${status}: ${stderr}${stdout}`);
  return stdout;
}

/** The output of `spscmd -getlun`. */
export function getlun(): string {
  return run("node", "host/cli/bin/spscmd.js", "-getlun");
}

/** Whether somebody listens on the daemon's socket; cheaper than running pathctl on the guest's only processor. */
function answers(): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect("/run/pathmanager/api.sock");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(undefined));
    socket.once("connect", () => socket.destroy());
  });
}

/** What the daemon's API answers to a GET. The caller knows its form. */
export function ask<T>(path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: "/run/pathmanager/api.sock", path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.once("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as T);
        else reject(new Error(`${path}: ${response.statusCode}: ${text}`));
      });
    });
    asked.once("error", reject).end();
  });
}

/** The running daemon. */
export class Daemon {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => void child.once("exit", (status) => resolve(status)));
  }

  /**
   * Starts the daemon with this configuration and waits until it answers. Its state is kept between starts.
   * @param how.flags of Node
   */
  static async start(
    configuration: string,
    { flags = [], waitMsMax = 60_000 }: { readonly flags?: readonly string[]; readonly waitMsMax?: number } = {},
  ): Promise<Daemon> {
    // Like the installation's file in /etc/modules-load.d at boot.
    run("modprobe", "nbd");
    mkdirSync("/etc/pathmanager", { recursive: true });
    writeFileSync(CONFIGURATION, `sockets.nbd = "${NBD_SOCKET}"\nlog.system = false\n${configuration}`);
    const log = openSync(LOG, "a");
    const child = spawn("node", [...flags, "host/cli/bin/pathmanagerd.js", "--config", CONFIGURATION], {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    const daemon = new Daemon(child);
    let dead = false;
    void daemon.#ended.then(() => (dead = true));
    await until(
      "the daemon answers",
      () => {
        if (dead) throw new Error(`the daemon ended at its start:\n${Daemon.log()}`);
        return answers();
      },
      waitMsMax,
    );
    return daemon;
  }

  /** The daemon's output so far. */
  static log(): string {
    return readFileSync(LOG, "utf8");
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends SIGTERM; returns the exit status and the time until exit, in ms. */
  async stop(): Promise<{ readonly status: number | null; readonly ms: number }> {
    const begin = performance.now();
    this.#child.kill("SIGTERM");
    const status = await this.#ended;
    return { status, ms: performance.now() - begin };
  }

  /** Sends SIGKILL, and waits for the end of its control, too, which must not be taken for the next daemon's. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
    await until("nobody answers any more", async () => (await answers()) === undefined || undefined);
  }
}
