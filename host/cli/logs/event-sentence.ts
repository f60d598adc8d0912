// The sentence of a stored event, for those who have only the state file.

import { MESSAGES, sentence, type DetailValue, type MessageName } from "../../liaison/messages.ts";

/** Null for a kind that only another version knows, or a row that is damaged. */
export function eventSentence(row: Readonly<Record<string, unknown>>): string | null {
  const kind = String(row["kind"]);
  if (!Object.hasOwn(MESSAGES, kind)) return null;
  try {
    return sentence({
      kind: kind as MessageName,
      timeMs: Number(row["time_ms"]),
      unit: row["unit"] === null ? null : Number(row["unit"]),
      path: row["path"] === null ? null : String(row["path"]),
      detail: JSON.parse(String(row["detail"])) as Record<string, DetailValue>,
    });
  } catch {
    return null;
  }
}
