// The logs listen: the event log and the system log to what was stored, the daemon's own log to single messages of a storm.

import { logLine, type EventLog } from "../../liaison/event-log.ts";
import type { SystemLog } from "../../liaison/system-log.ts";
import { listen } from "./channels.ts";

export interface Logs {
  readonly events: EventLog;
  /** Null when the configuration wants none. */
  readonly system: SystemLog | null;
  readonly debug: (text: string) => void;
}

/** Lets them listen to a hub; returns how to stop that. */
export function logMessagesOf(hub: object, { events, system, debug }: Logs): () => void {
  const stops = [
    listen("stored", hub, ({ messages }) => {
      events.write(messages);
      system?.write(messages);
    }),
    listen("said", hub, ({ message, isSummedUp }) => {
      if (isSummedUp) debug(logLine(message).trimEnd());
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
