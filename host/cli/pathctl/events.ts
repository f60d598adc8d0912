// `pathctl events`: past events, and new ones as they happen.

import type { EventList, EventView } from "../../control/schemas/event-schema.ts";
import { EVENTS_MAX } from "../../control/schemas/constants.ts";
import { CommandError, bodyText } from "../api-client.ts";
import type { Style } from "../style.ts";
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
  `${timeText(event.time)}  ${levelText(event.level, style)}  ${event.message}  ${event.text}\n`;

const query = (values: Readonly<Record<string, number | undefined>>): string => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return given.length === 0 ? "" : `?${given.map(([name, value]) => `${name}=${value}`).join("&")}`;
};

/** The newest events, requested page by page, the newest page first. */
export async function listEvents({ client, style }: Context, limit: number, since?: number): Promise<Result> {
  const pages: EventView[][] = [];
  let last = 0;
  let before: number | undefined;
  for (let left = limit; left > 0;) {
    const asked = Math.min(left, EVENTS_MAX);
    const page = await client.call<EventList>("GET", `/v1/events${query({ since, before, limit: asked })}`);
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

const RECONNECT_MS = 1000;

/** Prints each event as it happens, across restarts of the daemon, until `count` were printed or the command is terminated. */
export async function followEvents(context: Context, since: number | undefined, count: number): Promise<null> {
  const { client, io, style, json } = context;
  let last = since;
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
        io.out(json ? `${JSON.stringify(event)}\n` : eventLine(event, style));
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
