// Converts identities and patterns of multipath.conf to PathManager's.

import { compileEre, EreError } from "../../discovery/ere.ts";
import { matchesAnything, type Pattern } from "../../discovery/select.ts";

/** A regular expression of the file, with its meaning kept: `not` if it began with `!`. */
export type Expression = Exclude<Pattern, string>;

/** The expression that a value stands for, or why it is not one. */
export type Read =
  { readonly ok: true; readonly expression: Expression } | { readonly ok: false; readonly problem: string };

/** The identity of a WWID in scsi_id's form: a digit for the designator's type, then the designator. */
export function identityOf(wwid: string): string | undefined {
  if (/^3[0-9a-f]{16}([0-9a-f]{16})?$/i.test(wwid)) return `naa.${wwid.slice(1).toLowerCase()}`;
  if (/^2[0-9a-f]{16}(([0-9a-f]{8})|([0-9a-f]{16}))?$/i.test(wwid)) return `eui.${wwid.slice(1).toLowerCase()}`;
  if (/^8iqn\.[\w.:-]+$/i.test(wwid)) return wwid.slice(1);
  // scsi_id replaces blanks with underscores, so these have no exact identity; a unit may also be named by its WWID.
  return /^[1S][\w .:/-]+$/.test(wwid) ? wwid : undefined;
}

/**
 * Parses a value of blacklist or blacklist_exceptions. A leading `!` inverts it, `\!` is a literal `!`. `*` alone is not a
 * valid regular expression; some versions of multipath-tools take it to match everything, which is surely what its author
 * meant.
 */
export function expressionOf(value: string): Read {
  const not = value.startsWith("!");
  const bare = not || value.startsWith("\\!") ? value.slice(1) : value;
  const regex = bare === "*" ? ".*" : bare;
  try {
    compileEre(regex);
  } catch (thrown) {
    if (!(thrown instanceof EreError)) throw thrown;
    return { ok: false, problem: `${value} is no regular expression: ${thrown.message}` };
  }
  return { ok: true, expression: not ? { regex, not } : { regex } };
}

/** The only identity that a regular expression for WWIDs can match: a complete one, as no WWID is longer. */
export function wholeIdentity({ regex, not }: Expression): string | undefined {
  const wwid = /^\^?(3[0-9a-f]{32})\$?$/.exec(regex)?.[1];
  return wwid === undefined || not === true ? undefined : identityOf(wwid);
}

/**
 * Whether an expression matches the serial number that ata_id reports for a disk, which is not a WWID in scsi_id's form: a
 * literal with an underscore between model and number that does not begin like scsi_id's names.
 */
export function isAtaSerial({ regex }: Expression): boolean {
  const text = regex.replace(/^\^/, "").replace(/\$$/, "");
  return /^[\w -]+_[\w -]+$/.test(text) && !/^[1238S]/.test(text);
}

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];
const PAIRS = LETTERS.flatMap((first) => LETTERS.map((second) => first + second));

/** Names of SCSI disks, enough to recognize an expression that matches all or none of them. */
const DISK_NAMES: readonly string[] = [...LETTERS, ...PAIRS, ...PAIRS.map((pair) => `a${pair}`)].map(
  (letters) => `sd${letters}`,
);
/** multipath-tools' names of the protocols of SCSI disks. */
const PROTOCOLS: readonly string[] = [
  "fcp",
  "spi",
  "ssa",
  "sbp",
  "srp",
  "iscsi",
  "sas",
  "adt",
  "ata",
  "usb",
  "unspec",
].map((name) => `scsi:${name}`);
/** How many devices an expression can match, as the value of the selector's `key`. */
export function reach(key: string, expression: Expression): "all" | "some" | "none" {
  if (matchesAnything(expression)) return "all";
  const samples = key === "block_device" ? DISK_NAMES : key === "protocol" ? PROTOCOLS : null;
  if (samples === null) return "some";
  const ere = compileEre(expression.regex);
  const hits = samples.filter((text) => ere.matches(text) !== (expression.not ?? false)).length;
  return hits === 0 ? "none" : hits === samples.length ? "all" : "some";
}
