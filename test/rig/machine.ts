// Boots the guest, runs one command in it and stops it: whatever happens, nothing of it is left on the host.

import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { copyUntilMark } from "./channel.ts";
import { bootUserMode, bootVirtual, type Guest } from "./guests.ts";
import { ensureModules } from "./kernel.ts";
import { ensureStripped } from "./stripped.ts";
import { untilTold } from "./told.ts";
import { ensureUblkKernel, type UblkKernel } from "./ublk-kernel.ts";

/** The array that is set up in the guest before the command runs. */
export type ArrayKind = "lio" | "lio-mapped" | "scsi_debug" | "none";

/** Debian's user-mode-linux; or its newest kernel for clouds, which has ublk, in a virtual machine whose instructions are translated. */
export type KernelKind = "uml" | "ublk";

export interface MachineOptions {
  readonly kernel?: KernelKind;
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
  /** Stops the guest when it fires. Without it the guest and then this process end when the process is told to. */
  readonly signal?: AbortSignal;
}

/** The result: the command's exit status, or why there is none. */
export type MachineResult =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "time-limit" }
  | { readonly kind: "aborted" }
  | { readonly kind: "died"; readonly kernelLog: string };

const quoted = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;

function writeOrders(run: string, token: string, modules: string, options: MachineOptions): void {
  const variables = {
    RIG_PROJECT: options.project,
    RIG_TOKEN: token,
    RIG_MODULES: modules,
    RIG_KERNEL: options.kernel ?? "uml",
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

function boot(run: string, token: string, options: MachineOptions): Guest | Promise<Guest> {
  const { project, memoryMib } = options;
  const kernel: UblkKernel | undefined = options.kernel === "ublk" ? ensureUblkKernel(project) : undefined;
  if (kernel !== undefined) ensureStripped(project);
  writeOrders(run, token, kernel?.modules ?? ensureModules(), options);
  return kernel === undefined
    ? bootUserMode({ project, run, memoryMib })
    : bootVirtual({ project, run, memoryMib }, kernel);
}

/** Runs one command in a new guest. Rejects only when the guest cannot be started. */
export function runMachine(options: MachineOptions): Promise<MachineResult> {
  return options.signal === undefined ? untilTold((signal) => bootAndRun({ ...options, signal })) : bootAndRun(options);
}

async function bootAndRun(options: MachineOptions): Promise<MachineResult> {
  const run = mkdtempSync(join(tmpdir(), "pathmanager-rig-"));
  try {
    const token = randomBytes(12).toString("hex");
    const guest = await boot(run, token, options);
    const { child } = guest;
    const exited = new Promise<void>((resolve, reject) => {
      child.once("error", reject).once("exit", () => resolve());
    });
    // If this process ends by itself, for instance because its output is closed, the guest must not stay behind.
    const takeAlong = (): void => void (child.pid !== undefined && process.kill(-child.pid, "SIGKILL"));
    process.once("exit", takeAlong);
    try {
      return await supervise(guest, exited, run, token, options);
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
  { out, err }: Guest,
  exited: Promise<void>,
  run: string,
  token: string,
  options: MachineOptions,
): Promise<MachineResult> {
  const mark = Buffer.from(`\0rig end ${token} `);
  const finished = Promise.all([
    copyUntilMark(out, options.stdout, mark),
    copyUntilMark(err, options.stderr, mark),
  ]).then(([status]): MachineResult => {
    if (status !== undefined) return { kind: "exited", status: Number(status) };
    const logs = ["kernel.log", "machine.log"].map((name) => join(run, name)).filter((file) => existsSync(file));
    return { kind: "died", kernelLog: logs.map((file) => readFileSync(file, "utf8")).join("") };
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
