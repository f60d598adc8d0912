// `pathctl logs`, `messages`: what happened, from the log itself, and what it means. They work without the daemon.

import type { Command } from "commander";

import type { Output } from "../../control/schemas/routes.ts";
import { LEVELS } from "../../liaison/catalogue/message-kind.ts";
import { CommandError } from "../api-client.ts";
import type { LogLine } from "../logs/log-lines.ts";
import { pathValue, wholeValue, wordValue } from "../values.ts";
import {
  branch,
  leaf,
  perform,
  type CommonOptions,
  type Context,
  type Result,
  type Runner,
  localLeaf,
  SOCKET_OPTION,
} from "./context.ts";

interface LineOptions extends CommonOptions {
  readonly since?: string;
  readonly until?: string;
  readonly level?: string;
  readonly unit?: string;
  readonly path?: string;
  readonly follow?: boolean;
  readonly count?: string;
  readonly file?: string;
  readonly config?: string;
}

/** A time: an age, or a date with or without a time of day. */
async function timeValue(option: string, text: string | undefined): Promise<number | undefined> {
  if (text === undefined) return undefined;
  const { sinceValue } = await import("./events.ts");
  const { from } = /^\d{1,15}$/.test(text) ? {} : sinceValue(text, Date.now());
  if (from !== undefined) return from;
  throw new CommandError(
    "INVALID_ARGUMENT",
    `${option} is an age (30m, 2h, 1d) or a date (2026-11-28, "2026-11-28 14:30"), not ${text}`,
    { parameter: option },
  );
}

interface NamedLog {
  readonly file: string;
  /** Of units as the daemon whose log it is calls them now. */
  readonly names: ReadonlyMap<number, string>;
}

async function logFile({ client }: Context, { file, config }: LineOptions): Promise<NamedLog> {
  if (file !== undefined) return { file, names: new Map() };
  const { daemonPlaces } = await import("../logs/daemon-places.ts");
  const { eventLog, silent } = await daemonPlaces(client, config);
  if (silent !== null || config !== undefined) return { file: eventLog, names: new Map() };
  const { unitNames } = await import("../logs/unit-names.ts");
  return { file: eventLog, names: await unitNames(client) };
}

async function printLines(context: Context, options: LineOptions): Promise<Result | null> {
  const { followLog, linesOf, readLog, Tail } = await import("../logs/log-lines.ts");
  const unit = options.unit?.replace(/^#/, "");
  const filter = {
    fromMs: await timeValue("--since", options.since),
    untilMs: await timeValue("--until", options.until),
    level: options.level === undefined ? undefined : wordValue("--level", options.level, LEVELS),
    unit: unit === undefined ? undefined : wholeValue("--unit", unit, 0, 65_535),
    path: options.path === undefined ? undefined : pathValue(options.path),
  };
  const count = options.count === undefined ? Infinity : wholeValue("--count", options.count, 1, 1_000_000);
  const { file, names } = await logFile(context, options);
  const { withUnitName } = await import("../../liaison/messages.ts");
  const named = (line: LogLine) => ({ ...line, unitName: line.unit === null ? null : (names.get(line.unit) ?? null) });
  const textOf = (line: LogLine): string => `${withUnitName(line.line, line.unit, named(line).unitName)}\n`;
  const { io, json } = context;
  if (options.follow === true) {
    const tail = new Tail(file);
    await followLog(tail, filter, count, (line) => io.out(json ? `${JSON.stringify(named(line))}\n` : textOf(line)));
    return null;
  }
  const lines = linesOf(readLog(file), filter).slice(count === Infinity ? 0 : -count);
  return { json: { file, lines: lines.map(named) }, text: lines.map(textOf).join("") };
}

async function collectLogs({ client, io, json }: Context, file: string, options: LineOptions): Promise<Result> {
  const { collectInto } = await import("../logs/collect-into.ts");
  const sinceMs = await timeValue("--since", options.since);
  const { manifest, bytes, text } = await collectInto(client, file, { sinceMs, config: options.config }, (line) => {
    if (!json) io.err(line);
  });
  return { json: { file, bytes, manifest }, text };
}

function addLogCommands(program: Command, runner: Runner): void {
  const logs = branch(program, "logs", "print the event log; collect and read what support needs");
  const lines = logs
    .command("lines", { isDefault: true })
    .description("print the lines of spsevent.log and its old generation (what pathctl logs alone does)")
    .option("--json", "print JSON ({file, lines}; a line each with --follow)")
    .option(...SOCKET_OPTION)
    .option("--since <time>", "from this age or date on: 30m, 2h, 1d, 2026-11-28, '2026-11-28 14:30'")
    .option("--until <time>", "up to this age or date")
    .option("--level <level>", "at least info, warning or error")
    .option("--unit <unit>", "only lines about this unit (its number)")
    .option("--path <path>", "only lines about this path")
    .option("-f, --follow", "keep running, printing each line as it is written")
    .option("-n, --count <lines>", "the last so many lines; with --follow: stop after so many")
    .option("--file <file>", "this log, instead of the daemon's")
    .option("--config <file>", "the configuration that names the log, instead of the running daemon's")
    .addHelpText("after", "\nExample:\n  $ pathctl logs --since 2h --level warning\n  $ pathctl logs --follow");
  lines.action((options: LineOptions) => perform(runner, options, (context) => printLines(context, options)));
  localLeaf(
    logs,
    "collect <file>",
    "collect logs, settings, devices, statistics and kernel messages, without secrets, in a .tar.gz",
    "pathctl logs collect /tmp/pathmanager-logs.tar.gz --since 1d",
    "{file, bytes, manifest}",
  )
    .option("--since <time>", "events and log lines from this age or date on")
    .option("--config <file>", "the configuration that names log and state, instead of the running daemon's")
    .action((file: string, options: LineOptions) =>
      perform(runner, options, (context) => collectLogs(context, file, options)),
    );
  localLeaf(
    logs,
    "show <file> [name]",
    "show what a collected archive says, or print one of its files",
    "pathctl logs show /tmp/pathmanager-logs.tar.gz\npathctl logs show /tmp/pathmanager-logs.tar.gz machine/dmesg",
    "Manifest",
  ).action((file: string, name: string | undefined, options: CommonOptions) =>
    perform(runner, options, async () => {
      const { bundleText, fileText, readBundle } = await import("../logs/bundle.ts");
      const bundle = await readBundle(file);
      const text = name === undefined ? bundleText(bundle) : fileText(bundle, name);
      return { json: bundle.manifest, text, status: bundle.damaged.length > 0 ? 1 : 0 };
    }),
  );
}

async function explain(number: string | undefined): Promise<Result> {
  const { kindOf, MESSAGES } = await import("../../liaison/messages.ts");
  const kinds = (Object.keys(MESSAGES) as (keyof typeof MESSAGES)[]).map((kind) =>
    Object.assign({ kind }, kindOf(kind)),
  );
  if (number === undefined) {
    const all = kinds.toSorted((a, b) => a.number - b.number);
    return { json: all, text: all.map((one) => `${one.number}  ${one.level.padEnd(7)}  ${one.text}\n`).join("") };
  }
  const found = kinds.find((one) => String(one.number) === number || one.kind === number);
  if (found === undefined) {
    throw new CommandError("INVALID_ARGUMENT", `there is no message ${number}`, {
      parameter: "number",
      remedy: "pathctl messages lists all of them",
    });
  }
  const causes = found.causes === undefined ? "" : `likely causes  ${found.causes.join("; ")}\n`;
  const text = `${found.number} ${found.text} (${found.level})\nmeans          ${found.means}\n${causes}what to do     ${found.remedy}\n`;
  return { json: found, text };
}

const failedText = (failed: string | null): string => (failed === null ? "it took the message" : `FAILED: ${failed}`);

async function testReceivers({ client }: Context, receiver: string | undefined): Promise<Result> {
  const body = receiver === undefined ? {} : { receiver };
  const tests = await client.call<Output<"testReceivers">>("POST", "/v1/receivers/test", body);
  const lines = tests.results.map(({ receiver: name, kind, failed }) => `${name}  ${kind}  ${failedText(failed)}\n`);
  const status = tests.results.some(({ failed }) => failed !== null) ? 1 : 0;
  return { json: tests, text: lines.join(""), status };
}

/** Adds the commands. */
export function addLogsCommands(program: Command, runner: Runner): void {
  addLogCommands(program, runner);
  const messages = branch(program, "messages", "what the daemon's messages mean");
  messages
    .command("explain [number]", { isDefault: true })
    .description("list all messages, or say what one means, why it happens and what to do (pathctl messages NUMBER)")
    .option("--json", "print JSON (the entries of the catalogue)")
    .option(...SOCKET_OPTION)
    .addHelpText("after", "\nExample:\n  $ pathctl messages 258")
    .action((number: string | undefined, options: CommonOptions) => perform(runner, options, () => explain(number)));
  leaf(
    messages,
    "test [receiver]",
    "send a test message to one receiver, or to all, and say what came back (exit status 1 when one failed)",
    "pathctl messages test",
    "ReceiverTests",
  ).action((receiver: string | undefined, options: CommonOptions) =>
    perform(runner, options, (context) => testReceivers(context, receiver)),
  );
}
