// `pathctl`: the command line of PathManager.

import { Command, CommanderError } from "commander";

import { packageVersion, type Io } from "../io.ts";
import type { Runner } from "./context.ts";

const EXIT_USAGE = 2;

const AFTER_HELP = `
A path is named by its path number host:channel:target:lun (4:0:0:1), its device (sdc, sg3), or its ports
(INITIATOR@TARGET, INITIATOR@TARGET/UNIT); a unit by its number or its name.
Exit status: 0 done, 1 refused or failed, 2 wrong usage. Every command takes --json, --socket and
--help, and --host NAME if it asks a daemon.

Example:
  $ pathctl show
  $ pathctl path disable 4:0:0:1`;

type Add = (program: Command, runner: Runner) => void;

/** The groups of commands, in the order of the help, with the first words of their commands. */
const GROUPS: readonly { readonly words: readonly string[]; readonly load: () => Promise<Add> }[] = [
  {
    words: ["show", "status", "events", "top"],
    load: async () => (await import("./commands-show.ts")).addShowCommands,
  },
  { words: ["path"], load: async () => (await import("./commands-path.ts")).addPathCommands },
  { words: ["unit", "attach", "detach"], load: async () => (await import("./commands-unit.ts")).addUnitCommands },
  {
    words: ["reservation"],
    load: async () => (await import("./commands-reservation.ts")).addReservationCommands,
  },
  {
    words: ["mode", "patrol", "config", "doctor", "import", "rescan"],
    load: async () => (await import("./commands-system.ts")).addSystemCommands,
  },
  { words: ["logs", "messages"], load: async () => (await import("./commands-logs.ts")).addLogsCommands },
  { words: ["page", "fleet"], load: async () => (await import("./commands-fleet.ts")).addFleetCommands },
  { words: ["array"], load: async () => (await import("./commands-array.ts")).addArrayCommands },
  { words: [], load: async () => (await import("./commands-completion.ts")).addCompletionCommands },
];

/**
 * The command tree; output goes to `runner.io`. A call that begins with a `word` of one group loads only that group, which
 * starts faster; any other word loads all of them.
 */
export async function buildProgram(runner: Runner, word?: string): Promise<Command> {
  const { io } = runner;
  const program = new Command("pathctl")
    .description("show and control PathManager: logical units, paths, policies, the daemon")
    .version(packageVersion(), "-V, --version", "print the version")
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err, getOutHelpWidth: () => Math.min(io.columns, 100) })
    .showSuggestionAfterError(true)
    .addHelpText("after", AFTER_HELP);
  const wanted = GROUPS.filter((group) => word !== undefined && group.words.includes(word));
  for (const { load } of wanted.length > 0 ? wanted : GROUPS) (await load())(program, runner);
  return program;
}

/** Options common to all commands may also precede the command: they are moved behind it. */
function commandFirst(args: readonly string[]): readonly string[] {
  let options = 0;
  for (let option = args[0]; option !== undefined; option = args[options]) {
    if (option === "--socket" || option === "--host") options += 2;
    else if (option === "--json" || option.startsWith("--socket=") || option.startsWith("--host=")) options += 1;
    else break;
  }
  return options < args.length ? [...args.slice(options), ...args.slice(0, options)] : args;
}

/** Runs one call of `pathctl`; returns its exit status. */
export async function pathctl(given: readonly string[], io: Io): Promise<number> {
  const args = commandFirst(given);
  const runner: Runner = { io, status: 0 };
  const program = await buildProgram(runner, args[0]);
  try {
    await program.parseAsync(args, { from: "user" });
    return runner.status;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
}
