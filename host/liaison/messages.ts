// The catalogue of messages as a whole, and the sentence that a message becomes. Its entries are in catalogue/.

import { DAEMON_MESSAGES } from "./catalogue/daemon-messages.ts";
import { DEVICE_MESSAGES } from "./catalogue/devices-messages.ts";
import { FAILOVER_MESSAGES } from "./catalogue/failover-messages.ts";
import type { MessageKind } from "./catalogue/message-kind.ts";
import { RESERVATION_MESSAGES } from "./catalogue/reservation-messages.ts";
import { SETTING_MESSAGES } from "./catalogue/settings-messages.ts";
import { clean } from "./clean.ts";

export type { Level } from "./catalogue/message-kind.ts";

/** Every kind of message, by its stable name. */
export const MESSAGES = {
  ...FAILOVER_MESSAGES,
  ...SETTING_MESSAGES,
  ...DEVICE_MESSAGES,
  ...RESERVATION_MESSAGES,
  ...DAEMON_MESSAGES,
} as const satisfies Record<string, MessageKind>;

/** The same by name, with what only some of them have. */
export const kindOf = (name: MessageName): MessageKind => MESSAGES[name];

export type MessageName = keyof typeof MESSAGES;

export type DetailValue = string | number | boolean | null;

/** Who else gets messages of a kind: ALIVE (remote maintenance) and the operators' manager (ESMPRO Manager). */
export function receivers(kind: MessageName): { readonly alive: boolean; readonly manager: boolean } {
  const { alive, manager, system } = kindOf(kind);
  return { alive: alive === true, manager: system && manager !== false };
}

/** A message before it is stored. */
export interface Message {
  readonly kind: MessageName;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly timeMs: number;
  readonly unit: number | null;
  readonly path: string | null;
  readonly detail: Readonly<Record<string, DetailValue>>;
}

/** The complete sentence: what happened, to which unit and path, with the details. */
export function sentence(message: Message): string {
  const { text } = MESSAGES[message.kind];
  const where = [
    message.unit === null ? null : `LogicalUnit #${message.unit}`,
    message.path === null ? null : `path ${message.path}`,
  ].filter((part) => part !== null);
  const detail = Object.entries(message.detail)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name} ${String(value)}`);
  const about = where.length === 0 ? "" : `: ${where.join(", ")}`;
  return clean(`${text}${about}${detail.length === 0 ? "" : ` (${detail.join(", ")})`}`);
}

/** The sentence of a message with the unit's name: `LogicalUnit #3 (db-logs), path 4:0:0:3`. */
export function withUnitName(text: string, unit: number | null, name: string | null | undefined): string {
  if (unit === null || name === null || name === undefined) return text;
  return text.replace(`: LogicalUnit #${unit}`, (found) => `${found} (${clean(name)})`);
}
