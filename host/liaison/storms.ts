// Storms of messages: of each kind so many within a time are recorded one by one; what comes beyond is counted, and summed up in
// one message when the time is over. So nothing vanishes without being counted, and neither logs nor receivers are flooded.

import { kindOf, MESSAGES, type Message, type MessageName } from "./messages.ts";

/** How many of a kind are recorded one by one within one window. */
export const SINGLES_MAX = 100;
export const WINDOW_MS = 10_000;
/** Units, paths and hosts that a summary tells apart. */
const SUBJECTS_MAX = 1024;
/** Of these, how many it names. */
const NAMED_MAX = 8;

interface Window {
  readonly beganMs: number;
  singles: number;
  repeats: number;
  readonly units: Set<number>;
  readonly paths: Set<string>;
  readonly hosts: Set<string>;
}

const begun = (beganMs: number): Window => ({
  beganMs,
  singles: 0,
  repeats: 0,
  units: new Set(),
  paths: new Set(),
  hosts: new Set(),
});

function add<T>(set: Set<T>, value: T | null): void {
  if (value !== null && set.size < SUBJECTS_MAX) set.add(value);
}

/** `3: 5:0:0:0, 5:0:0:1, 5:0:0:2`; null when there is nothing to name. */
function named<T>(set: ReadonlySet<T>, prefix = ""): string | null {
  if (set.size === 0) return null;
  const first = [...set].slice(0, NAMED_MAX).map((value) => `${prefix}${String(value)}`);
  const more = set.size > NAMED_MAX ? ", ..." : "";
  return `${set.size}${set.size === SUBJECTS_MAX ? " or more" : ""}: ${first.join(", ")}${more}`;
}

export class Storms {
  readonly #windows = new Map<MessageName, Window>();

  /** Whether the message is one too many: then it was counted. `nowMs` is of a clock that nobody sets. */
  sums({ kind, unit, path }: Message, nowMs: number): boolean {
    if (kindOf(kind).each === true) return false;
    let window = this.#windows.get(kind);
    // A window with repeats stays until it has been reported.
    if (window === undefined || (window.repeats === 0 && nowMs - window.beganMs >= WINDOW_MS)) {
      window = begun(nowMs);
      this.#windows.set(kind, window);
    }
    if (window.singles < SINGLES_MAX) {
      window.singles++;
      return false;
    }
    window.repeats++;
    add(window.units, unit);
    add(window.paths, path);
    add(window.hosts, path === null ? null : (path.split(":")[0] ?? null));
    return true;
  }

  /** When the next summary is due; null while there is nothing to sum up. */
  get dueMs(): number | null {
    const due = [...this.#windows.values()]
      .filter(({ repeats }) => repeats > 0)
      .map(({ beganMs }) => beganMs + WINDOW_MS);
    return due.length === 0 ? null : Math.min(...due);
  }

  /** Summaries of the windows that are over; of all when the daemon ends (`nowMs` Infinity). */
  summaries(nowMs: number, timeMs: number): Message[] {
    const messages: Message[] = [];
    for (const [kind, window] of this.#windows) {
      if (window.repeats === 0 || nowMs - window.beganMs < WINDOW_MS) continue;
      this.#windows.delete(kind);
      messages.push({
        kind: "messages-repeated",
        timeMs,
        unit: null,
        path: null,
        detail: {
          message: MESSAGES[kind].number,
          text: MESSAGES[kind].text,
          repeats: window.repeats,
          "within s": WINDOW_MS / 1000,
          units: named(window.units, "#"),
          paths: named(window.paths),
          over: named(window.hosts, "host "),
        },
      });
    }
    return messages;
  }
}
