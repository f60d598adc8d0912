// Server-sent events: what happens, as it happens. A client that comes back says which event it saw last and gets those
// since; one that does not read is dropped.

import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { drained } from "../ground/pieces.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { EventView } from "../schemas/event.ts";

/** A comment now and then, so that both sides notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** Bytes a client may leave unread. */
const UNREAD_BYTES_MAX = 256 * 1024;
/** Events a client that comes back is told at most. */
const CATCH_UP_MAX = 10_000;
/** Of these, how many are read and written at a time. */
const PAGE_EVENTS = 100;

const line = (event: EventView): string => `id: ${event.id}\nevent: event\ndata: ${JSON.stringify(event)}\n\n`;

/** The last event the client has, or null when it wants only new ones. */
function lastSeen(request: FastifyRequest): number | null {
  const { since } = request.query as { since?: string };
  const text = request.headers["last-event-id"] ?? since;
  const last = Number(text);
  return text === undefined || !Number.isInteger(last) || last < 0 ? null : last;
}

/** Tells what a client has missed, page by page as it takes them. Returns the id of the last event there is. */
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

/** Follows the hub until the client goes, or leaves too much unread. */
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
    // To one that takes nothing, more would only lie in memory.
    if (!raw.writableNeedDrain) raw.write(": still here\n\n");
  }, HEARTBEAT_MS);
  raw.on("error", () => raw.destroy());
  // A client that has gone looks like one that has sent all it wants to, and a stream has no end of its own.
  request.raw.socket.once("end", () => raw.destroy());
  raw.on("close", () => clearInterval(heartbeat));
  const last = lastSeen(request);
  if (last === null) {
    followHub(hub, raw);
    return reply;
  }
  catchUp(hub, raw, last).then(
    // The last page was empty, in this very turn: nothing lies between it and what is followed from now on.
    () => {
      if (!raw.destroyed) followHub(hub, raw);
    },
    () => raw.destroy(),
  );
  return reply;
}
