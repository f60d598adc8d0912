// `pathctl completion`: completes commands, options, path numbers and units in a shell.
//
// The scripts are small: they call `pathctl __complete`, which walks the command tree that also parses the commands.

import { readdirSync } from "node:fs";

import type { Command, Option } from "commander";

import type { Output } from "../../control/schemas/routes.ts";
import { LEVELS } from "../../liaison/catalogue/message-kind.ts";
import { Client, CommandError, socketPaths } from "../api-client.ts";
import { POLICY_NAMES, wordValue } from "../values.ts";
import { perform, type CommonOptions, type Runner, localLeaf } from "./context.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

/** Fixed values of arguments and options. */
const FIXED: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ["what", ["units", "paths", "arrays"]],
  ["policy", POLICY_NAMES],
  ["shell", SHELLS],
  ["--failback", ["active", "standby"]],
  ["--cluster", ["on", "off"]],
  ["--level", LEVELS],
  ["--mode", ["none", "health", "recovery", "both"]],
  ["--json", ["maps"]],
]);

/** Names of arguments and options whose values the daemon knows. */
const PATHS = new Set(["path", "path2", "--path"]);
const UNITS = new Set(["unit", "--unit"]);
/** Those whose values are files (including sockets): the shell completes them best. */
const FILES = new Set(["file", "--config", "--socket"]);
/** Returned instead of candidates in this case: none of the commands' words begins with a colon. */
export const ANY_FILE = ":files";
/** Block devices that a unit can be attached to. */
const DEVICES = new Set(["device", "--device"]);
const DEVICE_NAME = /^(nbd|ublkb)\d+$/;

function devices(): readonly string[] {
  try {
    return readdirSync("/dev")
      .filter((name) => DEVICE_NAME.test(name))
      .map((name) => `/dev/${name}`);
  } catch {
    return [];
  }
}

async function known(name: string, client: Client): Promise<readonly string[]> {
  const fixed = FIXED.get(name);
  if (fixed !== undefined) return fixed;
  if (DEVICES.has(name)) return devices();
  if (name === "--host") {
    const { remoteHosts } = await import("../remote-host.ts");
    return (await remoteHosts(process.env)).map((host) => host.name);
  }
  if (PATHS.has(name)) {
    const { units } = await client.call<Output<"units">>("GET", "/v1/units");
    return units.flatMap((unit) => [...unit.paths, ...unit.remembered].map((path) => path.number));
  }
  if (UNITS.has(name)) {
    const { units } = await client.call<Output<"units">>("GET", "/v1/units");
    return units.flatMap((unit) => [String(unit.number), unit.name]);
  }
  if (name === "reactor") {
    const { reactors } = await client.call<Output<"status">>("GET", "/v1/status");
    return reactors.map(({ reactor }) => String(reactor));
  }
  return [];
}

/** The kinds of faults are listed in the command's summary and taken from there. */
const kindsOf = (command: Command): readonly string[] => command.description().split(": ")[1]?.split(", ") ?? [];

const optionOf = (command: Command, word: string): Option | undefined =>
  command.options.find((option) => option.long === word || option.short === word);

/** Where the words lead: the innermost command, the number of arguments given, and an option that still needs its value. */
function walk(program: Command, words: readonly string[]) {
  let command = program;
  let position = 0;
  let pending: Option | undefined;
  for (const word of words) {
    if (pending !== undefined) {
      pending = undefined;
    } else if (word.startsWith("-")) {
      const option = optionOf(command, word);
      if (option?.required === true) pending = option;
    } else {
      const child = command.commands.find((candidate) => candidate.name() === word);
      if (child === undefined) position += 1;
      else [command, position] = [child, 0];
    }
  }
  return { command, position, pending };
}

/** Name of a command's argument at a position; "" when it takes none there. The last argument may repeat. */
const argumentAt = (command: Command, position: number): string =>
  (command.registeredArguments[position] ?? command.registeredArguments.at(-1))?.name() ?? "";

/** Candidates for `current`, after `words` (both without the program's name). */
export async function completions(
  program: Command,
  words: readonly string[],
  current: string,
  client: Client,
): Promise<readonly string[]> {
  const { command, position, pending } = walk(program, words);
  const wanted = pending?.long ?? argumentAt(command, position);
  if (FILES.has(wanted) && (pending !== undefined || !current.startsWith("-"))) return [ANY_FILE];
  let candidates: readonly string[];
  if (pending !== undefined) {
    candidates = await known(pending.long ?? "", client);
  } else if (current.startsWith("-")) {
    candidates = [...command.options.flatMap((option) => option.long ?? []), "--help"];
  } else if (command.commands.length > 0) {
    candidates = command.commands.map((child) => child.name()).filter((name) => !name.startsWith("__"));
  } else {
    const extra = command.name() === "show" && position === 0 ? await known("unit", client) : [];
    candidates = wanted === "kind" ? kindsOf(command) : [...(await known(wanted, client)), ...extra];
  }
  return candidates.filter((candidate) => candidate.startsWith(current));
}

async function complete(program: Command, runner: Runner, words: readonly string[]): Promise<void> {
  const { io } = runner;
  try {
    const client = new Client(...socketPaths(io.env));
    const found = await completions(program, words.slice(0, -1), words.at(-1) ?? "", client);
    io.out(found.map((word) => `${word}\n`).join(""));
  } catch (error) {
    // Completion never prints an error: a shell would show it in the middle of the line.
    if (!(error instanceof CommandError)) throw error;
  }
}

/** Adds the commands; has to be called last, because completion walks the finished tree. */
export function addCompletionCommands(program: Command, runner: Runner): void {
  localLeaf(
    program,
    "completion <shell>",
    "print the completion script for bash, zsh or fish (and spscmd's)",
    "source <(pathctl completion bash)",
    "{shell, script}",
  ).action((shell: string, options: CommonOptions) =>
    perform(runner, options, async () => {
      const chosen = wordValue("the shell", shell, SHELLS);
      const { completionScript } = await import("./completion-scripts.ts");
      const script = completionScript(chosen);
      return { json: { shell: chosen, script }, text: script };
    }),
  );
  program
    .command("__complete [words...]", { hidden: true })
    .allowUnknownOption()
    .helpOption(false)
    .action((words: string[]) => complete(program, runner, words));
}
