// Checks values of the command line before the daemon is called, with the same error messages whether or not it runs.

import { PRIORITY_MAX, PRIORITY_MIN, PRIORITY_RULE } from "../control/schemas/constants.ts";
import { CommandError } from "./api-client.ts";
import { canonicalPath, isPathPattern, parsePathNumber } from "./path-number.ts";

export { POLICY_NAMES } from "../settings/names.ts";

const PATH_FORM = "a path number is host:channel:target:lun, for example 4:0:0:1";

const invalid = (message: string, parameter: string): CommandError =>
  new CommandError("INVALID_ARGUMENT", message, { parameter });

/** A path number in the daemon's form. */
export function pathValue(text: string): string {
  if (parsePathNumber(text) === undefined) throw invalid(`${text} is no path number: ${PATH_FORM}`, "path");
  return canonicalPath(text);
}

/** A path number whose fields may be omitted. */
export function patternValue(text: string): string {
  if (!isPathPattern(text))
    throw invalid(`${text} is no path number: ${PATH_FORM}; fields may be left out: 5:::`, "path");
  return canonicalPath(text);
}

/** A priority of `path`. */
export function priorityValue(path: string, text: string): number {
  const priority = /^\d+$/.test(text) ? Number(text) : 0;
  if (priority < PRIORITY_MIN || priority > PRIORITY_MAX) {
    throw invalid(`path ${path}: ${PRIORITY_RULE}, not ${text}`, "priority");
  }
  return priority;
}

/** A whole number within limits. */
export function wholeValue(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw invalid(`${name} is a whole number from ${min} to ${max}, not ${text}`, name);
  }
  return value;
}

/** A number, not necessarily whole, within limits. */
export function numberValue(name: string, text: string, min: number, max: number): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw invalid(`${name} is a number from ${min} to ${max}, not ${text}`, name);
  return value;
}

/** One of the words. */
export function wordValue<const Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text.toLowerCase());
  if (found === undefined) throw invalid(`${name} is one of ${words.join(", ")}, not ${text}`, name);
  return found;
}

/** A unit as used in the API's URLs: `#0` and `0` are its number, anything else its name. */
export const unitKey = (text: string): string => encodeURIComponent(text.replace(/^#(?=\d+$)/, ""));
