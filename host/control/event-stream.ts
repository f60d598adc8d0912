// Server-sent events: what happens, as it happens. A client that comes back says which event it saw last and gets those
// since; one that does not read is dropped.

import type { FastifyReply, FastifyRequest } from "fastify";
import type { EventHub } from "./event-hub.ts";
import type { EventView } from "./schemas/event.ts";

/** A comment now and then, so that both sides notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** Bytes a client may leave unread. */
const UNREAD_BYTES_MAX = 4 * 1024 * 1024;
/** Events a client that comes back is told at most. */
const CATCH_UP_MAX = 10_000;

const line = (event: EventView): string => `id: ${event.id}\nevent: event\ndata: ${JSON.stringify(event)}\n\n`;

/** The last event the client has, or null when it wants only new ones. */
function lastSeen(request: FastifyRequest): number | null {
  const { since } = request.query as { since?: string };
  const text = request.headers["last-event-id"] ?? since;
  const last = Number(text);
  return text === undefined || !Number.isInteger(last) || last < 0 ? null : last;
}

export function streamEvents(hub: EventHub, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", connection: "keep-alive" });
  raw.write("retry: 2000\n\n");
  const last = lastSeen(request);
  if (last !== null) for (const event of hub.history(last, CATCH_UP_MAX)) raw.write(line(event));
  const stop = hub.follow((event) => {
    if (raw.writableLength > UNREAD_BYTES_MAX) raw.destroy();
    else raw.write(line(event));
  });
  const heartbeat = setInterval(() => raw.write(": still here\n\n"), HEARTBEAT_MS);
  raw.on("error", () => raw.destroy());
  raw.on("close", () => {
    clearInterval(heartbeat);
    stop();
  });
  return reply;
}
