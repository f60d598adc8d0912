// Events as stored in the state file, including those that an earlier version wrote.

import { MESSAGES, type DetailValue, type Message, type MessageName } from "../../liaison/messages.ts";

/** An event as it is stored. */
export interface EventRow extends Message {
  readonly id: number;
}

/** Kinds of messages by the names that an earlier version used. */
const FORMER_KINDS: ReadonlyMap<string, MessageName> = new Map([
  ["ghost-settled", "orphan-settled"],
  ["shaky-out", "marginal-out"],
  ["shaky-back", "marginal-back"],
  ["nothing-chosen", "empty-filter"],
  ["path-doubtful", "path-unverified"],
]);

/** Null for a damaged row, or a kind that only another version of the daemon knows. */
export function eventRow(row: Record<string, unknown>): EventRow | null {
  const written = String(row["kind"]);
  const kind = FORMER_KINDS.get(written) ?? written;
  if (!(kind in MESSAGES)) return null;
  let detail: Record<string, DetailValue>;
  try {
    detail = JSON.parse(String(row["detail"])) as Record<string, DetailValue>;
  } catch {
    return null;
  }
  return {
    id: Number(row["id"]),
    timeMs: Number(row["time_ms"]),
    kind: kind as MessageName,
    unit: row["unit"] === null ? null : Number(row["unit"]),
    path: row["path"] === null ? null : String(row["path"]),
    detail,
  };
}

/** Which events are wanted; whatever is omitted matches all. */
export interface EventFilter {
  readonly unit?: number | undefined;
  readonly path?: string | undefined;
  /** Kinds under their present names. */
  readonly kinds?: ReadonlySet<MessageName> | undefined;
  /** Who asked for the change: `uid 1000`. */
  readonly by?: string | undefined;
  /** Milliseconds since 1970. */
  readonly fromMs?: number | undefined;
}

/** The filter as a condition of SQL, with its values. */
export function conditionOf({
  unit,
  path,
  kinds,
  by,
  fromMs,
}: EventFilter): [sql: string, values: (string | number)[]] {
  const parts: string[] = [];
  const values: (string | number)[] = [];
  const add = (part: string, ...given: readonly (string | number)[]): void => {
    parts.push(` AND ${part}`);
    values.push(...given);
  };
  if (unit !== undefined) add("unit = ?", unit);
  if (path !== undefined) add("path = ?", path);
  if (fromMs !== undefined) add("time_ms >= ?", fromMs);
  // A damaged row must not fail the whole answer.
  if (by !== undefined) add("json_valid(detail) AND json_extract(detail, '$.by') = ?", by);
  if (kinds !== undefined) {
    const former = [...FORMER_KINDS].filter(([, kind]) => kinds.has(kind)).map(([written]) => written);
    const written = [...kinds, ...former];
    add(`kind IN (${written.map(() => "?").join(", ")})`, ...written);
  }
  return [parts.join(""), values];
}
