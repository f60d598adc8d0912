// Compares the output of two servers for one script. Every difference has to be explained by a listed one (differences.ts),
// line by line; a listed difference that is never found is a failure as well, unless a race within the peer
// decides whether it shows.

import { CLOSED, type Heard } from "./play.ts";
import type { Script, Step } from "./script.ts";

/** The output of both after one step; a listed difference removes what it explains, on both sides. */
export interface Said {
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

/** Where a difference was found. */
export interface Situation {
  readonly script: Script;
  /** Undefined for the greeting, and for output after the client's last step. */
  readonly step: Step | undefined;
}

export interface Difference {
  readonly name: string;
  readonly peer: "nbdkit" | "qemu-nbd" | "both";
  /** The clause of the protocol's document that allows both. */
  readonly clause: string;
  /** A race within the peer decides whether it shows, so a run without it is no failure. */
  readonly isRace?: true;
  /** What remains of both outputs when the difference is removed; undefined when it does not apply. */
  readonly explain: (said: Said, situation: Situation) => Said | undefined;
}

const equal = (said: Said): boolean => said.ours.join("\n") === said.theirs.join("\n");

/** The differences in `list` that explain the outputs; undefined when something remains unexplained. */
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

/** Compares two sessions; returns the differences found. Throws at the first one that is not listed. */
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
    // A closed session and an open one cannot be compared any further.
    if ((said.ours.at(-1) === CLOSED) !== (said.theirs.at(-1) === CLOSED)) break;
  }
  return seen;
}
