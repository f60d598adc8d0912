// Where messages are published: on channels of node:diagnostics_channel. Who says something knows nobody who listens; logs, receivers,
// streams, and whoever runs control within a program of their own subscribe by the channel's name (docs/architecture.md).

import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Message } from "../../liaison/messages.ts";
import type { EventView } from "../schemas/event-schema.ts";

/** Published for each message when it is said. */
export interface Said {
  /** The hub of a daemon: there may be several daemons in one process. */
  readonly source: object;
  readonly message: Message;
  /** One too many of a storm: it is counted, and not stored. */
  readonly isSummedUp: boolean;
}

/** Published for messages that were stored together. */
export interface Stored {
  readonly source: object;
  readonly messages: readonly Message[];
  /** The same with their ids; none where the state file took nothing. */
  readonly events: readonly EventView[];
}

interface Channels {
  readonly said: Said;
  readonly stored: Stored;
}

const NAMES = { said: "pathmanager:said", stored: "pathmanager:stored" } as const;
const CHANNELS = { said: channel(NAMES.said), stored: channel(NAMES.stored) } as const;

/** Tells those who listen; costs nothing when nobody does. */
export function tell<Name extends keyof Channels>(name: Name, what: () => Channels[Name]): void {
  if (CHANNELS[name].hasSubscribers) CHANNELS[name].publish(what());
}

/** Calls `listener` with what one source says; returns how to stop that. */
export function listen<Name extends keyof Channels>(
  name: Name,
  source: object,
  listener: (what: Channels[Name]) => void,
): () => void {
  const hear = (what: unknown): void => {
    // Only `tell` publishes on these channels.
    const told = what as Channels[Name];
    if (told.source === source) listener(told);
  };
  subscribe(NAMES[name], hear);
  return () => void unsubscribe(NAMES[name], hear);
}
