// npm run rig -- [options] COMMAND...: runs a command under a kernel with real SCSI devices. See docs/rig.md.

import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { runMachine, type ArrayKind, type KernelKind, type MachineResult } from "./machine.ts";
import { BOOT_PACKAGES, ensurePackages, missingSentence, VIRTUAL_PACKAGES } from "./packages.ts";

/** Exit statuses of the rig itself, separate from a command's, as with `timeout` and the shells. */
const STATUS_UNPREPARED = 2;
const STATUS_TIME_LIMIT = 124;
const STATUS_DIED = 125;
const STATUS_INTERRUPTED = 130;

const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

function whole(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`It is a whole number from ${minimum} to ${maximum}.`);
  };
}

/** The message and the exit status for a command that has no exit status of its own. */
function statusOf(result: MachineResult, timeLimitS: number): number {
  switch (result.kind) {
    case "exited":
      return result.status;
    case "time-limit":
      process.stderr.write(`rig: the time limit of ${timeLimitS} s ended the guest (longer: --time-limit S)\n`);
      return STATUS_TIME_LIMIT;
    case "aborted":
      process.stderr.write("rig: interrupted, the guest is gone\n");
      return STATUS_INTERRUPTED;
    case "died":
      process.stderr.write(`rig: the guest died before the command ended; its kernel said:\n${result.kernelLog}\n`);
      return STATUS_DIED;
  }
}

interface Options {
  readonly kernel: KernelKind;
  readonly array: ArrayKind;
  readonly units: number;
  readonly paths: number;
  readonly size: number;
  readonly memory: number;
  readonly timeLimit: number;
}

async function main(command: string[], options: Options): Promise<number> {
  const missing = ensurePackages(options.kernel === "ublk" ? VIRTUAL_PACKAGES : BOOT_PACKAGES);
  if (missing.length > 0) {
    process.stderr.write(`${missingSentence(missing)}\n`);
    return STATUS_UNPREPARED;
  }
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupt.abort());
  const { kernel, array, units, paths, size, memory, timeLimit } = options;
  const result = await runMachine({
    kernel,
    project,
    array,
    units,
    paths,
    unitMib: size,
    memoryMib: memory,
    timeLimitS: timeLimit,
    command,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: interrupt.signal,
  });
  return statusOf(result, timeLimit);
}

const program = new Command("rig")
  .description("Runs COMMAND as root under a kernel with real SCSI devices, in the project's folder")
  .usage("[options] COMMAND...")
  .argument("<command...>", "one word: a shell command line; several: a program and its arguments")
  .addOption(
    new Option("--kernel <kind>", "user-mode-linux; or a virtual machine with a kernel that has ublk")
      .choices(["uml", "ublk"])
      .default("uml"),
  )
  .addOption(
    new Option("--array <kind>", "what the guest finds")
      .choices(["lio", "lio-mapped", "scsi_debug", "none"])
      .default("lio"),
  )
  .option("--units <n>", "logical units of the array", whole(1, 64), 1)
  .option("--paths <n>", "paths to each, half of them through the second controller", whole(1, 32), 4)
  .option("--size <MiB>", "size of a logical unit", whole(1, 4096), 64)
  .option("--memory <MiB>", "memory of the guest", whole(256, 16384), 1024)
  .option("--time-limit <s>", "seconds after which the guest is killed", whole(1, 86400), 300)
  .passThroughOptions()
  .action(async (command: string[], options: Options) => {
    process.exitCode = await main(command, options);
  });

try {
  await program.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : STATUS_UNPREPARED)).parseAsync();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = STATUS_UNPREPARED;
}
// Pipes are flushed before the exit; a signal handler must not keep the process alive afterwards.
if (process.stdout.writableNeedDrain) await once(process.stdout, "drain");
process.exit();
