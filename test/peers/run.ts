// Runs a peer's program, with a time limit, and with its output in the error when it fails.

import { spawn } from "node:child_process";

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly input?: string;
  /** Exit statuses that do not count as failures; by default 0. */
  readonly statuses?: readonly number[];
}

/** Debian's own Python comes first: libnbd's bindings belong to it, whatever else is installed. */
const environment = { ...process.env, PATH: `/usr/bin:/bin:/usr/sbin:/sbin:${process.env["PATH"] ?? ""}`, LC_ALL: "C" };

/** Runs a program to its end. Throws when it takes too long or its exit status is not allowed. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { timeoutMs = 60_000, input, statuses = [0] } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: environment });
    let stdout = "";
    let stderr = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.stdout.on("data", (chunk) => (stdout += String(chunk)));
    child.stderr.on("data", (chunk) => (stderr += String(chunk)));
    child.stdin.on("error", () => {});
    child.stdin.end(input ?? "");
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(new Error(`cannot run ${program}: ${error.message}`));
    });
    child.on("close", (status) => {
      clearTimeout(timer);
      if (!late && status !== null && statuses.includes(status)) {
        resolve({ status, stdout, stderr });
        return;
      }
      const how = late ? `took longer than ${timeoutMs} ms` : `ended with status ${status}`;
      reject(
        new Error(`${program} ${args.join(" ").slice(0, 500)} ${how}\n${stdout.slice(-2000)}${stderr.slice(-2000)}`),
      );
    });
  });
}

/** Runs a script in libnbd's shell (its Python bindings); an exception in it is a failure. */
export function nbdsh(script: string, options: RunOptions = {}): Promise<Outcome> {
  return run("/usr/bin/python3", ["-"], { ...options, input: `import nbd, os, errno\n${script}` });
}
