// What each state of a path, a unit or a component looks like: a word, and a tone with a colour and a shape of its own, so that nobody
// depends on the colours.

import type { PathView } from "../../control/schemas/path-schema.ts";
import type { UnitState } from "../../control/schemas/unit-schema.ts";

/** good: a disc; idle: a ring; warn: a triangle; bad: a cross. */
export type Tone = "good" | "idle" | "warn" | "bad";

export interface Mark {
  readonly tone: Tone;
  readonly word: string;
}

/** The worst last. */
const ORDER: readonly Tone[] = ["good", "idle", "warn", "bad"];

export const gravity = (tone: Tone): number => ORDER.indexOf(tone);

const UNIT_TONES: Readonly<Record<UnitState, Tone>> = {
  ok: "good",
  degraded: "warn",
  "single path": "idle",
  "not redundant": "warn",
  "no path": "bad",
  preempted: "bad",
  released: "bad",
  gone: "bad",
  "in use elsewhere": "warn",
};

export const unitMark = (state: UnitState): Mark => ({ tone: UNIT_TONES[state], word: state });

/** Conditions that matter more than the state. */
const TELLING: ReadonlySet<string> = new Set(["marginal", "wrong unit", "unverified", "removing", "gone", "stalled"]);

export function pathMark({ state, conditions }: Pick<PathView, "state" | "conditions">): Mark {
  const told = conditions.filter((condition) => TELLING.has(condition));
  const word = [state, ...told].join(", ");
  if (state === "failed") return { tone: "bad", word };
  if (told.length > 0) return { tone: "warn", word };
  return { tone: state === "standby" ? "idle" : "good", word };
}

/** Of a component that these paths go through. */
export function componentMark(paths: number, faulty: number): Mark {
  if (paths === 0 || faulty === 0) return { tone: "good", word: "ok" };
  return faulty === paths ? { tone: "bad", word: "lost" } : { tone: "warn", word: `${faulty} of ${paths} lost` };
}
