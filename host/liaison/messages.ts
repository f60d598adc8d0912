// The catalogue of messages: numbers, texts and levels that operators know (257..278), and our own from 600.

export type Level = "info" | "warning" | "error";

interface MessageKind {
  readonly number: number;
  readonly level: Level;
  readonly text: string;
  /** Copied to the system's log, not only to spsevent.log. */
  readonly system: boolean;
}

/** Every kind of message, by its stable name. */
export const MESSAGES = {
  "failover-started": { number: 257, level: "info", text: "Failover started", system: true },
  "failover-done": { number: 258, level: "warning", text: "Failover was done", system: true },
  "failover-failed": { number: 259, level: "error", text: "Failover failed", system: true },
  "failback-failed": { number: 262, level: "error", text: "Failback failed", system: true },
  "failback-completed": { number: 263, level: "info", text: "Failback completed", system: true },
  "priority-changing": { number: 264, level: "info", text: "Start changing priority", system: true },
  "priority-changed": { number: 265, level: "info", text: "Changing priority was done", system: true },
  "priority-failed": { number: 266, level: "error", text: "Failed to change priority", system: true },
  "balancing-changing": { number: 267, level: "info", text: "Start changing LBMode", system: true },
  "balancing-changed": { number: 268, level: "info", text: "LBMode was changed", system: true },
  "balancing-failed": { number: 269, level: "info", text: "Failed to change LBMode", system: true },
  "path-error-io": { number: 270, level: "info", text: "Path error (an I/O failed)", system: true },
  "path-error-check": { number: 271, level: "info", text: "Path error (a check failed)", system: true },
  "automatic-failback-started": { number: 272, level: "info", text: "Automatic failback started", system: true },
  "automatic-failback-done": { number: 273, level: "info", text: "Automatic failback was done", system: true },
  "path-removed": { number: 274, level: "info", text: "Path was removed", system: true },
  "effectiveness-changed": { number: 275, level: "info", text: "Effectiveness was changed", system: true },
  "effectiveness-failed": { number: 276, level: "warning", text: "Failed to change effectiveness", system: true },
  "mode-changed": { number: 277, level: "info", text: "Mode changed", system: true },
  "not-redundant": { number: 278, level: "warning", text: "Some paths are not redundant", system: true },
  "daemon-started": { number: 600, level: "info", text: "PathManager started", system: true },
  "daemon-stopping": { number: 601, level: "info", text: "PathManager is stopping", system: true },
  "path-added": { number: 602, level: "info", text: "Path was added", system: true },
  "unit-added": { number: 603, level: "info", text: "Logical unit was added", system: true },
  "unit-removed": { number: 604, level: "info", text: "Logical unit was removed", system: true },
  "wrong-unit": { number: 605, level: "error", text: "Path leads to another logical unit", system: true },
  "no-path-waiting": { number: 606, level: "error", text: "Requests wait, no path is usable", system: true },
  "no-path-failed": { number: 607, level: "error", text: "Requests failed, no path was usable", system: true },
  "capacity-changed": { number: 608, level: "warning", text: "Capacity changed", system: true },
  "alua-changed": { number: 609, level: "info", text: "Access state of a path changed", system: false },
  "alua-set": { number: 610, level: "info", text: "SET TARGET PORT GROUPS was sent", system: true },
  stall: {
    number: 611,
    level: "warning",
    text: "A command got no answer and was retried on another path",
    system: false,
  },
  "orphan-settled": { number: 612, level: "info", text: "An unanswered command was settled", system: false },
  "inquiry-changed": { number: 613, level: "info", text: "The device's parameters changed", system: false },
  "marginal-out": {
    number: 614,
    level: "warning",
    text: "Path fails intermittently and is used only as a last resort",
    system: true,
  },
  "marginal-back": { number: 615, level: "info", text: "Path is in normal use again", system: true },
  suspect: {
    number: 616,
    level: "info",
    text: "Path is suspect, another one sharing a component failed",
    system: false,
  },
  "suspect-cleared": { number: 617, level: "info", text: "Path is no longer suspect", system: false },
  "path-state": { number: 618, level: "info", text: "State of a path changed", system: false },
  redundant: { number: 619, level: "info", text: "All paths are redundant again", system: true },
  "device-refused": { number: 620, level: "warning", text: "Device was refused", system: true },
  "unit-renamed": { number: 621, level: "info", text: "Logical unit was renamed", system: false },
  "unit-attached": { number: 622, level: "info", text: "Logical unit was attached", system: true },
  "unit-detached": { number: 623, level: "info", text: "Logical unit was detached", system: true },
  "unit-released": { number: 624, level: "warning", text: "Waiting requests were released", system: true },
  "command-done": { number: 677, level: "info", text: "A command was carried out", system: false },
  "path-forgotten": { number: 625, level: "info", text: "Settings of a path were forgotten", system: true },
  "configuration-reloaded": { number: 626, level: "info", text: "Configuration was read again", system: true },
  "state-rebuilt": {
    number: 627,
    level: "error",
    text: "The state file was damaged or outdated and has been rebuilt",
    system: true,
  },
  "events-lost": { number: 628, level: "warning", text: "Events were lost", system: true },
  "patrol-changed": { number: 629, level: "info", text: "Path patrol was changed", system: true },
  "fault-added": { number: 630, level: "info", text: "A fault was added to the emulated array", system: false },
  "fault-removed": { number: 631, level: "info", text: "A fault was removed from the emulated array", system: false },
  "leftovers-found": {
    number: 632,
    level: "warning",
    text: "Commands of an earlier daemon are still in flight, writes wait for them",
    system: true,
  },
  "leftovers-settled": { number: 633, level: "info", text: "Commands of an earlier daemon have ended", system: true },
  "data-lost": {
    number: 634,
    level: "error",
    text: "The device lost data that it had acknowledged, the next flush fails",
    system: true,
  },
  "identity-unread": {
    number: 645,
    level: "warning",
    text: "A device could not report its identity and will be asked again soon",
    system: true,
  },
  "identity-rewritten": {
    number: 646,
    level: "info",
    text: "The stored identity of a logical unit was rewritten",
    system: true,
  },
  "path-renumbered": { number: 650, level: "info", text: "Path has a new path number", system: true },
  "number-reused": {
    number: 651,
    level: "info",
    text: "Path number now belongs to another logical unit",
    system: true,
  },
  "path-in-use": {
    number: 660,
    level: "error",
    text: "A device of this unit is in use elsewhere, that path was refused",
    system: true,
  },
  "unit-in-use": {
    number: 661,
    level: "error",
    text: "A device of a unit is in use elsewhere, the unit is not offered",
    system: true,
  },
  "capacity-disputed": {
    number: 662,
    level: "warning",
    text: "Paths of a logical unit disagree on its size",
    system: true,
  },
  "thin-threshold": {
    number: 663,
    level: "warning",
    text: "The array is running out of space for a thin logical unit",
    system: true,
  },
  "device-open-elsewhere": {
    number: 664,
    level: "warning",
    text: "Another program has a device of this path open for writing",
    system: true,
  },
  "empty-filter": {
    number: 665,
    level: "warning",
    text: "The configuration selects no device",
    system: true,
  },
  "settings-incomplete": {
    number: 675,
    level: "error",
    text: "Settings were lost, new paths stay disabled if their unit has another one",
    system: true,
  },
  "path-unverified": {
    number: 676,
    level: "warning",
    text: "The enabled setting of a path was lost and has been guessed",
    system: true,
  },
  "descriptors-short": {
    number: 679,
    level: "error",
    text: "Clients are refused, file descriptors are nearly used up",
    system: true,
  },
  "lines-lost": {
    number: 678,
    level: "warning",
    text: "Log lines were lost, nobody reads standard error",
    system: true,
  },
  "control-died": {
    number: 666,
    level: "error",
    text: "Control ended unexpectedly, I/O continued without it",
    system: true,
  },
  "control-started": { number: 667, level: "info", text: "Control was restarted, I/O continued", system: true },
  "control-unsteady": {
    number: 668,
    level: "error",
    text: "Control keeps ending unexpectedly, I/O continues without it",
    system: true,
  },
  "reactor-stalled": {
    number: 669,
    level: "error",
    text: "The reactor has stopped turning, I/O stands still",
    system: true,
  },
  "nbd-client-refused": {
    number: 670,
    level: "warning",
    text: "There was no room for an NBD client",
    system: true,
  },
  "api-connection-closed": {
    number: 680,
    level: "warning",
    text: "An API connection was closed for misbehaving",
    system: true,
  },
  "certificate-expiring": {
    number: 681,
    level: "warning",
    text: "A certificate of this daemon expires soon",
    system: true,
  },
  "certificate-expired": {
    number: 682,
    level: "error",
    text: "A certificate of this daemon has expired",
    system: true,
  },
  "client-untrusted": {
    number: 683,
    level: "warning",
    text: "An NBD client failed to authenticate over TLS",
    system: true,
  },
  "tls-ended": {
    number: 684,
    level: "error",
    text: "A TLS thread ended, its clients lost their connections",
    system: true,
  },
  "daemon-died": {
    number: 640,
    level: "error",
    text: "The previous daemon ended without having been stopped",
    system: true,
  },
  "state-unwritable": {
    number: 642,
    level: "error",
    text: "The state file cannot be written, settings cannot be changed",
    system: true,
  },
  "file-made-again": { number: 643, level: "warning", text: "A file was deleted and has been recreated", system: true },
  "state-writable": { number: 644, level: "info", text: "The state file can be written again", system: true },
  "daemon-dying": { number: 641, level: "error", text: "PathManager ends because of a defect", system: true },
  "cache-absent": {
    number: 655,
    level: "info",
    text: "The device does not support SYNCHRONIZE CACHE and is assumed to have no cache",
    system: false,
  },
  "fua-refused": {
    number: 656,
    level: "info",
    text: "The device refuses FUA, such writes are followed by a flush instead",
    system: false,
  },
} as const satisfies Record<string, MessageKind>;

export type MessageName = keyof typeof MESSAGES;

export type DetailValue = string | number | boolean | null;

/**
 * Sent to ALIVE (remote maintenance): of the original's messages those in its table, of ours those that someone has to repair.
 */
const FOR_ALIVE: ReadonlySet<MessageName> = new Set<MessageName>([
  "failover-done",
  "failover-failed",
  "path-removed",
  "not-redundant",
  "wrong-unit",
  "no-path-waiting",
  "no-path-failed",
  "marginal-out",
  "state-rebuilt",
  "daemon-died",
  "state-unwritable",
  "settings-incomplete",
  "path-in-use",
  "unit-in-use",
  "thin-threshold",
  "control-unsteady",
  "reactor-stalled",
]);

/** The only system-log message that the operators' manager does not get, because the next one says how it ended. */
const NOT_FOR_MANAGER: MessageName = "automatic-failback-started";

/** Who else gets messages of a kind: ALIVE (remote maintenance) and the operators' manager (ESMPRO Manager). */
export function receivers(kind: MessageName): { readonly alive: boolean; readonly manager: boolean } {
  return { alive: FOR_ALIVE.has(kind), manager: MESSAGES[kind].system && kind !== NOT_FOR_MANAGER };
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
  return `${text}${where.length === 0 ? "" : `: ${where.join(", ")}`}${detail.length === 0 ? "" : ` (${detail.join(", ")})`}`;
}
