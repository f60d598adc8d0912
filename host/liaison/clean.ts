// The one place that makes text of others harmless: vendor strings, unit names, answers of peers. What could end a line, move a
// terminal's cursor or change the order of reading is written as an escape, \xNN or \u{NNNN}; everything else stays as it is.

/** Control characters (C0, DEL, C1), line and paragraph separators, marks of direction, byte order marks, lone surrogates. */
const HARMFUL = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]|\p{Cs}/gu;

const escaped = (char: string): string => {
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return code < 0x100 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`;
};

/** The text on one line, safe for a terminal, a log and a datagram. */
export const clean = (text: string): string => text.replaceAll(HARMFUL, escaped);

/** Of these, what JSON leaves as it is within strings. */
const HARMFUL_IN_JSON = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]/g;

const escapedInJson = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** JSON that is safe to look at, too; whoever parses it gets the value as it was. */
export const cleanJson = (value: unknown, indent = 0): string =>
  JSON.stringify(value, null, indent).replaceAll(HARMFUL_IN_JSON, escapedInJson);
