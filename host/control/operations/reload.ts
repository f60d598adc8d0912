// A configuration that is read again: what changed, what can be applied while I/O runs, what needs a restart.

import type { Configuration, ReloadReport } from "../schemas/configuration.ts";
import type { Settings } from "../state/state-schemas.ts";

/** Sections that are read once, at the start. */
const RESTART: readonly (keyof Configuration)[] = ["sockets", "state", "log", "limits", "ring", "process", "array"];
/** Keys that decide between real devices and the emulated array. */
const SOURCE: readonly (keyof Configuration)[] = ["devices", "emulated", "array"];

/** Of those, what is applied all the same: whoever comes next meets it. */
const APPLIED = "sockets.nbd_tcp.allow";

/** The sockets stay as they are; who may come in by them changes. */
export function socketsInForce(running: Configuration, after: Configuration): Configuration["sockets"] {
  const tcp = running.sockets.nbd_tcp;
  const allow = after.sockets.nbd_tcp?.allow;
  return tcp === undefined || allow === undefined
    ? running.sockets
    : { ...running.sockets, nbd_tcp: { ...tcp, allow } };
}

type Value = unknown;

/** Dotted names of the values that differ. Lists are compared as a whole. */
export function differences(before: Value, after: Value, at = ""): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const isTable = (value: Value): value is Record<string, Value> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isTable(before) || !isTable(after)) return [at];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => differences(before[key], after[key], at === "" ? key : `${at}.${key}`));
}

/** Keys whose value a command has set: the command's value stays in force. */
export function commandedKeys({ failback, cluster, patrol = {} }: Settings): string[] {
  const times = [
    ...(patrol.intervalS === undefined ? [] : ["patrol.interval_s"]),
    ...(patrol.thresholdS === undefined ? [] : ["patrol.threshold_s"]),
    ...(patrol.timeoutS === undefined ? [] : ["patrol.timeout_s"]),
  ];
  return [
    ...(failback === undefined ? [] : ["failback"]),
    ...(cluster === undefined ? [] : ["cluster"]),
    ...(patrol.mode === undefined ? [] : ["patrol.mode"]),
    ...times,
    // A profile is nothing but the three times.
    ...(times.length === 3 ? ["profile"] : []),
  ];
}

const sectionOf = (key: string): string => key.split(".")[0] ?? key;

export function reloadReport(
  before: Configuration,
  after: Configuration,
  settings: Settings,
  emulationChanges: boolean,
): ReloadReport {
  const changed = differences(before, after);
  const needsRestart = (key: string): boolean =>
    (RESTART.some((section) => section === sectionOf(key)) && key !== APPLIED) ||
    (emulationChanges && SOURCE.some((section) => section === sectionOf(key)));
  const kept = commandedKeys(settings);
  const isKept = (key: string): boolean => kept.includes(key);
  return {
    changed,
    applied: changed.filter((key) => !needsRestart(key) && !isKept(key)),
    restartNeeded: changed.filter(needsRestart),
    kept: changed.filter((key) => !needsRestart(key) && isKept(key)),
  };
}
