// `pathctl events`: past events, and new ones as they happen.

import { cleanJson } from "../../liaison/clean.ts";
import { readFileSync } from "node:fs";

import type { EventList, EventView } from "../../control/schemas/event-schema.ts";
import { EVENTS_MAX } from "../../control/schemas/constants.ts";
import { isAtLeast, LEVELS } from "../../liaison/catalogue/message-kind.ts";
import { withUnitName } from "../../liaison/messages.ts";
import { type Client, CommandError, bodyText } from "../api-client.ts";
import type { Style } from "../style.ts";
import { pathValue, unitKey, wordValue } from "../values.ts";
import type { Context, Result } from "./context.ts";

const pad = (value: number): string => String(value).padStart(2, "0");

/** Local date and time, to the second. */
export function timeText(milliseconds: number): string {
  const at = new Date(milliseconds);
  const date = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return `${date} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

function levelText(level: EventView["level"], style: Style): string {
  const text = level.padEnd(7);
  if (level === "error") return style.bad(text);
  return level === "warning" ? style.warn(text) : text;
}

/** `2026-11-22 16:40:01  warning  258  Failover was done: ...`. */
const eventLine = (event: EventView, style: Style): string =>
  `${timeText(event.time)}  ${levelText(event.level, style)}  ${event.message}  ${withUnitName(event.text, event.unit, event.unitName)}\n`;

type Values = Readonly<Record<string, string | number | undefined>>;

const query = (values: Values): string => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  const text = given.map(([name, value]) => `${name}=${encodeURIComponent(value ?? "")}`);
  return text.length === 0 ? "" : `?${text.join("&")}`;
};

/** Options that say which events are wanted. */
export type FilterOption = "since" | "unit" | "path" | "level" | "by";

/** Which events are wanted. `since` is an event's id, `from` a time in milliseconds. */
export interface Filter {
  readonly since?: number | undefined;
  readonly from?: number | undefined;
  readonly unit?: number | undefined;
  readonly path?: string | undefined;
  readonly level?: EventView["level"] | undefined;
  readonly by?: string | undefined;
}

const UNITS_OF_TIME: Readonly<Record<string, number>> = {
  s: 1000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `--since`: an event's id, an age, or a local date with or without a time of day. */
export function sinceValue(text: string, nowMs: number): Pick<Filter, "since" | "from"> {
  if (/^\d{1,15}$/.test(text)) return { since: Number(text) };
  const [, count, unit = ""] = /^(\d{1,6}) ?(s|m|min|h|d)$/.exec(text) ?? [];
  if (count !== undefined) return { from: nowMs - Number(count) * (UNITS_OF_TIME[unit] ?? 0) };
  const isTime = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z?)?$/.test(text);
  // A date alone would be taken as UTC.
  const from = isTime ? Date.parse(text.length === 10 ? `${text}T00:00` : text.replace(" ", "T")) : Number.NaN;
  if (Number.isFinite(from)) return { from };
  throw new CommandError(
    "INVALID_ARGUMENT",
    `--since is an age (30m, 2h, 1d), a date (2026-11-28, "2026-11-28 14:30") or an event's id, not ${text}`,
    { parameter: "--since" },
  );
}

/** `--by`: a uid, or the name of a user of this host. */
function callerValue(text: string): string {
  if (/^\d{1,10}$/.test(text)) return `uid ${text}`;
  if (/^(uid|token) /.test(text)) return text;
  const row = passwords().find((line) => line.startsWith(`${text}:`));
  const uid = row?.split(":")[2];
  if (uid !== undefined) return `uid ${uid}`;
  throw new CommandError("INVALID_ARGUMENT", `--by ${text}: this host has no such user`, {
    parameter: "--by",
    remedy: "give the uid instead (id -u NAME)",
  });
}

function passwords(): string[] {
  try {
    return readFileSync("/etc/passwd", "utf8").split("\n");
  } catch {
    return [];
  }
}

/** The filter that the options describe; asks the daemon for the number of a unit given by name. */
export async function filterOf(
  { client }: Context,
  { since, unit, path, level, by }: Partial<Record<FilterOption, string>>,
): Promise<Filter> {
  const numberOf = async (key: string): Promise<number> =>
    /^\d{1,5}$/.test(key) ? Number(key) : (await client.call<{ number: number }>("GET", `/v1/units/${key}`)).number;
  return {
    ...(since === undefined ? {} : sinceValue(since, Date.now())),
    unit: unit === undefined ? undefined : await numberOf(unitKey(unit)),
    path: path === undefined ? undefined : pathValue(path),
    level: level === undefined ? undefined : wordValue("--level", level, LEVELS),
    by: by === undefined ? undefined : callerValue(by),
  };
}

/** The same condition as the daemon's, for the stream of new events. */
const isWanted = (event: EventView, { unit, path, level, by }: Filter): boolean =>
  (unit === undefined || event.unit === unit) &&
  (path === undefined || event.path === path) &&
  (level === undefined || isAtLeast(event.level, level)) &&
  (by === undefined || event.detail["by"] === by);

/** The newest events, requested page by page, the newest page first. */
export async function listEvents({ client, style }: Context, limit: number, filter: Filter): Promise<Result> {
  const { since, from, unit, path, level, by } = filter;
  const pages: EventView[][] = [];
  let last = 0;
  let before: number | undefined;
  for (let left = limit; left > 0;) {
    const asked = Math.min(left, EVENTS_MAX);
    const wanted = { since, before, limit: asked, unit, path, level, by, from };
    const page = await client.call<EventList>("GET", `/v1/events${query(wanted)}`);
    if (before === undefined) ({ last } = page);
    pages.unshift(page.events);
    before = page.events[0]?.id;
    left -= page.events.length;
    if (page.events.length < asked) break;
  }
  const list: EventList = { events: pages.flat(), last };
  return { json: list, text: list.events.map((event) => eventLine(event, style)).join("") };
}

/** The data of each server-sent event in a byte stream (WHATWG HTML 9.2.6; comments and other fields are skipped). */
export async function* serverSentData(stream: AsyncIterable<Buffer | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const chunk of stream) {
    rest += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) {
        data.push(line.slice(5).replace(/^ /, ""));
      }
    }
  }
}

/** The id after which all events of this time or later come. */
async function idBefore(client: Client, from: number): Promise<number> {
  const list = await client.call<EventList>("GET", `/v1/events${query({ limit: EVENTS_MAX, from })}`);
  return (list.events[0]?.id ?? list.last + 1) - 1;
}

const RECONNECT_MS = 1000;

/** Prints each event as it happens, across restarts of the daemon, until `count` were printed or the command is terminated. */
export async function followEvents(context: Context, filter: Filter, count: number): Promise<null> {
  const { client, io, style, json } = context;
  let last = filter.from === undefined ? filter.since : await idBefore(client, filter.from);
  let left = count;
  let lost = false;
  for (;;) {
    try {
      const response = await client.open("GET", `/v1/events/stream${query({ since: last })}`, undefined, 0);
      if ((response.statusCode ?? 0) >= 400) {
        await bodyText(response);
        throw new CommandError("NO_ANSWER", `the daemon refused the stream of events (status ${response.statusCode})`);
      }
      lost = false;
      for await (const data of serverSentData(response)) {
        const event = JSON.parse(data) as EventView;
        last = event.id;
        if (!isWanted(event, filter)) continue;
        io.out(json ? `${cleanJson(event)}\n` : eventLine(event, style));
        left -= 1;
        if (left <= 0) {
          response.destroy();
          return null;
        }
      }
    } catch (error) {
      const code = error instanceof CommandError ? error.code : (error as NodeJS.ErrnoException).code;
      const transient = code === "NOT_RUNNING" || code === "ECONNRESET" || code === "ERR_STREAM_PREMATURE_CLOSE";
      if (last === undefined || !transient) throw error;
    }
    if (!lost) io.err("pathctl: the daemon ended the stream; waiting for it\n");
    lost = true;
    await new Promise((resolve) => {
      setTimeout(resolve, RECONNECT_MS);
    });
  }
}
