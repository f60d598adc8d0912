// The form of an entry in the catalogue of messages. The entries are only data: the daemon, docs/messages.md, journald's catalogue
// and the commands are all made from them.

/** Levels of messages, the most important last. */
export const LEVELS = ["info", "warning", "error"] as const;
export type Level = (typeof LEVELS)[number];

/** Whether a level is `least` or a more important one. */
export const isAtLeast = (level: Level, least: Level): boolean => LEVELS.indexOf(level) >= LEVELS.indexOf(least);

export interface MessageKind {
  /** As operators know it: 257 to 278 are the original's, ours begin at 600. Never given to another kind. */
  readonly number: number;
  readonly level: Level;
  readonly text: string;
  /** Copied to the system's log, not only to spsevent.log. */
  readonly system: boolean;
  /** Sent to ALIVE (remote maintenance): of the original's those in its table, of ours those that someone has to repair. */
  readonly alive?: true;
  /** Not for the operators' manager, though it is in the system's log. */
  readonly manager?: false;
  /** An operator's act, or one that must be found later: however often it repeats, each is recorded. */
  readonly each?: true;
  /** Kinds that are over with this one: those about its path, if it names one, or its unit, else all. */
  readonly ends?: readonly string[];
  /** What has happened, and what it means for I/O; sentences without Markdown other than `code`. */
  readonly means: string;
  /** What usually leads to it, the likeliest first; none where the message is only an answer to a command. */
  readonly causes?: readonly string[];
  /** What to do. */
  readonly remedy: string;
}
