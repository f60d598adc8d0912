// Counts what was reached.

import type { Place } from "../instrument/places.ts";
import type { Reach, Reached } from "../instrument/reach.ts";
import { unreached, type Unreached } from "./unreached.ts";

export interface Share {
  readonly reached: number;
  readonly of: number;
}

export interface Measure {
  readonly lines: Share;
  readonly branches: Share;
  readonly rows: Share;
  readonly cells: Share;
}

/** A byte for each mark: 1 when one of those that `pick` takes has come there. */
export function union({ reaches }: Reached, pick: (reach: Reach) => boolean): Uint8Array {
  const seen = new Uint8Array(reaches[0]?.reached.length ?? 0);
  for (const reach of reaches.filter(pick))
    for (const [mark, is] of reach.reached.entries()) seen[mark] = (seen[mark] ?? 0) | is;
  return seen;
}

const share = (marks: readonly number[], seen: Uint8Array): Share => ({
  reached: marks.filter((mark) => seen[mark] === 1).length,
  of: marks.length,
});

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);

/** @param file null: the whole core */
export function measure({ places, rows, cells }: Reached, seen: Uint8Array, file: string | null): Measure {
  const own = places.flatMap((place, mark) => (file === null || place.file === file ? [{ place, mark }] : []));
  const lines = Map.groupBy(
    own.filter(({ place }) => place.kind === "statement"),
    ({ place }) => `${place.file}:${place.line}`,
  );
  const branches = own.filter(({ place }) => place.kind !== "statement").map(({ mark }) => mark);
  return {
    lines: {
      reached: [...lines.values()].filter((some) => some.some(({ mark }) => seen[mark] === 1)).length,
      of: lines.size,
    },
    branches: share(branches, seen),
    rows: share(range(places.length, rows.length), seen),
    cells: share(range(places.length + rows.length, cells.length), seen),
  };
}

export const rowOf = ({ reached, of }: Share): string =>
  `${reached} / ${of} (${of === 0 ? "-" : ((100 * reached) / of).toFixed(1)} %)`;

const names = (known: Unreached, { file, where, text, kind }: Place): boolean =>
  `/${file}`.endsWith(`/${known.file}`) && where === known.where && text === known.text && kind === known.kind;

const told = ({ file, where, text, kind }: Unreached): string => `${file} ${where}: ${text}: ${kind}`;

/** Entries of the list that name no condition of the core, since the code they spoke of is gone. */
export function namesNothing(places: readonly Place[]): string[] {
  const branches = places.filter(({ kind }) => kind !== "statement");
  return unreached.filter((known) => !branches.some((place) => names(known, place))).map(told);
}

/** What is wrong with the list of what nobody reaches. */
export function judgeUnreached({ places }: Reached, seen: Uint8Array): string[] {
  const branches = places.flatMap((place, mark) => (place.kind === "statement" ? [] : [{ place, mark }]));
  const missing = branches
    .filter(({ place, mark }) => seen[mark] === 0 && !unreached.some((known) => names(known, place)))
    .map(({ place: { file, line, where, text, kind } }) => {
      const entry = { file: file.replace("assembly/", ""), where, text, kind };
      return `${file}:${line}: never ${kind}, and not listed: ${JSON.stringify(entry)}`;
    });
  const wrong = unreached.flatMap((known) => {
    const own = branches.filter(({ place }) => names(known, place));
    return own.length > 0 && own.every(({ mark }) => seen[mark] === 1)
      ? [`listed, but it is reached: ${told(known)}`]
      : [];
  });
  const gone = namesNothing(places).map((known) => `listed, but there is no such condition: ${known}`);
  return [...missing, ...gone, ...wrong];
}
