// Compares a configuration that is read again: what changed, what can be applied while I/O runs, what needs a restart.

import type { Setting } from "../../settings/setting.ts";
import { ENTRIES, sectionOf } from "../../settings/settings-table.ts";
import type { Configuration, ReloadReport } from "../schemas/configuration-schema.ts";
import { camel } from "../schemas/from-table.ts";
import { valueAt } from "../settings/effective.ts";
import type { Settings } from "../state/state-schemas.ts";

/** The sockets stay as they are; only who may connect changes. */
export function socketsInForce(running: Configuration, after: Configuration): Configuration["sockets"] {
  const tcp = running.sockets.nbd_tcp;
  const allow = after.sockets.nbd_tcp?.allow;
  return tcp === undefined || allow === undefined
    ? running.sockets
    : { ...running.sockets, nbd_tcp: { ...tcp, allow } };
}

type Value = unknown;

/** Dotted names of the values that differ. Lists are compared as a whole. */
function differences(before: Value, after: Value, at = ""): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const isTable = (value: Value): value is Record<string, Value> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isTable(before) || !isTable(after)) return [at];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => differences(before[key], after[key], at === "" ? key : `${at}.${key}`));
}

/** Keys overridden by a command; the command's value stays in force. */
export function commandedKeys(settings: Settings): string[] {
  const byCommand = ENTRIES.filter(
    ([key, setting]) => setting.byCommand === true && valueAt(settings, camel(key)) !== undefined,
  );
  const keys: string[] = byCommand.map(([key]) => key);
  // A profile consists only of what it sets for some units.
  const ofProfile = ENTRIES.filter(([, setting]) => setting.type === "whole" && setting.profiles !== undefined);
  return ofProfile.every(([key]) => keys.includes(key)) ? [...keys, "profile"] : keys;
}

/** The setting a key of the file belongs to: the enclosing one, when that has a shape of its own. */
function settingOf(key: string): Setting | undefined {
  for (let at = key; at !== ""; at = sectionOf(at)) {
    const found = ENTRIES.find(([name]) => name === at);
    if (found !== undefined) return found[1];
  }
  return undefined;
}

export function reloadReport(
  before: Configuration,
  after: Configuration,
  settings: Settings,
  emulationChanges: boolean,
): ReloadReport {
  const changed = differences(before, after);
  const needsRestart = (key: string): boolean => {
    const restart = settingOf(key)?.restart;
    return restart === true || (restart === "source" && emulationChanges);
  };
  const kept = commandedKeys(settings);
  const isKept = (key: string): boolean => kept.includes(key);
  return {
    changed,
    applied: changed.filter((key) => !needsRestart(key) && !isKept(key)),
    restartNeeded: changed.filter(needsRestart),
    kept: changed.filter((key) => !needsRestart(key) && isKept(key)),
  };
}
