// What receivers are told of an event.

import { isAtLeast } from "../catalogue/message-kind.ts";
import type { DetailValue, Level, MessageName } from "../messages.ts";

export interface Notice {
  /** Grows by one with each event; with it a receiver tells a repetition from a new event. */
  readonly id: number;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly time: number;
  readonly message: number;
  readonly kind: MessageName;
  readonly level: Level;
  readonly alive: boolean;
  readonly manager: boolean;
  /** The whole sentence, already harmless (clean.ts). */
  readonly text: string;
  readonly unit: number | null;
  /** The unit's identity, which is the same on all hosts; null when the event is about none, or about one that was forgotten. */
  readonly identity: string | null;
  /** Vendor and product of the array that the unit is of. */
  readonly array: string | null;
  readonly path: string | null;
  readonly detail: Readonly<Record<string, DetailValue>>;
}

/** Which notices a receiver gets: all of these must hold. */
export interface NoticeFilter {
  readonly only: "manager" | "alive" | "all";
  /** The least. */
  readonly level: Level;
  readonly messages?: readonly number[] | undefined;
  readonly units?: readonly number[] | undefined;
}

export const isFor = (notice: Notice, { only, level, messages, units }: NoticeFilter): boolean =>
  (only === "all" || notice[only]) &&
  isAtLeast(notice.level, level) &&
  (messages === undefined || messages.includes(notice.message)) &&
  (units === undefined || (notice.unit !== null && units.includes(notice.unit)));
