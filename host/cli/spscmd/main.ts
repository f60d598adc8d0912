// `spscmd`: the command line of the original, implemented with the daemon's API.

import type { Output } from "../../control/schemas/routes.ts";
import { Client, CommandError, errorLine, socketPaths } from "../api-client.ts";
import { requestFailback } from "../failback-request.ts";
import { parsePathNumber } from "../path-number.ts";
import { packageVersion, type Io } from "../io.ts";
import { OPTIONS, parseCommand, SYNOPSIS, type Command } from "./command-line.ts";
import { clusterLine, failbackLine, getlunText, modeText, watcherText } from "./spscmd-layout.ts";

/** Exit statuses (reference, section 3). */
const EXIT_DONE = 0;
const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;

const pathRoute = (path: string, action: string): string => `/v1/paths/${encodeURIComponent(path)}/${action}`;

/** The unit that has the path `number`. */
async function unitOf(client: Client, number: string): Promise<number> {
  const { paths } = await client.call<Output<"paths">>("GET", "/v1/paths");
  const path = paths.find((candidate) => candidate.number === number);
  if (path === undefined) throw new CommandError("UNKNOWN_PATH", `path ${number}: there is no such path`);
  return path.unit;
}

/** Reports the paths whose failback failed, in one line, because an error is one line. */
async function failbackAll(client: Client): Promise<string> {
  const { results } = await requestFailback<Output<"failbackAll">>(client, "/v1/failback-all");
  const failures = results.filter((result) => !result.done);
  if (failures.length === 0) return "";
  throw new CommandError(
    "PATH_CHECK_FAILED",
    failures.map((failure) => `path ${failure.path}: ${failure.reason ?? "not taken back"}`).join("; "),
  );
}

async function change(client: Client, command: Command): Promise<void> {
  switch (command.kind) {
    case "setfbmode":
      return client.call("PATCH", "/v1/mode", { failback: command.failback });
    case "setmscsmode":
      return client.call("PATCH", "/v1/mode", { cluster: command.cluster });
    case "setwatcher":
      return client.call("PATCH", "/v1/patrol", command.change);
    case "avail":
      return client.call("POST", pathRoute(command.path, "enable"));
    case "notavail":
      return client.call("POST", pathRoute(command.path, "disable"));
    case "path":
      if (parsePathNumber(command.path) !== undefined) return client.call("POST", pathRoute(command.path, "use"));
      return client.call("POST", "/v1/paths/use-matching", { pattern: command.path });
    case "failback":
      return requestFailback(client, pathRoute(command.path, "failback"));
    case "swap":
      return client.call("POST", "/v1/paths/swap", { a: command.path, b: command.other });
    case "priority":
      return client.call("POST", pathRoute(command.path, "priority"), { priority: command.priority });
    case "lbmode":
      return client.call("PATCH", `/v1/units/${await unitOf(client, command.path)}`, { policy: command.policy });
    default:
      throw new Error(`not a setting command: ${command.kind}`);
  }
}

/** Executes the command; returns its output. */
async function carryOut(command: Command, client: Client, io: Io): Promise<string> {
  switch (command.kind) {
    case "help":
      return SYNOPSIS;
    case "getver":
      return `PathManager ${packageVersion()}\n`;
    case "getlun": {
      const { units } = await client.call<Output<"units">>("GET", "/v1/units");
      return getlunText(units, command.sorting, command.verbose);
    }
    case "getmode":
      return modeText(await client.call("GET", "/v1/mode"));
    case "getfbmode":
      return failbackLine(await client.call("GET", "/v1/mode"));
    case "getmscsmode":
      return clusterLine(await client.call("GET", "/v1/mode"));
    case "getwatcher":
      return watcherText(await client.call("GET", "/v1/patrol"));
    case "failbackall":
      return failbackAll(client);
    case "getlog": {
      // Only this option needs it.
      const { collectInto } = await import("../logs/collect-into.ts");
      return (await collectInto(client, command.file, {}, io.err)).text;
    }
    default:
      await change(client, command);
      return "";
  }
}

/** The paths that a command names, so that an error can name them. */
function pathsOf(command: Command): readonly string[] {
  if (!("path" in command)) return [];
  return command.kind === "swap" ? [command.path, command.other] : [command.path];
}

/** `; did you mean -swap?` for `swap` and `-swpa`. Loaded only where it is needed: most calls are right. */
async function hintFor(unknown: string | undefined): Promise<string> {
  if (unknown === undefined) return "";
  const { didYouMean } = await import("../../settings/did-you-mean.ts");
  const meant = OPTIONS.find((option) => option === `-${unknown}`) ?? didYouMean(unknown, OPTIONS);
  return meant === undefined ? "" : `; did you mean ${meant}?`;
}

/** Runs one call of `spscmd`; returns its exit status. */
export async function spscmd(args: readonly string[], io: Io): Promise<number> {
  const parsed = parseCommand(args);
  if (!parsed.ok) {
    io.err(`spscmd: ${parsed.message}${await hintFor(parsed.unknown)}\n`);
    if (parsed.fault === "refused") return EXIT_REFUSED;
    io.err(SYNOPSIS);
    return EXIT_USAGE;
  }
  try {
    io.out(await carryOut(parsed.command, new Client(...socketPaths(io.env)), io));
    return EXIT_DONE;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    io.err(errorLine("spscmd", error, pathsOf(parsed.command)));
    return EXIT_REFUSED;
  }
}
