// Events as they lie in the state file, also those that an earlier version has written.

import { MESSAGES, type DetailValue, type Message, type MessageName } from "../../liaison/messages.ts";

/** An event as it is stored. */
export interface EventRow extends Message {
  readonly id: number;
}

/** Kinds of messages under the names that an earlier version has given them. */
const FORMER_KINDS: ReadonlyMap<string, MessageName> = new Map([
  ["ghost-settled", "orphan-settled"],
  ["shaky-out", "marginal-out"],
  ["shaky-back", "marginal-back"],
  ["nothing-chosen", "empty-filter"],
  ["path-doubtful", "path-unverified"],
]);

/** Null for a kind that only another version of the daemon knows, or that was damaged. */
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
