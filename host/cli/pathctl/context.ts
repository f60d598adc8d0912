// Shared by all commands of `pathctl`: options, output, error handling.

import { cleanJson } from "../../liaison/clean.ts";
import type { Command } from "commander";

import { Client, CommandError, errorLine, socketPaths } from "../api-client.ts";
import type { Io } from "../io.ts";
import { styleFor, type Style } from "../style.ts";

/** What a command works with. */
export interface Context {
  readonly client: Client;
  readonly io: Io;
  readonly style: Style;
  readonly json: boolean;
}

/** The result of a command. `json` is printed with --json, `text` otherwise. */
export interface Result {
  readonly json: unknown;
  readonly text: string;
  /** Exit status other than 0: for a check that found something. */
  readonly status?: number;
}

/** A command that prints as things happen returns null. */
export type Action = (context: Context) => Promise<Result | null>;

export interface CommonOptions {
  readonly json?: boolean | string;
  readonly socket?: string;
  readonly host?: string;
}

/** Holds what the commands need while the tree is built and while one of them runs. */
export interface Runner {
  readonly io: Io;
  /** Exit status of the command that ran. */
  status: number;
}

const EXIT_FAILED = 1;

const jsonText = (value: unknown): string => `${cleanJson(value, 2)}\n`;

/** The daemon of this host, or of another one. */
async function clientFor({ env }: Io, { socket, host }: CommonOptions): Promise<Client> {
  if (host === undefined) return new Client(...socketPaths(env, socket));
  if (socket !== undefined) {
    throw new CommandError("INVALID_ARGUMENT", "--host and --socket exclude each other", { parameter: "--host" });
  }
  const { remoteClient } = await import("../remote-host.ts");
  return remoteClient(env, host);
}

/** Runs `action`, prints its result or error, and sets the exit status. `paths` are named in errors. @param exitOf that of an error */
export async function perform(
  runner: Runner,
  options: CommonOptions,
  action: Action,
  paths: readonly string[] = [],
  exitOf: (error: CommandError) => number = () => EXIT_FAILED,
): Promise<void> {
  const { io } = runner;
  const json = options.json !== undefined && options.json !== false;
  try {
    const client = await clientFor(io, options);
    const result = await action({ client, io, style: styleFor(io), json });
    if (result === null) return;
    io.out(json ? jsonText(result.json) : result.text);
    runner.status = result.status ?? 0;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const { code, message, parameter = null, remedy = null } = error;
    if (json) io.out(jsonText({ error: { code, message, parameter, remedy } }));
    io.err(errorLine("pathctl", error, paths));
    runner.status = exitOf(error);
  }
}

/** Which daemon a command asks. */
export const SOCKET_OPTION = [
  "--socket <path>",
  "the daemon's socket (default: PATHMANAGER_SOCKET, or the standard path)",
] as const;
export const HOST_OPTION = ["--host <name>", "the daemon of another host, one of those in hosts.toml"] as const;

/** Adds a command that asks a daemon: with --json, --socket, --host, and an example in its help. */
export function leaf(parent: Command, usage: string, summary: string, example: string, schema: string): Command {
  return localLeaf(parent, usage, summary, example, schema).option(...HOST_OPTION);
}

/** The same for what is about this machine. */
export function localLeaf(parent: Command, usage: string, summary: string, example: string, schema: string): Command {
  return parent
    .command(usage)
    .description(summary)
    .option("--json", `print JSON (${schema})`)
    .option(...SOCKET_OPTION)
    .addHelpText("after", `\nExample:\n${example.replaceAll(/^/gm, "  $ ")}`);
}

/** A command that only groups others. */
export const branch = (parent: Command, name: string, summary: string): Command =>
  parent.command(name).description(summary);
