// What one entry of the table of settings says. The table stands in table.ts and its parts; it is data only, so that the daemon, the
// core's defaults, the documents and the commands can all be made from it.

import type * as abi from "../abi.ts";

type AbiName = keyof typeof abi;

/** A property of the core: UNIT_SET_* is set for each unit, MODE_* once. */
type CoreProperty = Extract<AbiName, `UNIT_SET_${string}` | `MODE_${string}`>;

interface Common {
  /** What it means, in a sentence without its full stop; `code` as in Markdown. */
  readonly says: string;
  /** The key by which `[[units]]` sets it for a single unit. */
  readonly perUnit?: string;
  /** A command may set it, too; that then holds over the file. */
  readonly byCommand?: true;
  /** A reload notes the change only. `source`: only when it changes between real devices and the emulated array. */
  readonly restart?: true | "source";
  readonly core?: CoreProperty;
  /** What holds when it is left out, where that is no plain default. */
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
  /** The default where devices are real; the emulated array knows it by itself. */
  readonly forDevices?: number;
  /** What one counts in the core. */
  readonly coreScale?: number;
}

/** A number that need not be whole, of `_percent`. */
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

/** One of a few texts. In the core: its place among them. */
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

/** A value with a shape of its own, whose schema is written by hand (host/control/schemas/configuration.ts). */
interface Made extends Common {
  readonly type: "made";
  /** What it may be, for documents. */
  readonly values: string;
  readonly default?: string;
}

export type Setting = Whole | Share | Flag | Choice | Size | Place | Text | Made;

/** Dotted keys, as they stand in the file; `units.` are those that only `[[units]]` has. */
export type SettingTable = Readonly<Record<string, Setting>>;

/** What the three times of path patrol are: ours, and the original's of 2004. */
export const PROFILES = ["default", "classic"] as const;
type Profile = (typeof PROFILES)[number];
