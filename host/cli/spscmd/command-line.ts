// Parses an `spscmd` command line: one option per call, options and keywords in any case (reference, section 3).

import type { FailbackMode, PatrolPatch } from "../../control/schemas/mode-schema.ts";
import type { PolicyName } from "../../control/schemas/unit-schema.ts";
import { canonicalPath, isPathPattern, parsePathNumber } from "../path-number.ts";
import type { Sorting } from "./spscmd-layout.ts";

export type Command =
  | { readonly kind: "getlun"; readonly sorting: Sorting; readonly verbose: boolean }
  | { readonly kind: "getver" | "getmode" | "getfbmode" | "getmscsmode" | "getwatcher" | "failbackall" | "help" }
  | { readonly kind: "getlog"; readonly file: string }
  | { readonly kind: "setfbmode"; readonly failback: FailbackMode }
  | { readonly kind: "setmscsmode"; readonly cluster: boolean }
  | { readonly kind: "setwatcher"; readonly change: PatrolPatch }
  | { readonly kind: "avail" | "notavail" | "path" | "failback"; readonly path: string }
  | { readonly kind: "swap"; readonly path: string; readonly other: string }
  | { readonly kind: "priority"; readonly path: string; readonly priority: number }
  | { readonly kind: "lbmode"; readonly path: string; readonly policy: PolicyName };

/** `usage`: the command line has no valid form (exit status 2). `refused`: one of its values is not allowed (1). */
export type Parsed =
  | { readonly ok: true; readonly command: Command }
  | {
      readonly ok: false;
      readonly fault: "usage" | "refused";
      readonly message: string;
      /** A word that is no option; it may be a mistyped one. */
      readonly unknown?: string;
    };

export const SYNOPSIS = `usage: spscmd -getlun [-v] [-s0|-s1|-s2]
       spscmd -getver
       spscmd -getmode
       spscmd -getfbmode
       spscmd -setfbmode {Active|A|Standby|S}
       spscmd -getmscsmode
       spscmd -setmscsmode {Enable|E|Disable|D}
       spscmd -getwatcher
       spscmd -setwatcher n1:n2:n3:n4
       spscmd -avail path_number
       spscmd -notavail path_number
       spscmd -path path_number
       spscmd -swap path_number1 path_number2
       spscmd -priority path_number n
       spscmd -lbmode path_number {0|1|2|3}
       spscmd -failback path_number
       spscmd -failbackall
       spscmd -getlog file
`;

const usage = (message: string): Parsed => ({ ok: false, fault: "usage", message });
const refused = (message: string): Parsed => ({ ok: false, fault: "refused", message });
const command = (value: Command): Parsed => ({ ok: true, command: value });

const POLICIES: readonly PolicyName[] = ["static", "round-robin", "least-sectors", "adaptive"];

/** Number of values that follow the option, exactly. */
const VALUES: ReadonlyMap<string, number> = new Map([
  ["-getver", 0],
  ["-getmode", 0],
  ["-getfbmode", 0],
  ["-setfbmode", 1],
  ["-getmscsmode", 0],
  ["-setmscsmode", 1],
  ["-getwatcher", 0],
  ["-setwatcher", 1],
  ["-avail", 1],
  ["-notavail", 1],
  ["-path", 1],
  ["-swap", 2],
  ["-priority", 2],
  ["-lbmode", 2],
  ["-failback", 1],
  ["-failbackall", 0],
  ["-getlog", 1],
  ["-getlun", 0],
  ["-help", 0],
]);

const HELP = new Set(["-h", "-?", "/?", "-help", "--help"]);

function parseGetlun(modifiers: readonly string[]): Parsed {
  const sortings: Readonly<Record<string, Sorting>> = { "-s0": "by-balancing", "-s1": "by-path", "-s2": "by-priority" };
  let sorting: Sorting | undefined;
  let verbose = false;
  for (const modifier of modifiers) {
    const wanted = sortings[modifier.toLowerCase()];
    if (modifier.toLowerCase() === "-v" && !verbose) {
      verbose = true;
    } else if (wanted !== undefined && sorting === undefined) {
      sorting = wanted;
    } else if (wanted !== undefined) {
      return usage("-getlun takes one of -s0, -s1, -s2");
    } else {
      return usage(
        VALUES.has(modifier.toLowerCase())
          ? `${modifier} and -getlun: one option a call`
          : `-getlun does not take ${modifier}`,
      );
    }
  }
  return command({ kind: "getlun", sorting: sorting ?? "by-balancing", verbose });
}

const WATCHER_FIELDS = [
  { name: "n2 (request interval)", key: "intervalS" },
  { name: "n3 (threshold)", key: "thresholdS" },
  { name: "n4 (timeout)", key: "timeoutS" },
] as const;

function parseWatcher(text: string): Parsed {
  const parts = text.split(":");
  if (parts.length !== 4) return usage(`-setwatcher takes four fields n1:n2:n3:n4, not ${text}`);
  const [checks = "", ...times] = parts;
  if (!/^[0-3]?$/.test(checks)) {
    return refused(`-setwatcher ${text}: n1 is 0 (none), 1 (health), 2 (recovery) or 3 (both), not ${checks}`);
  }
  const change: PatrolPatch = checks === "" ? {} : { mode: Number(checks) };
  for (const [index, { name, key }] of WATCHER_FIELDS.entries()) {
    const field = times[index] ?? "";
    if (field === "") continue;
    const seconds = /^\d{1,4}$/.test(field) ? Number(field) : 0;
    if (seconds < 1 || seconds > 3600)
      return refused(`-setwatcher ${text}: ${name} is 1 to 3600 seconds, not ${field}`);
    change[key] = seconds;
  }
  return command({ kind: "setwatcher", change });
}

function parsePriority(path: string, text: string): Parsed {
  const priority = /^\d+$/.test(text) ? Number(text) : 0;
  if (priority < 1 || priority > 254) {
    return refused(`path ${path}: a priority is a whole number from 1 to 254, not ${text}`);
  }
  return command({ kind: "priority", path, priority });
}

function parseMode(option: string, value: string): Parsed {
  const word = value.toLowerCase();
  if (option === "-setfbmode") {
    if (word === "active" || word === "a") return command({ kind: "setfbmode", failback: "active" });
    if (word === "standby" || word === "s") return command({ kind: "setfbmode", failback: "standby" });
    return usage(`-setfbmode takes Active (A) or Standby (S), not ${value}`);
  }
  if (word === "enable" || word === "e") return command({ kind: "setmscsmode", cluster: true });
  if (word === "disable" || word === "d") return command({ kind: "setmscsmode", cluster: false });
  return usage(`-setmscsmode takes Enable (E) or Disable (D), not ${value}`);
}

/** Options whose first value is a path number. */
function parseOnPath(option: string, values: readonly string[]): Parsed {
  const [given = "", second = ""] = values;
  const valid = option === "-path" ? isPathPattern(given) : parsePathNumber(given) !== undefined;
  const wanted = "a path number is host:channel:target:lun, for example 4:0:0:1";
  if (!valid) return refused(`${given} is no path number: ${wanted}`);
  const path = canonicalPath(given);
  switch (option) {
    case "-avail":
      return command({ kind: "avail", path });
    case "-notavail":
      return command({ kind: "notavail", path });
    case "-path":
      return command({ kind: "path", path });
    case "-failback":
      return command({ kind: "failback", path });
    case "-priority":
      return parsePriority(path, second);
    case "-lbmode": {
      const policy = /^[0-3]$/.test(second) ? POLICIES[Number(second)] : undefined;
      if (policy !== undefined) return command({ kind: "lbmode", path, policy });
      return usage(`path ${path}: no balancing mode ${second}: 0 off, 1 round robin, 2 least sectors, 3 adaptive`);
    }
    default:
      if (parsePathNumber(second) === undefined) return refused(`${second} is no path number: ${wanted}`);
      return command({ kind: "swap", path, other: canonicalPath(second) });
  }
}

/** Every option, for hints. */
export const OPTIONS: readonly string[] = [...VALUES.keys()];

/** Parses the arguments (without program name). */
export function parseCommand(args: readonly string[]): Parsed {
  const [given, ...values] = args;
  if (given === undefined) return usage("an option is missing");
  const option = given.toLowerCase();
  if (HELP.has(option) && values.length === 0) return command({ kind: "help" });
  if (option === "-getlun") return parseGetlun(values);
  const count = VALUES.get(option);
  if (count === undefined) {
    return { ok: false, fault: "usage", message: `unknown option ${given}`, unknown: option };
  }
  const another = values.find((value) => VALUES.has(value.toLowerCase()));
  if (another !== undefined) return usage(`${given} and ${another}: one option a call`);
  if (values.length !== count) {
    return usage(
      count === 0 ? `${given} takes no value` : `${given} takes ${count === 1 ? "one value" : "two values"}`,
    );
  }
  const [value = ""] = values;
  switch (option) {
    case "-getver":
    case "-getmode":
    case "-getfbmode":
    case "-getmscsmode":
    case "-getwatcher":
    case "-failbackall":
      return command({ kind: option.slice(1) as "getver" });
    case "-getlog":
      return command({ kind: "getlog", file: value });
    case "-setfbmode":
    case "-setmscsmode":
      return parseMode(option, value);
    case "-setwatcher":
      return parseWatcher(value);
    default:
      return parseOnPath(option, values);
  }
}
