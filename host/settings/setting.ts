// The form of an entry in the table of settings. The table is in settings-table.ts and its parts; it is only data, so that the daemon, the
// core's defaults, the documents and the commands can all be made from it.

import type * as abi from "../abi.ts";

type AbiName = keyof typeof abi;

/** A property of the core: UNIT_SET_* is set for each unit, MODE_* once. */
type CoreProperty = Extract<AbiName, `UNIT_SET_${string}` | `MODE_${string}`>;

interface Common {
  /** Its meaning, a sentence without a full stop; `code` as in Markdown. */
  readonly says: string;
  /** The key with which `[[units]]` sets it for a single unit. */
  readonly perUnit?: string;
  /** A command may set it, too, and then wins over the file. */
  readonly byCommand?: true;
  /** A reload only notes the change. `source`: only if it changes between real devices and the emulated array. */
  readonly restart?: true | "source";
  readonly core?: CoreProperty;
  /** What applies if it is left out and there is no plain default. */
  readonly otherwise?: string;
}

/** A whole number. Its unit of measure is the end of its name: `_ms`, `_s`, `_us`, `_mib`, `_bytes`. */
interface Whole extends Common {
  readonly type: "whole";
  readonly min: number;
  readonly max: number;
  readonly default?: number;
  /** The default of each `profile`, in place of a plain one. */
  readonly profiles?: Readonly<Record<Profile, number>>;
  /** The default for real devices; the emulated array has its own. */
  readonly forDevices?: number;
  /** Core units per unit of the setting. */
  readonly coreScale?: number;
}

/** A number with a fraction, for `_percent`. */
interface Share extends Common {
  readonly type: "share";
  readonly min: number;
  readonly max: number;
  readonly default?: number;
  readonly coreScale?: number;
}

interface Flag extends Common {
  readonly type: "flag";
  readonly default?: boolean;
}

/** One of a few texts. In the core: its index among them. */
interface Choice extends Common {
  readonly type: "choice";
  readonly values: readonly string[];
  readonly default?: string;
}

/** One of a few numbers. */
interface Size extends Common {
  readonly type: "size";
  readonly values: readonly number[];
  readonly default?: number;
}

/** An absolute path. */
interface Place extends Common {
  readonly type: "place";
}

interface Text extends Common {
  readonly type: "text";
  readonly default?: string;
}

/** A structured value, whose schema is written by hand (host/control/schemas/configuration-schema.ts). */
interface Made extends Common {
  readonly type: "made";
  /** Its allowed values, for documents. */
  readonly values: string;
  readonly default?: string | boolean | number;
}

export type Setting = Whole | Share | Flag | Choice | Size | Place | Text | Made;

/** Dotted keys, as in the file; `units.` are those that only `[[units]]` has. */
export type SettingTable = Readonly<Record<string, Setting>>;

/** The three times of path patrol: ours, and those of the original of 2004. */
export const PROFILES = ["default", "classic"] as const;
type Profile = (typeof PROFILES)[number];
