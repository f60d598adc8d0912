// `pathctl`: the command line of PathManager.

import { Command, CommanderError } from "commander";

import { packageVersion, type Io } from "../io.ts";
import { addArrayCommands } from "./commands-array.ts";
import { addCompletionCommands } from "./commands-completion.ts";
import { addPathCommands } from "./commands-path.ts";
import { addShowCommands } from "./commands-show.ts";
import { addSystemCommands } from "./commands-system.ts";
import { addUnitCommands } from "./commands-unit.ts";
import type { Runner } from "./context.ts";

const EXIT_USAGE = 2;

const AFTER_HELP = `
A path is named by its path number host:channel:target:lun (4:0:0:1), a unit by its number or its name.
Exit status: 0 done, 1 refused or failed, 2 wrong usage. Every command takes --json and --help.

Example:
  $ pathctl show
  $ pathctl path disable 4:0:0:1`;

/** The tree of commands; what they print goes to `runner.io`. */
export function buildProgram(runner: Runner): Command {
  const { io } = runner;
  const program = new Command("pathctl")
    .description("show and control PathManager: logical units, their paths, policies, the daemon")
    .version(packageVersion(), "-V, --version", "print the version")
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err, getOutHelpWidth: () => Math.min(io.columns, 100) })
    .showSuggestionAfterError(true)
    .addHelpText("after", AFTER_HELP);
  addShowCommands(program, runner);
  addPathCommands(program, runner);
  addUnitCommands(program, runner);
  addSystemCommands(program, runner);
  addArrayCommands(program, runner);
  addCompletionCommands(program, runner);
  return program;
}

/** Runs one call of `pathctl`; answers its exit status. */
export async function pathctl(args: readonly string[], io: Io): Promise<number> {
  const runner: Runner = { io, status: 0 };
  const program = buildProgram(runner);
  try {
    await program.parseAsync(args, { from: "user" });
    return runner.status;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
}
