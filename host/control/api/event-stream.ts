// Server-sent events. A client that reconnects names the last event it saw and gets what it missed; one that does not read is
// dropped.

import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { drained } from "../ground/answer-pieces.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { EventView } from "../schemas/event-schema.ts";

/** Interval of comments that let both sides notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** Bytes a client may leave unread. */
const UNREAD_BYTES_MAX = 256 * 1024;
/** Most events a reconnecting client is sent. */
const CATCH_UP_MAX = 10_000;
/** How many of them are read and written at a time. */
const PAGE_EVENTS = 100;

const line = (event: EventView): string => `id: ${event.id}\nevent: event\ndata: ${JSON.stringify(event)}\n\n`;

/** The last event the client saw, or null when it wants only new ones. */
function lastSeen(request: FastifyRequest): number | null {
  const { since } = request.query as { since?: string };
  const text = request.headers["last-event-id"] ?? since;
  const last = Number(text);
  return text === undefined || !Number.isInteger(last) || last < 0 ? null : last;
}

/** Sends what a client missed, page by page as it reads. Returns the id of the last event there is. */
async function catchUp(hub: EventHub, raw: ServerResponse, since: number): Promise<number> {
  let last = Math.max(since, hub.last - CATCH_UP_MAX);
  while (!raw.destroyed) {
    const page = hub.after(last, PAGE_EVENTS);
    if (page.length === 0) break;
    last = page.at(-1)?.id ?? last;
    if (!raw.write(page.map(line).join(""))) await drained(raw);
  }
  return last;
}

/** Sends new events until the client goes or leaves too much unread. */
function followHub(hub: EventHub, raw: ServerResponse): void {
  const stop = hub.follow((event) => {
    if (raw.writableLength > UNREAD_BYTES_MAX) raw.destroy();
    else raw.write(line(event));
  });
  raw.once("close", stop);
}

export function streamEvents(hub: EventHub, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", connection: "keep-alive" });
  raw.write("retry: 2000\n\n");
  const heartbeat = setInterval(() => {
    // A client that does not read would only make this pile up.
    if (!raw.writableNeedDrain) raw.write(": still here\n\n");
  }, HEARTBEAT_MS);
  raw.on("error", () => raw.destroy());
  // A half-closed client looks like one that has finished sending, but a stream never ends by itself: treat it as gone.
  request.raw.socket.once("end", () => raw.destroy());
  raw.on("close", () => clearInterval(heartbeat));
  const last = lastSeen(request);
  if (last === null) {
    followHub(hub, raw);
    return reply;
  }
  catchUp(hub, raw, last).then(
    // The last page was empty in this very turn of the event loop, so no event falls between it and the live stream.
    () => {
      if (!raw.destroyed) followHub(hub, raw);
    },
    () => raw.destroy(),
  );
  return reply;
}
