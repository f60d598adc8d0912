// Identities and patterns of multipath.conf in PathManager's words.

import { compileEre, EreError } from "../../discovery/ere.ts";
import { matchesAnything, type Pattern } from "../../discovery/select.ts";

/** A regular expression of the file, which keeps its meaning: `not` where it began with `!`. */
export type Expression = Exclude<Pattern, string>;

/** What a value of a selecting keyword says, or why it is no expression. */
export type Read =
  { readonly ok: true; readonly expression: Expression } | { readonly ok: false; readonly problem: string };

/** The identity a WWID stands for: a digit for the designator's type, then the designator (scsi_id's form). */
export function identityOf(wwid: string): string | undefined {
  if (/^3[0-9a-f]{16}([0-9a-f]{16})?$/i.test(wwid)) return `naa.${wwid.slice(1).toLowerCase()}`;
  if (/^2[0-9a-f]{16}(([0-9a-f]{8})|([0-9a-f]{16}))?$/i.test(wwid)) return `eui.${wwid.slice(1).toLowerCase()}`;
  if (/^8iqn\.[\w.:-]+$/i.test(wwid)) return wwid.slice(1);
  // scsi_id writes blanks as underscores, so these have no exact identity; a unit may be named by its WWID, too.
  return /^[1S][\w .:/-]+$/.test(wwid) ? wwid : undefined;
}

/**
 * Reads a value of blacklist or blacklist_exceptions. `!` at its start inverts it, `\!` is a plain `!`. `*` alone is no
 * regular expression; some versions of multipath-tools take it for everything, as its author surely does.
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

/** The identity that a regular expression for WWIDs means alone: a whole one, as nothing can be longer. */
export function wholeIdentity({ regex, not }: Expression): string | undefined {
  const wwid = /^\^?(3[0-9a-f]{32})\$?$/.exec(regex)?.[1];
  return wwid === undefined || not === true ? undefined : identityOf(wwid);
}

/**
 * Whether an expression means the serial number that ata_id gives a disk, which is no WWID of ours: a plain text
 * with the underscore between model and number that does not begin as scsi_id's names do.
 */
export function isAtaSerial({ regex }: Expression): boolean {
  const text = regex.replace(/^\^/, "").replace(/\$$/, "");
  return /^[\w -]+_[\w -]+$/.test(text) && !/^[1238S]/.test(text);
}

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];
const PAIRS = LETTERS.flatMap((first) => LETTERS.map((second) => first + second));

/** Names that SCSI disks have: enough of them to tell an expression that matches all, or none. */
const DISK_NAMES: readonly string[] = [...LETTERS, ...PAIRS, ...PAIRS.map((pair) => `a${pair}`)].map(
  (letters) => `sd${letters}`,
);
/** What multipath-tools calls the protocols of SCSI disks. */
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
/** How many of the devices an expression can mean, under a key of a selector. */
export function reach(key: string, expression: Expression): "all" | "some" | "none" {
  if (matchesAnything(expression)) return "all";
  const samples = key === "block_device" ? DISK_NAMES : key === "protocol" ? PROTOCOLS : null;
  if (samples === null) return "some";
  const ere = compileEre(expression.regex);
  const hits = samples.filter((text) => ere.matches(text) !== (expression.not ?? false)).length;
  return hits === 0 ? "none" : hits === samples.length ? "all" : "some";
}
