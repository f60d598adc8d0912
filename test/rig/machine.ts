// Boots the guest, runs one command in it and stops it: whatever happens, nothing of it is left on the host.

import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { copyUntilMark } from "./channel.ts";
import { ensureModules, ensureWrapper } from "./kernel.ts";
import { findProgram } from "./packages.ts";

/** The array that is set up in the guest before the command runs. */
export type ArrayKind = "lio" | "lio-mapped" | "scsi_debug" | "none";

export interface MachineOptions {
  /** Absolute path of the project's folder, in which the command runs. */
  readonly project: string;
  readonly array: ArrayKind;
  /** Logical units of the array, 1..64. */
  readonly units: number;
  /** Paths to each of them, 1..32. */
  readonly paths: number;
  /** Size of a logical unit in MiB. */
  readonly unitMib: number;
  /** Memory of the guest in MiB. The guest takes it from the host as it is used. */
  readonly memoryMib: number;
  /** Time limit in seconds after which the guest is killed. */
  readonly timeLimitS: number;
  /** One word: a shell command line. Several words: a program and its arguments. */
  readonly command: readonly string[];
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Stops the guest when it fires. */
  readonly signal?: AbortSignal;
}

/** The result: the command's exit status, or why there is none. */
export type MachineResult =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "time-limit" }
  | { readonly kind: "aborted" }
  | { readonly kind: "died"; readonly kernelLog: string };

const quoted = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** The guest's memory is a file; /dev/shm is the fastest place for it, but small in many containers. */
function memoryFolder(bytes: number, otherwise: string): string {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    return bavail * bsize > bytes ? "/dev/shm" : otherwise;
  } catch {
    return otherwise;
  }
}

function writeOrders(run: string, token: string, options: MachineOptions): void {
  const variables = {
    RIG_PROJECT: options.project,
    RIG_TOKEN: token,
    RIG_MODULES: ensureModules(),
    RIG_ARRAY: options.array,
    RIG_UNITS: options.units,
    RIG_PATHS: options.paths,
    RIG_UNIT_MIB: options.unitMib,
  };
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${quoted(String(value))}\n`);
  writeFileSync(join(run, "orders"), lines.join(""));
  const [only, ...others] = options.command;
  const line = others.length === 0 ? (only ?? "true") : `exec ${options.command.map(quoted).join(" ")}`;
  writeFileSync(join(run, "command"), `${line}\n`);
}

function boot(run: string, options: MachineOptions): ChildProcess {
  const log = openSync(join(run, "kernel.log"), "w");
  const program = findProgram("linux.uml") ?? "linux.uml";
  const child = spawn(
    program,
    [
      `mem=${options.memoryMib}M`,
      "rootfstype=hostfs",
      "ro",
      `init=${join(options.project, "test", "rig", "init.sh")}`,
      `rig_run=${run}`,
      `uml_dir=${run}`,
      "umid=guest",
      "con=null",
      "con0=null,fd:1",
      "ssl1=null,fd:3",
      "ssl2=null,fd:4",
      "panic=-1",
      "quiet",
    ],
    {
      // A session of its own: Ctrl-C reaches only the caller, and one kill reaches every process of the guest.
      detached: true,
      cwd: run,
      stdio: ["ignore", log, log, "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
        HOME: run,
        LD_PRELOAD: ensureWrapper(options.project),
        TMPDIR: memoryFolder(options.memoryMib * 2 ** 20, run),
      },
    },
  );
  closeSync(log);
  return child;
}

/** Kills the whole process group and waits until its last member is gone. */
async function killGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  try {
    for (;;) {
      process.kill(-child.pid, "SIGKILL");
      await setTimeout(5);
    }
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Runs one command in a new guest. Rejects only when the guest cannot be started. */
export async function runMachine(options: MachineOptions): Promise<MachineResult> {
  const run = mkdtempSync(join(tmpdir(), "pathmanager-rig-"));
  try {
    const token = randomBytes(12).toString("hex");
    writeOrders(run, token, options);
    const child = boot(run, options);
    const exited = new Promise<void>((resolve, reject) => {
      child.once("error", reject).once("exit", () => resolve());
    });
    // If this process ends by itself, for instance because its output is closed, the guest must not stay behind.
    const takeAlong = (): void => void (child.pid !== undefined && process.kill(-child.pid, "SIGKILL"));
    process.once("exit", takeAlong);
    try {
      return await supervise(child, exited, run, token, options);
    } finally {
      process.removeListener("exit", takeAlong);
      await killGroup(child);
      await exited.catch(() => undefined);
    }
  } finally {
    rmSync(run, { recursive: true, force: true });
  }
}

async function supervise(
  child: ChildProcess,
  exited: Promise<void>,
  run: string,
  token: string,
  options: MachineOptions,
): Promise<MachineResult> {
  const mark = Buffer.from(`\0rig end ${token} `);
  const [, , , out, err] = child.stdio;
  const finished = Promise.all([
    copyUntilMark(out as Readable, options.stdout, mark),
    copyUntilMark(err as Readable, options.stderr, mark),
  ]).then(([status]): MachineResult => {
    if (status !== undefined) return { kind: "exited", status: Number(status) };
    return { kind: "died", kernelLog: readFileSync(join(run, "kernel.log"), "utf8") };
  });
  const stop = Promise.withResolvers<MachineResult>();
  const timer = globalThis.setTimeout(() => stop.resolve({ kind: "time-limit" }), options.timeLimitS * 1000);
  const abort = (): void => stop.resolve({ kind: "aborted" });
  options.signal?.addEventListener("abort", abort);
  if (options.signal?.aborted === true) abort();
  try {
    return await Promise.race([finished, stop.promise, exited.then(() => finished)]);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
  }
}
