// `pathctl show`, `events`, `top`: the current state.

import type { Command } from "commander";

import type { Output } from "../../control/schemas/routes.ts";
import type { UnitView } from "../../control/schemas/unit-schema.ts";
import type { FilterOption } from "./events.ts";
import { CommandError } from "../api-client.ts";
import { numberValue, unitKey, wholeValue, wordValue } from "../values.ts";
import {
  leaf,
  perform,
  type CommonOptions,
  type Context,
  type Result,
  type Runner,
  SOCKET_OPTION,
  HOST_OPTION,
} from "./context.ts";

interface ShowOptions extends CommonOptions {
  readonly multipath?: boolean;
  readonly failed?: boolean;
}

/** The units named on the command line by number, `#number`, name or identity; all if it names none. */
async function chosenUnits({ client }: Context, keys: readonly string[]): Promise<readonly UnitView[]> {
  if (keys.length === 0) return (await client.call<Output<"units">>("GET", "/v1/units")).units;
  return Promise.all(keys.map((key) => client.call<Output<"unit">>("GET", `/v1/units/${unitKey(key)}`)));
}

/** Longest line: the terminal's width; unlimited when the output is not a terminal. */
const room = (io: Context["io"]): number => (io.terminal ? io.columns : Number.POSITIVE_INFINITY);

async function showUnits(context: Context, keys: readonly string[], options: ShowOptions): Promise<Result> {
  const { client, style } = context;
  const [units, status] = await Promise.all([
    chosenUnits(context, keys),
    client.call<Output<"status">>("GET", "/v1/status"),
  ]);
  if (options.multipath === true || options.json === "maps") {
    const { mapsJson, multipathText } = await import("./multipath-view.ts");
    const mode = await client.call<Output<"mode">>("GET", "/v1/mode");
    return { json: mapsJson(units, mode), text: multipathText(units) };
  }
  const { attentionText, faultyUnits, isFaulty, nothingFailedText, nothingText, unitsText } = await import("./show.ts");
  const attention = keys.length === 0 ? attentionText(status, style) : "";
  const wanted = options.failed === true ? faultyUnits(units) : units;
  const isWanted = options.failed === true ? isFaulty : undefined;
  // A unit whose paths were all removed is displayed only when it is named, or when lost paths are asked for.
  const shown = keys.length > 0 || options.failed === true ? wanted : units.filter((unit) => unit.paths.length > 0);
  const nothing = options.failed === true ? nothingFailedText(units) : nothingText(status);
  const body =
    shown.length === 0 ? nothing : unitsText(shown, style, room(context.io), isWanted, status.reactors.length);
  return { json: { units: wanted }, text: attention === "" ? body : `${body}\n${attention}` };
}

async function show(context: Context, what: string, keys: readonly string[], options: ShowOptions): Promise<Result> {
  if (typeof options.json === "string") wordValue("--json", options.json, ["maps"]);
  const subject = what === "" ? "units" : what;
  if (subject === "units") return showUnits(context, keys, options);
  if (subject !== "paths" && subject !== "arrays") return showUnits(context, [subject, ...keys], options);
  if (keys.length > 0) throw new CommandError("INVALID_ARGUMENT", `show ${subject} takes no further argument`);
  const { arraysText, isFaulty, pathsText } = await import("./show.ts");
  if (subject === "paths") {
    const all = (await context.client.call<Output<"paths">>("GET", "/v1/paths")).paths;
    const paths = options.failed === true ? all.filter(isFaulty) : all;
    return { json: { paths }, text: pathsText(paths, context.style, room(context.io)) };
  }
  const { arrays } = await context.client.call<Output<"arrays">>("GET", "/v1/arrays");
  return { json: { arrays }, text: arraysText(arrays, context.style) };
}

const SHOW_EXAMPLE =
  "pathctl show\npathctl show 0\npathctl show --failed\npathctl show paths --json\npathctl show --multipath";

const optional = (name: string, text: string | undefined): number | undefined =>
  text === undefined ? undefined : wholeValue(name, text, 0, Number.MAX_SAFE_INTEGER);

type EventOptions = CommonOptions & Partial<Record<"limit" | "count" | FilterOption, string>> & { follow?: boolean };

function addStatusCommand(program: Command, runner: Runner): void {
  leaf(
    program,
    "status",
    "show the daemon: version, health, sockets, what needs attention (exit status 0 ok, 1 degraded, 2 critical)",
    "pathctl status\npathctl status --check",
    "Status",
  )
    .option("--check", "one line with performance data, for Nagios-like monitors (exit status 3: unknown)")
    .action(async (options: CommonOptions & { check?: boolean }) => {
      const { checkErrorText, checkText, statusErrorExit, statusExit, statusText } = await import("./show-status.ts");
      const isCheck = options.check === true && options.json === undefined;
      const ask = async ({ client, style }: Context): Promise<Result> => {
        const status = await client.call<Output<"status">>("GET", "/v1/status");
        const text = isCheck ? checkText(status) : statusText(status, style);
        return { json: status, text, status: statusExit(status) };
      };
      await perform(
        runner,
        options,
        (context) =>
          ask(context).catch((error: unknown) => {
            if (!isCheck || !(error instanceof CommandError)) throw error;
            return { json: null, text: checkErrorText(error), status: statusErrorExit(error) };
          }),
        [],
        statusErrorExit,
      );
    });
}

function addEventsCommand(program: Command, runner: Runner): void {
  leaf(
    program,
    "events",
    "show the history of events, oldest first",
    "pathctl events --follow",
    "EventList; EventView a line with --follow",
  )
    .option("-f, --follow", "keep running, printing each event as it happens")
    .option("-n, --limit <events>", "how many of the newest events to print", "50")
    .option("--since <time>", "only events after this: 30m, 2h, 1d, 2026-11-28 or '2026-11-28 14:30', or an event's id")
    .option("--unit <unit>", "only events about this unit")
    .option("--path <path>", "only events about this path")
    .option("--level <level>", "only events of this level or a more important one: info, warning, error")
    .option("--by <user>", "only what this user changed: a name, or a uid")
    .option("--count <events>", "with --follow: stop after this many")
    .action((options: EventOptions) =>
      perform(runner, options, async (context) => {
        const { filterOf, followEvents, listEvents } = await import("./events.ts");
        const limit = wholeValue("--limit", options.limit ?? "50", 1, 10_000);
        const filter = await filterOf(context, options);
        if (options.follow !== true) return listEvents(context, limit, filter);
        return followEvents(context, filter, optional("--count", options.count) ?? Number.POSITIVE_INFINITY);
      }),
    );
}

function addTopCommand(program: Command, runner: Runner): void {
  leaf(
    program,
    "top",
    "watch the paths at work: IOPS, MB/s, latency, in flight",
    "pathctl top --interval 2",
    "one object per sample and line",
  )
    .option("-i, --interval <seconds>", "seconds between samples", "1")
    .option("-n, --count <samples>", "stop after this many samples (without a terminal: 1)")
    .action((options: CommonOptions & { interval: string; count?: string }) =>
      perform(runner, options, async (context) => {
        const { top } = await import("./top.ts");
        const count = options.count === undefined ? undefined : wholeValue("--count", options.count, 1, 1_000_000);
        return top(context, numberValue("--interval", options.interval, 0.1, 3600), count);
      }),
    );
}

/** Adds the commands. */
export function addShowCommands(program: Command, runner: Runner): void {
  const showCommand = program
    .command("show [what] [unit...]")
    .description("show units with their paths (default), paths, or arrays; or only the units named")
    .option("--json [shape]", "print JSON (Units, Paths or Arrays; 'maps': as multipathd show maps json)")
    .option(
      "--failed",
      "only what is lost: units with failed, marginal or missing paths, and of their paths only those",
    )
    .option("--multipath", "in the format of multipath -ll")
    .option(...SOCKET_OPTION)
    .option(...HOST_OPTION)
    .addHelpText("after", `\nExample:\n${SHOW_EXAMPLE.replaceAll(/^/gm, "  $ ")}`);
  showCommand.action((what: string | undefined, keys: string[], options: ShowOptions) =>
    perform(runner, options, (context) => show(context, what ?? "", keys, options)),
  );
  addStatusCommand(program, runner);
  addEventsCommand(program, runner);
  addTopCommand(program, runner);
}
