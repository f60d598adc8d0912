// The result of a check.

/** `ok`: as it should be. `note`: worth knowing. `warning`: works, but less well. `error`: does not work. */
export type Level = "ok" | "note" | "warning" | "error";

export interface Finding {
  /** What was checked, one word. */
  readonly check: string;
  readonly level: Level;
  readonly text: string;
  /** What to do; null when nothing is needed. */
  readonly remedy: string | null;
}

/** The machine as seen by the checks; a test supplies its own. */
export interface Machine {
  /** Where sysfs, procfs and /dev are. */
  readonly sys: string;
  readonly proc: string;
  readonly dev: string;
  readonly nodeVersion: string;
  readonly uid: number;
}

export const ok = (check: string, text: string): Finding => ({ check, level: "ok", text, remedy: null });
export const note = (check: string, text: string, remedy: string | null = null): Finding => ({
  check,
  level: "note",
  text,
  remedy,
});
export const warning = (check: string, text: string, remedy: string): Finding => ({
  check,
  level: "warning",
  text,
  remedy,
});
export const error = (check: string, text: string, remedy: string): Finding => ({
  check,
  level: "error",
  text,
  remedy,
});
