// Takes messages, stores them in the state file, and publishes them: who listens is not known here (channels.ts).
//
// Messages are collected briefly and stored together, because each commit waits for the disk: a storm of path failures is then
// one commit, not thousands.

import {
  MESSAGES,
  receivers,
  sentence,
  type DetailValue,
  type Message,
  type MessageName,
} from "../../liaison/messages.ts";
import { Storms } from "../../liaison/storms.ts";
import { callerOfMessage } from "../ground/caller.ts";
import type { EventView } from "../schemas/event-schema.ts";
import type { EventFilter, EventRow } from "../state/event-rows.ts";
import type { State } from "../state/state.ts";
import { listen, tell } from "./channels.ts";

/** How long messages are collected at most. */
const COLLECT_MS = 20;
/** Most messages kept until the next commit; further ones are counted and reported as one. */
const COLLECT_MAX = 20_000;

export function eventView(row: EventRow, unitName: string | null): EventView {
  const { number, level } = MESSAGES[row.kind];
  return {
    id: row.id,
    time: row.timeMs,
    message: number,
    kind: row.kind,
    level,
    ...receivers(row.kind),
    text: sentence(row),
    unit: row.unit,
    unitName,
    path: row.path,
    detail: { ...row.detail },
  };
}

/** The unit and path a message is about. */
export interface About {
  readonly unit?: number;
  readonly path?: string;
  readonly detail?: Readonly<Record<string, DetailValue>>;
}

export class EventHub {
  readonly #state: State;
  readonly #complain: (problem: string) => void;
  readonly #nameOf: (unit: number) => string | null;
  readonly #counts = new Map<MessageName, number>();
  readonly #storms = new Storms();
  /** Fires when a storm is to be summed up. */
  #summing: NodeJS.Timeout | undefined;
  #pending: Message[] = [];
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #storeBroken = false;
  #afterwards: (() => void)[] = [];

  /** @param nameOf the name of the unit with this number */
  constructor(state: State, complain: (problem: string) => void, nameOf: (unit: number) => string | null) {
    this.#state = state;
    this.#complain = complain;
    this.#nameOf = nameOf;
  }

  #views(rows: readonly EventRow[]): EventView[] {
    return rows.map((row) => eventView(row, row.unit === null ? null : this.#nameOf(row.unit)));
  }

  /** Adds a message of the daemon's own; during a change it says who asked for it. */
  say(kind: MessageName, about: About = {}): void {
    const by = callerOfMessage();
    this.publish({
      kind,
      timeMs: Date.now(),
      unit: about.unit ?? null,
      path: about.path ?? null,
      detail: by === null ? (about.detail ?? {}) : { ...about.detail, by },
    });
  }

  /** Calls `work` once every message so far is stored, as far as possible. */
  whenStored(work: () => void): void {
    if (this.#pending.length === 0) work();
    else this.#afterwards.push(work);
  }

  /** Messages of each kind so far, also those that were summed up or lost. */
  get counts(): ReadonlyMap<MessageName, number> {
    return this.#counts;
  }

  publish(message: Message): void {
    this.#counts.set(message.kind, (this.#counts.get(message.kind) ?? 0) + 1);
    const isSummedUp = this.#storms.sums(message, performance.now());
    tell("said", () => ({ source: this, message, isSummedUp }));
    if (isSummedUp) {
      this.#sumUpLater();
      return;
    }
    if (this.#pending.length >= COLLECT_MAX) {
      this.#dropped++;
      return;
    }
    this.#pending.push(message);
    this.#timer ??= setTimeout(() => this.flush(), COLLECT_MS);
  }

  #sumUpLater(): void {
    const { dueMs } = this.#storms;
    if (this.#summing !== undefined || dueMs === null) return;
    const sumUp = (): void => {
      this.#summing = undefined;
      this.flush();
      this.#sumUpLater();
    };
    this.#summing = setTimeout(sumUp, Math.max(0, dueMs - performance.now()) + 1);
    this.#summing.unref();
  }

  /** The last flush: storms are summed up as far as they came. */
  end(): void {
    clearTimeout(this.#summing);
    this.#pending.push(...this.#storms.summaries(Infinity, Date.now()));
    this.flush();
  }

  /** Stores and publishes what was collected. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#dropped > 0) {
      const detail = { events: this.#dropped };
      this.#pending.push({ kind: "events-lost", timeMs: Date.now(), unit: null, path: null, detail });
      this.#dropped = 0;
    }
    this.#pending.push(...this.#storms.summaries(performance.now(), Date.now()));
    if (this.#pending.length === 0) return;
    const messages = this.#pending;
    this.#pending = [];
    let stored = true;
    const rows = this.#state.appendEvents(messages, (problem) => {
      stored = false;
      if (!this.#storeBroken) this.#complain(problem instanceof Error ? problem.message : String(problem));
    });
    this.#storeBroken = !stored;
    tell("stored", () => ({ source: this, messages, events: this.#views(rows) }));
    for (const work of this.#afterwards.splice(0)) work();
  }

  /** The newest events between two ids, oldest first. */
  history(since: number, limit: number, before?: number, filter?: EventFilter): EventView[] {
    this.flush();
    return this.#views(this.#state.events(since, limit, before, filter));
  }

  /** The oldest events after a given one, oldest first: a page for reading the history to its end. */
  after(since: number, limit: number): EventView[] {
    this.flush();
    return this.#views(this.#state.eventsAfter(since, limit));
  }

  get last(): number {
    return this.#state.lastEvent;
  }

  get count(): number {
    return this.#state.eventCount;
  }

  /** Calls `follower` with each new event; returns how to stop that. */
  follow(follower: (event: EventView) => void): () => void {
    return listen("stored", this, ({ events }) => {
      for (const event of events) follower(event);
    });
  }
}
