// Which devices the configuration selects.

import { compileEre, type Ere } from "./ere.ts";
import { wwidOf } from "./wwid.ts";

/** A text in which `*` matches any text, or a regular expression that matches anywhere in the text, or (`not`) nowhere. */
export type Pattern = string | { readonly regex: string; readonly not?: boolean | undefined };

/** One selector of the configuration; every field in it has to match, and none of `except`. */
export interface Selector {
  readonly identity?: Pattern | undefined;
  readonly wwid?: Pattern | undefined;
  readonly vendor?: Pattern | undefined;
  readonly product?: Pattern | undefined;
  readonly block_device?: Pattern | undefined;
  readonly protocol?: Pattern | undefined;
  readonly device?: string | undefined;
  readonly path?: string | undefined;
  readonly except?: readonly Selector[] | undefined;
}

/** What a selector is compared with. `identities` is null before the device was asked; it includes that of an earlier version. */
export interface Selectable {
  readonly identities: readonly string[] | null;
  readonly vendor: string;
  readonly product: string;
  readonly device: string;
  readonly number: string;
  readonly blockDevice: string | null;
  readonly protocol: string | null;
}

/** A condition; null while it is unknown. */
type Verdict = boolean | null;

/** Conjunction: false as soon as one is false, else unknown while one is. */
function all(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes(false)) return false;
  return verdicts.includes(null) ? null : true;
}

const not = (verdict: Verdict): Verdict => (verdict === null ? null : !verdict);
const any = (verdicts: readonly Verdict[]): Verdict => not(all(verdicts.map(not)));

/** `*` matches any text; case and surrounding blanks are ignored. */
function matchesText(pattern: string, text: string): boolean {
  const expression = pattern
    .trim()
    .split("*")
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*");
  return new RegExp(`^${expression}$`, "i").test(text.trim());
}

const compiled = new WeakMap<object, Ere>();

/** Regular expressions are those of multipath.conf: case matters. The configuration was checked, so they are valid. */
function matchesPattern(pattern: Pattern, text: string): boolean {
  if (typeof pattern === "string") return matchesText(pattern, text);
  const ere = compiled.get(pattern) ?? compileEre(pattern.regex);
  compiled.set(pattern, ere);
  return ere.matches(text.trim()) !== (pattern.not ?? false);
}

/** Whether a pattern matches everything, judging by its form. */
export function matchesAnything(pattern: Pattern): boolean {
  if (typeof pattern === "string") return /^\s*\*+\s*$/.test(pattern);
  return pattern.not !== true && /^(\^|\^?(\.\*|\(\.\*\))\$?|\$|)$/.test(pattern.regex);
}

/** A pattern with `not` must match none of the texts. */
function matchesOne(pattern: Pattern | undefined, texts: readonly string[]): boolean {
  if (pattern === undefined) return true;
  const isNot = typeof pattern !== "string" && pattern.not === true;
  return isNot
    ? texts.every((text) => matchesPattern(pattern, text))
    : texts.some((text) => matchesPattern(pattern, text));
}

function matchesIdentity(selector: Selector, identities: readonly string[] | null): Verdict {
  if (selector.identity === undefined && selector.wwid === undefined) return true;
  if (identities === null) return null;
  const wwids = identities.map((identity) => wwidOf(identity) ?? "");
  return matchesOne(selector.identity, identities) && matchesOne(selector.wwid, wwids);
}

/** Whether a text matches; every text does where there is no pattern. */
export const fits = (pattern: Pattern | undefined, text: string): boolean =>
  pattern === undefined || matchesPattern(pattern, text);

function matches(selector: Selector, what: Selectable): Verdict {
  return all([
    selector.device === undefined || selector.device === what.device,
    selector.path === undefined || selector.path === what.number,
    fits(selector.vendor, what.vendor),
    fits(selector.product, what.product),
    fits(selector.block_device, what.blockDevice ?? ""),
    fits(selector.protocol, what.protocol ?? ""),
    matchesIdentity(selector, what.identities),
    not(any((selector.except ?? []).map((inner) => matches(inner, what)))),
  ]);
}

function judge(devices: "all" | readonly Selector[], exclude: readonly Selector[], what: Selectable): Verdict {
  const isNamed = devices === "all" ? true : any(devices.map((selector) => matches(selector, what)));
  return all([isNamed, not(any(exclude.map((selector) => matches(selector, what))))]);
}

/** Whether a device is worth asking: it may be selected once its identity is known. Others are left alone. */
export function maySelect(
  devices: "all" | readonly Selector[],
  exclude: readonly Selector[],
  what: Selectable,
): boolean {
  return judge(devices, exclude, what) !== false;
}

/** Whether a device is selected: a selector matches and no exclusion does. */
export function isSelected(
  devices: "all" | readonly Selector[],
  exclude: readonly Selector[],
  what: Selectable,
): boolean {
  return judge(devices, exclude, what) === true;
}
