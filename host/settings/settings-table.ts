// The one table of settings: each one's name, range, default and meaning, where it may be set, and its counterpart in the core. The
// configuration's schema, the settings in force, the calls of the core, the core's own defaults (assembly/defaults.ts), the tables of
// docs/configuration.md and pathmanager.toml(5) are made from it. docs/contributing.md says how to add a setting.

import { ARRAY_SETTINGS } from "./array-settings.ts";
import { DAEMON_SETTINGS } from "./daemon-settings.ts";
import { PATH_SETTINGS } from "./path-settings.ts";
import { RECEIVER_SETTINGS } from "./receiver-settings.ts";
import type { Setting } from "./setting.ts";

export const SETTINGS = { ...PATH_SETTINGS, ...DAEMON_SETTINGS, ...RECEIVER_SETTINGS, ...ARRAY_SETTINGS } as const;

type Settings = typeof SETTINGS;
export type Key = keyof Settings;

/** The names in a section of the file; for the section "" those outside any section. */
export type NameIn<Section extends string> = Section extends ""
  ? Exclude<Key, `${string}.${string}`>
  : {
      [K in Key]: K extends `${Section}.${infer Name}` ? (Name extends `${string}.${string}` ? never : Name) : never;
    }[Key];

/** The entry for a name in a section. */
export type EntryIn<Section extends string, Name extends string> = Section extends ""
  ? Name extends Key
    ? Settings[Name]
    : never
  : `${Section}.${Name}` extends Key
    ? Settings[`${Section}.${Name}`]
    : never;

/** Every setting with its key, in the order of the documents. */
export const ENTRIES: readonly (readonly [key: Key, setting: Setting])[] = Object.entries(SETTINGS) as [Key, Setting][];

/** The part of a key before its last dot: `timeouts` of `timeouts.io_ms`. */
export const sectionOf = (key: string): string => key.slice(0, Math.max(0, key.lastIndexOf(".")));

/** The rest of it. */
export const nameOf = (key: string): string => key.slice(key.lastIndexOf(".") + 1);

/** The core's counterpart of a setting, for a unit or global; null: the core has none. */
export function coreNumber(setting: Setting, value: unknown): number | null {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number") return value * ("coreScale" in setting ? (setting.coreScale ?? 1) : 1);
  const at = setting.type === "choice" ? setting.values.indexOf(String(value)) : -1;
  return at === -1 ? null : at;
}

/** The default, with the profile `default`; undefined: it depends on more than the table. */
export function defaultOf(setting: Setting): string | number | boolean | undefined {
  if (setting.type === "whole" && setting.profiles !== undefined) return setting.profiles.default;
  return "default" in setting ? setting.default : undefined;
}
