// `pathctl path`: the counterparts of the original's -avail, -notavail, -path, -priority, -swap, -failback.

import type { Command } from "commander";

import type { Output } from "../../control/schemas/routes.ts";
import type { PathCheck, PathView } from "../../control/schemas/path-schema.ts";
import { CommandError } from "../api-client.ts";
import { requestFailback } from "../failback-request.ts";
import { isPathPattern, parsePathNumber } from "../path-number.ts";
import { latencyText } from "../text.ts";
import { pathValue, patternValue, priorityValue } from "../values.ts";
import { pathNumber } from "./path-names.ts";
import { branch, leaf, perform, type CommonOptions, type Context, type Result, type Runner } from "./context.ts";

const route = (path: string, action: string): string => `/v1/paths/${encodeURIComponent(path)}/${action}`;

/** The resulting state of a path: `path 4:0:0:1 of #0: active, priority 2, enabled`. */
function pathText(path: PathView): string {
  const words = [path.state, ...path.conditions, `priority ${path.priority}`, path.enabled ? "enabled" : "disabled"];
  return `path ${path.number} of #${path.unit}: ${words.join(", ")}\n`;
}

const pathsResult = (answer: { readonly paths: readonly PathView[] }): Result => ({
  json: answer,
  text: answer.paths.map(pathText).join(""),
});

async function act(context: Context, given: string, action: string, body?: unknown): Promise<Result> {
  const path = await context.client.call<PathView>(
    "POST",
    route(await pathNumber(context.client, given), action),
    body,
  );
  return { json: path, text: pathText(path) };
}

function checkText({ path, answered, us, reason, leadsTo, isOwnUnit }: PathCheck): string {
  const what = answered ? `answers in ${latencyText(us)}` : (reason ?? "does not answer");
  const where = leadsTo === null ? "" : `, leads to ${leadsTo}${isOwnUnit === true ? "" : ", which is not its unit"}`;
  return `path ${path.number} of #${path.unit}: ${what}${where}\n${pathText(path)}`;
}

async function check({ client }: Context, given: string): Promise<Result> {
  const checked = await client.call<PathCheck>("POST", route(await pathNumber(client, given), "check"));
  return { json: checked, text: checkText(checked), status: checked.answered && checked.isOwnUnit === true ? 0 : 1 };
}

async function failback({ client }: Context, given: string): Promise<Result> {
  const path = await requestFailback<PathView>(client, route(await pathNumber(client, given), "failback"));
  return { json: path, text: pathText(path) };
}

async function failbackAll({ client }: Context): Promise<Result> {
  const answer = await requestFailback<Output<"failbackAll">>(client, "/v1/failback-all");
  const lines = answer.results.map((result) =>
    result.done ? `path ${result.path}: taken back\n` : `path ${result.path}: ${result.reason ?? "not taken back"}\n`,
  );
  const text = lines.length === 0 ? "no path is failed or marginal\n" : lines.join("");
  return { json: answer, text, status: answer.results.every((result) => result.done) ? 0 : 1 };
}

function addSelectionCommands(path: Command, runner: Runner): void {
  const simple: readonly (readonly [string, string])[] = [
    ["enable", "enable a path; it may carry I/O again"],
    ["disable", "disable a path for maintenance; the next path takes over at once"],
  ];
  for (const [action, summary] of simple) {
    leaf(path, `${action} <path>`, summary, `pathctl path ${action} 4:0:0:1`, "PathView").action(
      (number: string, options: CommonOptions) =>
        perform(runner, options, (context) => act(context, number, action), [number]),
    );
  }
  leaf(
    path,
    "use <path>",
    "make a path the preferred one; with fields left out, the matching path of each unit",
    "pathctl path use 4:0:0:1\npathctl path use 5:::",
    "PathView, Paths with fields left out",
  ).action((pattern: string, options: CommonOptions) =>
    perform(
      runner,
      options,
      async (context) => {
        if (!isPathPattern(pattern) || parsePathNumber(pattern) !== undefined) return act(context, pattern, "use");
        const body = { pattern: patternValue(pattern) };
        return pathsResult(await context.client.call("POST", "/v1/paths/use-matching", body));
      },
      [pattern],
    ),
  );
  leaf(
    path,
    "priority <path> <n>",
    "set a path's priority, 1 to 254, unique in its unit; the larger number wins",
    "pathctl path priority 4:0:0:1 10",
    "PathView",
  ).action((number: string, priority: string, options: CommonOptions) =>
    perform(
      runner,
      options,
      (context) => act(context, number, "priority", { priority: priorityValue(number, priority) }),
      [number],
    ),
  );
}

function addPairCommands(path: Command, runner: Runner): void {
  leaf(
    path,
    "swap <path> <path2>",
    "exchange the priorities of two paths of one unit",
    "pathctl path swap 4:0:0:1 5:0:1:1",
    "Paths",
  ).action((a: string, b: string, options: CommonOptions) =>
    perform(
      runner,
      options,
      async ({ client }) => {
        const body = { a: await pathNumber(client, a), b: await pathNumber(client, b) };
        return pathsResult(await client.call("POST", "/v1/paths/swap", body));
      },
      [a, b],
    ),
  );
  leaf(
    path,
    "failback [path]",
    "check a failed path and reinstate it, or clear a marginal one; --all: every such path",
    "pathctl path failback 4:0:0:1\npathctl path failback --all",
    "PathView, FailbackAll with --all",
  )
    .option("--all", "every failed or marginal path")
    .action((number: string | undefined, options: CommonOptions & { all?: boolean }) =>
      perform(
        runner,
        options,
        (context) => {
          if ((number === undefined) !== (options.all === true)) {
            throw new CommandError("INVALID_ARGUMENT", "failback takes either a path or --all");
          }
          return number === undefined ? failbackAll(context) : failback(context, number);
        },
        number === undefined ? [] : [number],
      ),
    );
  leaf(
    path,
    "check <path>",
    "ask a path now whether it answers, and where it leads; changes nothing (exit status 1: it does not, or elsewhere)",
    "pathctl path check 4:0:0:1",
    "PathCheck",
  ).action((number: string, options: CommonOptions) =>
    perform(runner, options, (context) => check(context, number), [number]),
  );
  leaf(
    path,
    "forget <path>",
    "forget the settings of a path whose device is gone",
    "pathctl path forget 4:0:0:1",
    "Done",
  ).action((number: string, options: CommonOptions) =>
    perform(
      runner,
      options,
      async ({ client }) => {
        const forgotten = pathValue(number);
        return { json: await client.call("POST", route(forgotten, "forget")), text: `path ${forgotten}: forgotten\n` };
      },
      [number],
    ),
  );
}

/** Adds the commands. */
export function addPathCommands(program: Command, runner: Runner): void {
  const path = branch(program, "path", "enable, disable, prefer, prioritize, swap, check, fail back and forget paths");
  addSelectionCommands(path, runner);
  addPairCommands(path, runner);
}
