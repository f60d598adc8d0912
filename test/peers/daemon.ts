// The real daemon on the emulated array, in its own folder, and its API.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FaultRequest } from "../../host/control/schemas/fault-schema.ts";
import type { Status } from "../../host/control/schemas/status-schema.ts";
import type { UnitView } from "../../host/control/schemas/unit-schema.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const START_MS_MAX = 20_000;

export interface DaemonOptions {
  /** Lines of pathmanager.toml after the sockets and the state folder, which the daemon's folder determines. */
  readonly configuration: string;
}

export class Daemon {
  readonly folder: string;
  readonly #configuration: string;
  #child: ChildProcess | undefined = undefined;

  constructor(folder: string, options: DaemonOptions) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    this.#configuration = join(folder, "pathmanager.toml");
    writeFileSync(
      this.#configuration,
      `sockets.api = "${this.apiSocket}"
sockets.nbd = "${this.nbdSocket}"
state.directory = "${join(folder, "state")}"
log.file = "${join(folder, "spsevent.log")}"
log.system = false
${options.configuration}
`,
    );
  }

  get apiSocket(): string {
    return join(this.folder, "api.sock");
  }

  get nbdSocket(): string {
    return join(this.folder, "nbd.sock");
  }

  get log(): string {
    return join(this.folder, "daemon.log");
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("the daemon does not run");
    return pid;
  }

  /** The NBD URI of an export. */
  uri(name: string): string {
    return `nbd+unix:///${name}?socket=${this.nbdSocket}`;
  }

  /** Starts the daemon and waits until it answers. */
  async start(): Promise<void> {
    const log = { stdout: "", at: this.log };
    const child = spawn(process.execPath, ["host/cli/pathmanagerd.ts", "--config", this.#configuration], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const keep = (chunk: unknown): void => {
      log.stdout = (log.stdout + String(chunk)).slice(-100_000);
      writeFileSync(log.at, log.stdout);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const end = Date.now() + START_MS_MAX;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the daemon ended with status ${child.exitCode}\n${log.stdout}`);
      const answering = await this.status().then(
        () => true,
        () => false,
      );
      if (answering) return;
      if (Date.now() > end) throw new Error(`the daemon does not answer within ${START_MS_MAX} ms\n${log.stdout}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Ends the daemon with a signal and waits until it is gone; returns how long that took. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return 0;
    const began = Date.now();
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    const hard = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await gone;
    clearTimeout(hard);
    this.#child = undefined;
    return Date.now() - began;
  }

  /** One call of the API; throws the daemon's own message when it refuses. */
  call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { "content-type": "application/json" };
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.apiSocket, method, path, headers, timeout: 10_000 }, (response) => {
        let answer = "";
        response.on("data", (chunk) => (answer += String(chunk)));
        response.on("end", () => {
          if ((response.statusCode ?? 500) < 400) resolve(JSON.parse(answer));
          else reject(new Error(`${method} ${path}: ${answer}`));
        });
      });
      sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer`)));
      sent.on("error", reject);
      sent.end(text);
    });
  }

  status(): Promise<Status> {
    return this.call("GET", "/v1/status");
  }

  async units(): Promise<UnitView[]> {
    return (await this.call<{ units: UnitView[] }>("GET", "/v1/units")).units;
  }

  async unit(number: number): Promise<UnitView> {
    return this.call("GET", `/v1/units/${number}`);
  }

  async addFault(fault: FaultRequest): Promise<number> {
    return (await this.call<{ id: number }>("POST", "/v1/array/faults", fault)).id;
  }

  async removeFaults(): Promise<void> {
    await this.call("DELETE", "/v1/array/faults");
  }

  /** Everything that could leak: requests, connections, descriptors, memory. */
  async holdings(): Promise<{ requests: number; connections: number; descriptors: number; residentKib: number }> {
    const units = await this.units();
    const { readdirSync } = await import("node:fs");
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return {
      requests: units.reduce((sum, unit) => sum + unit.statistics.requests, 0),
      connections: units.reduce((sum, unit) => sum + unit.statistics.connections, 0),
      descriptors: readdirSync(`/proc/${this.pid}/fd`).length,
      residentKib: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0),
    };
  }
}
