// Compares what two servers said in one script. What differs has to be explained by a listed difference (differences.ts),
// line by line; a listed difference that shows nowhere is a failure too.

import { CLOSED, type Heard } from "./play.ts";
import type { Script, Step } from "./script.ts";

/** What both said after one step; a listed difference takes what it explains out of it, on both sides. */
export interface Said {
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

/** What the difference is seen in. */
export interface Situation {
  readonly script: Script;
  /** Undefined for the greeting, and for what comes after the client's last word. */
  readonly step: Step | undefined;
}

export interface Difference {
  readonly name: string;
  readonly peer: "nbdkit" | "qemu-nbd" | "both";
  /** What of the protocol's document allows both. */
  readonly clause: string;
  /** What remains of the two when the difference is taken away; undefined where it is not the one that shows. */
  readonly explain: (said: Said, situation: Situation) => Said | undefined;
}

const equal = (said: Said): boolean => said.ours.join("\n") === said.theirs.join("\n");

/** Names the differences in `list` that explain what differs; undefined when something remains. */
function explained(said: Said, situation: Situation, list: readonly Difference[]): Difference[] | undefined {
  const used: Difference[] = [];
  let rest = said;
  for (const difference of list) {
    if (equal(rest)) return used;
    const next = difference.explain(rest, situation);
    if (next === undefined) continue;
    used.push(difference);
    rest = next;
  }
  return equal(rest) ? used : undefined;
}

/** Compares two sessions; answers the differences that showed. Throws at the first one that is not listed. */
export function compare(
  script: Script,
  ours: readonly Heard[],
  theirs: readonly Heard[],
  list: readonly Difference[],
): Set<Difference> {
  const seen = new Set<Difference>();
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const said = { ours: ours[i]?.lines ?? [], theirs: theirs[i]?.lines ?? [] };
    const found = explained(said, { script, step: script.steps[i - 1] }, list);
    if (found === undefined) {
      const [mine, yours] = [said.ours, said.theirs].map((lines) => lines.map((line) => `\n      ${line}`).join(""));
      throw new Error(
        `${script.name}: after ${ours[i]?.step ?? theirs[i]?.step}\n    ours:${mine}\n    theirs:${yours}`,
      );
    }
    for (const difference of found) seen.add(difference);
    // One that is closed and one that is not have no more in common.
    if ((said.ours.at(-1) === CLOSED) !== (said.theirs.at(-1) === CLOSED)) break;
  }
  return seen;
}
