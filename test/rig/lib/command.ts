// Runs programs for tests and helpers.

import { spawn, spawnSync } from "node:child_process";

/** The result of a program. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit status. */
export function attempt(program: string, args: readonly string[] = [], input = ""): Outcome {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8", input, maxBuffer: 2 ** 26 });
  if (error !== undefined) throw new Error(`cannot run ${program}: ${error.message}`, { cause: error });
  return { status: status ?? -1, stdout, stderr };
}

/** Runs a program that must succeed. Returns its standard output. */
export function run(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = attempt(program, args);
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with status ${status}: ${stderr}${stdout}`);
  return stdout;
}

/** Starts a program that runs beside the test; the promise settles when it ends. */
export function start(
  program: string,
  ...args: readonly string[]
): Promise<Outcome> & { readonly pid: number; readonly kill: (signal: NodeJS.Signals) => void } {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const text = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (text.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (text.stderr += chunk.toString()));
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status: status ?? -1, ...text }));
  });
  return Object.assign(ended, { pid: child.pid ?? 0, kill: (signal: NodeJS.Signals) => void child.kill(signal) });
}
