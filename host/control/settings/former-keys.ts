// Keys under the names they had in the previous version. They are accepted, with a note that gives the new name; the next version
// will no longer accept them.

import type { KeyPosition } from "./configuration-lines.ts";

type Path = readonly (string | number)[];
type Table = Record<string, unknown>;

interface Former {
  /** The table that contains it; `*` is any element of an array. */
  readonly at: readonly string[];
  readonly former: string;
  readonly now: string;
}

const FORMER: readonly Former[] = [
  { at: [], former: "shaky", now: "marginal" },
  { at: ["timeouts"], former: "ghost_reset_ms", now: "orphan_reset_ms" },
  { at: ["units", "*", "timeouts"], former: "ghost_reset_ms", now: "orphan_reset_ms" },
  { at: ["ring"], former: "look_us", now: "poll_us" },
];

interface Told {
  readonly line: number;
  readonly path: Path;
  readonly problem: string;
}

export interface Renamed {
  /** The place of each key, under its present name. */
  readonly positions: readonly KeyPosition[];
  readonly notes: readonly Told[];
  /** Keys that are present under both names. */
  readonly mistakes: readonly Told[];
}

const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);

/** The tables of `values` at `at`, each with its path. */
function tablesAt(values: unknown, at: readonly string[], path: Path = []): [Table, Path][] {
  const [first, ...rest] = at;
  if (first === undefined) return isTable(values) ? [[values, path]] : [];
  if (first === "*") {
    return Array.isArray(values) ? values.flatMap((value, index) => tablesAt(value, rest, [...path, index])) : [];
  }
  return isTable(values) && Object.hasOwn(values, first) ? tablesAt(values[first], rest, [...path, first]) : [];
}

const begins = (path: Path, head: Path): boolean => head.every((part, at) => path[at] === part);

/** Renames former keys in `values` to their present names. */
export function renameFormerKeys(values: unknown, written: readonly KeyPosition[]): Renamed {
  let positions = written;
  const notes: Told[] = [];
  const mistakes: Told[] = [];
  for (const { at, former, now } of FORMER) {
    for (const [table, path] of tablesAt(values, at)) {
      if (!Object.hasOwn(table, former)) continue;
      const was = [...path, former];
      // `shaky.count = 3` has no position of its own for `shaky`.
      const line = positions.find((position) => begins(position.path, was))?.line ?? 1;
      if (Object.hasOwn(table, now)) {
        mistakes.push({
          line,
          path: was,
          problem: `is called ${now} now, which stands here as well; leave out ${former}`,
        });
      } else {
        notes.push({ line, path: was, problem: `is called ${now} now; the next version knows ${former} no more` });
        table[now] = table[former];
        positions = positions.map((position) =>
          begins(position.path, was)
            ? { ...position, path: [...path, now, ...position.path.slice(was.length)] }
            : position,
        );
      }
      delete table[former];
    }
  }
  return { positions, notes, mistakes };
}
