// Events, the newest first, each with what it means and what to do about it, as the catalogue of messages says.

import type { EventView } from "../../control/schemas/event-schema.ts";
import { MESSAGES, kindOf, withUnitName, type MessageName } from "../../liaison/messages.ts";
import { byId, make, write } from "../ground/element.ts";
import { Badge } from "../ground/glyph.ts";
import type { Tone } from "../model/tones.ts";

/** Events that the page keeps. */
const KEPT_MAX = 300;

const TONES: Readonly<Record<EventView["level"], Tone>> = { info: "idle", warning: "warn", error: "bad" };

/** In the reader's own time zone. */
const timeFormat = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
const timeText = (time: number): string => timeFormat.format(time);

const isKnown = (kind: string): kind is MessageName => Object.hasOwn(MESSAGES, kind);

function explanation({ kind, message, detail }: EventView): HTMLElement {
  const list = make("dl");
  const add = (name: string, value: string): void => list.append(make("dt", {}, name), make("dd", {}, value));
  if (isKnown(kind)) {
    const { means, causes = [], remedy } = kindOf(kind);
    add("Means", means.replaceAll("`", ""));
    if (causes.length > 0) add("Likely causes", causes.join("; "));
    add("What to do", remedy.replaceAll("`", ""));
  }
  const facts = Object.entries(detail).filter(([, value]) => value !== null);
  if (facts.length > 0) add("Details", facts.map(([name, value]) => `${name}: ${String(value)}`).join(", "));
  add("Message", `${message} (${kind})`);
  return list;
}

function item(event: EventView): HTMLElement {
  const { time, level, text, unit, unitName } = event;
  const summary = make(
    "summary",
    {},
    make("time", { datetime: new Date(time).toISOString() }, timeText(time)),
    new Badge({ tone: TONES[level], word: level }).element,
    make("span", { class: "event-text" }, withUnitName(text, unit, unitName)),
  );
  const details = make("details", {}, summary);
  // Most events are never opened.
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(explanation(event));
  });
  return make("li", { "data-level": level }, details);
}

export class EventList {
  readonly #list = byId("events");
  readonly #level = byId<HTMLSelectElement>("event-level");
  readonly #told = byId("event-told");
  #last = 0;
  #isFirst = true;

  constructor() {
    this.#level.addEventListener("change", () => {
      this.#list.dataset["least"] = this.#level.value;
    });
    this.#list.dataset["least"] = this.#level.value;
  }

  /** Id of the newest event there is. */
  get last(): number {
    return this.#last;
  }

  add(events: readonly EventView[], last: number): void {
    // A daemon whose history begins anew counts from the start.
    if (last < this.#last) this.#list.replaceChildren();
    this.#last = last;
    if (events.length > 0) this.#list.prepend(...events.toReversed().map(item));
    while (this.#list.childElementCount > KEPT_MAX) this.#list.lastElementChild?.remove();
    const grave = events.filter(({ level }) => level === "error");
    // What is old when the page opens is not news.
    if (grave.length > 0 && !this.#isFirst) write(this.#told, `${grave.length} new: ${grave.at(-1)?.text ?? ""}`);
    this.#isFirst = false;
  }
}
