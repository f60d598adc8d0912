// `npm run demo`: a daemon on an emulated array, verified load on its logical units, and controllers that fail and come
// back. Exits with status 1 if a single request failed or a single block did not hold what was written.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Output } from "../control/schemas/routes.ts";
import { Client, CommandError } from "./api-client.ts";
import { VerifiedLoad } from "./demo/load.ts";
import { processIo } from "./io.ts";
import { spscmd } from "./spscmd/main.ts";
import { styleFor } from "./style.ts";
import { countText, sizeText } from "./text.ts";

const START_MS_MAX = 20_000;
const ACT_MS = 2000;
const WAIT_MS_MAX = 30_000;
const POLL_MS = 50;

const io = processIo();
const style = styleFor(io);
const say = (text = ""): void => io.out(`${text}\n`);
const title = (text: string): void => say(`\n${style.strong(`== ${text}`)}`);

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** Waits until `condition` holds; returns the milliseconds it took. */
async function until(what: string, condition: () => Promise<boolean>, limitMs = WAIT_MS_MAX): Promise<number> {
  const start = performance.now();
  while (!(await condition())) {
    if (performance.now() - start > limitMs) throw new Error(`${what}: not within ${limitMs / 1000} s`);
    await sleep(POLL_MS);
  }
  return performance.now() - start;
}

/** A separate daemon in a folder of its own. */
class Stage {
  readonly client: Client;
  readonly nbdSocket: string;
  readonly #daemon: ChildProcess;
  #log = "";

  private constructor(folder: string, configuration: string) {
    this.client = new Client(join(folder, "api.sock"));
    this.nbdSocket = join(folder, "nbd.sock");
    const program = fileURLToPath(new URL("./bin/pathmanagerd.js", import.meta.url));
    this.#daemon = spawn(process.execPath, [program, "--config", configuration, "--log-level", "warning"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#daemon.stdout, this.#daemon.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#log += text;
      });
    }
  }

  static async set(folder: string): Promise<Stage> {
    const configuration = join(folder, "pathmanager.toml");
    await writeFile(
      configuration,
      `failback = "active"
[array]
units = 2
paths = 4
controllers = 2
[patrol]
interval_s = 1
threshold_s = 1
timeout_s = 2
[timeouts]
orphan_reset_ms = 500
[sockets]
api = "${join(folder, "api.sock")}"
nbd = "${join(folder, "nbd.sock")}"
[state]
directory = "${folder}"
[log]
file = "${join(folder, "spsevent.log")}"
system = false
`,
    );
    const stage = new Stage(folder, configuration);
    await until("starting the daemon", () => stage.#answers(), START_MS_MAX);
    return stage;
  }

  async #answers(): Promise<boolean> {
    if (this.#daemon.exitCode !== null) throw new Error(`the daemon ended at once:\n${this.#log}`);
    try {
      await this.client.call("GET", "/v1/status");
      return true;
    } catch (error) {
      if (error instanceof CommandError && error.code === "NOT_RUNNING") return false;
      throw error;
    }
  }

  async units(): Promise<Output<"units">["units"]> {
    return (await this.client.call<Output<"units">>("GET", "/v1/units")).units;
  }

  /** Whether exactly `count` paths are failed. */
  async hasFailed(count: number): Promise<boolean> {
    const paths = (await this.units()).flatMap((unit) => unit.paths);
    return paths.filter((path) => path.state === "failed").length === count;
  }

  /** Prints what an operator would see. */
  async show(): Promise<void> {
    say(style.faint("$ spscmd -getlun"));
    await spscmd(["-getlun"], { ...io, env: { PATHMANAGER_SOCKET: this.client.socket } });
  }

  async stop(): Promise<void> {
    if (this.#daemon.exitCode !== null) return;
    const ended = new Promise((resolve) => {
      this.#daemon.once("exit", resolve);
    });
    this.#daemon.kill("SIGTERM");
    await ended;
  }
}

const stallsOf = (loads: readonly VerifiedLoad[]): string =>
  `longest wait of a request meanwhile: ${Math.max(...loads.map((load) => load.takeStallMs())).toFixed(1)} ms`;

/** A controller fails in the way that `fault` describes, and comes back. */
async function act(stage: Stage, loads: readonly VerifiedLoad[], controller: number, fault: object, words: string) {
  title(`Controller ${controller} ${words}, under load`);
  const before = (await stage.units()).flatMap((unit) => unit.paths).length;
  const { id } = await stage.client.call<Output<"addFault">>("POST", "/v1/array/faults", {
    fault,
    where: { controller },
  });
  const failed = await until("the paths of the controller fail", () => stage.hasFailed(before / 2));
  await sleep(ACT_MS);
  await stage.show();
  say(`its paths were failed after ${Math.round(failed)} ms; ${stallsOf(loads)}`);
  title(`Controller ${controller} comes back`);
  await stage.client.call("DELETE", `/v1/array/faults?id=${id}`);
  const back = await until("the paths of the controller come back", () => stage.hasFailed(0));
  await sleep(ACT_MS / 2);
  await stage.show();
  say(`its paths were back after ${(back / 1000).toFixed(1)} s; ${stallsOf(loads)}`);
}

/** The whole demonstration; returns whether nothing was lost. */
async function play(folder: string): Promise<boolean> {
  title("A daemon on an emulated array: two controllers, two logical units, four paths each");
  const stage = await Stage.set(folder);
  try {
    await stage.show();
    const names = (await stage.units()).flatMap((unit) => unit.export?.name ?? []);
    title(`Verified load on ${names.join(" and ")}: every block is written with a known pattern, read back, compared`);
    const loads = await Promise.all(names.map((name) => VerifiedLoad.start(stage.nbdSocket, name)));
    await sleep(ACT_MS);
    say(
      `${countText(loads.reduce((sum, load) => sum + load.counts.reads + load.counts.writes, 0))} I/Os so far; ${stallsOf(loads)}`,
    );
    await act(stage, loads, 0, { kind: "port-down" }, "dies");
    await act(stage, loads, 1, { kind: "no-answer" }, "falls silent: commands are swallowed, nothing is answered");
    title("Everything that was written is read once more");
    await Promise.all(loads.map((load) => load.stop()));
    return report(loads);
  } finally {
    await stage.stop();
  }
}

function report(loads: readonly VerifiedLoad[]): boolean {
  const counts = loads.map((load) => load.counts);
  const sum = (value: (count: (typeof counts)[number]) => number): number =>
    counts.reduce((total, count) => total + value(count), 0);
  const errors = sum((count) => count.errors);
  const mismatches = sum((count) => count.mismatches);
  const rows = [
    ["I/Os", `${countText(sum((count) => count.reads + count.writes))} (${sizeText(sum((count) => count.bytes))})`],
    ["errors", String(errors)],
    ["blocks that differ", String(mismatches)],
    ["longest stall", `${Math.max(...counts.map((count) => count.stallMsMax)).toFixed(1)} ms`],
  ];
  for (const [name = "", value = ""] of rows) say(`${name.padEnd(20)}${value}`);
  const first = counts.find((count) => count.firstError !== undefined)?.firstError;
  if (first !== undefined) say(style.bad(`first error: ${first}`));
  const good = errors === 0 && mismatches === 0;
  say(good ? style.good("\nThe application has seen nothing.") : style.bad("\nSomething was lost."));
  return good;
}

const folder = await mkdtemp(join(tmpdir(), "pathmanager-demo-"));
try {
  if (!(await play(folder))) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true });
}
